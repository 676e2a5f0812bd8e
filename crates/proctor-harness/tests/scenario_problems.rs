//! Every problem of a scenario at once, with its place and the nearest known name.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use proctor_harness::scenario::{Files, load, template};

const HEAD: &str = "schema = 1\nname = \"t\"\ntitle = \"T\"\nconvoy = \"C\"\n[[rig]]\nname = \"bob\"\n";

fn problems(rest: &str) -> Vec<String> {
    let spec = format!("{HEAD}{rest}");
    let files = [("scenario.toml", spec.as_str()), ("prompt.md", "do it"), ("script/mayor.toml", "")];
    let map = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    load(&Files::new("t", map)).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

fn one(rest: &str) -> String {
    let mut all = problems(rest);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn the_template_is_a_scenario() {
    assert!(load(&template("mine")).is_ok(), "{:?}", load(&template("mine")).err());
}

#[test]
fn an_unknown_key_names_its_place_and_the_nearest_key() {
    assert_eq!(one("[timeouts]\nlandin = \"1h\"\n"), "scenario.toml:8:1: unknown key `landin`; did you mean `landing`?");
}

#[test]
fn keys_of_one_kind_of_check_are_unknown_in_another() {
    let text = one("[[check]]\nid = \"a\"\ntitle = \"A\"\nkind = \"file\"\nrig = \"bob\"\npath = \"p\"\nmin_leters = 3\n");
    assert_eq!(text, "scenario.toml:13:1: unknown key `min_leters`; did you mean `min_letters`?");
    let text = one("[[check]]\nid = \"a\"\ntitle = \"A\"\nkind = \"fil\"\n");
    assert!(text.contains("unknown kind `fil`; did you mean `file`?"), "{text}");
}

#[test]
fn a_bad_duration_says_how_one_is_written() {
    let text = one("[timeouts]\nlanding = \"ten minutes\"\n");
    assert!(text.starts_with("scenario.toml:8:11: `ten minutes` is not a duration (write a whole number"), "{text}");
}

#[test]
fn a_wrong_type_and_a_missing_key_are_shown_together() {
    let all = problems("[[check]]\nid = 3\nkind = \"end_state\"\n");
    assert!(all.iter().any(|p| p.contains("`id` must be a text, not a whole number")), "{all:?}");
    assert!(all.iter().any(|p| p.contains("the key `title` is missing")), "{all:?}");
}

#[test]
fn a_check_of_an_exercise_that_is_not_there_names_the_nearest() {
    let exercise = "[runtime]\nkind = \"python\"\n[[exercise]]\nname = \"bob.chain\"\ntitle = \"x\"\n[[exercise.step]]\nname = \"bob\"\nsubject = [\"bob\", \"bob.py\"]\n";
    let check = "[[check]]\nid = \"c\"\ntitle = \"C\"\nkind = \"exercise\"\nexercise = \"bob.chian\"\nstep = \"bob\"\n";
    let text = one(&format!("{exercise}{check}"));
    assert!(text.contains("there is no exercise `bob.chian`; did you mean `bob.chain`?"), "{text}");
}

#[test]
fn ids_that_are_there_twice_are_shown_at_the_second() {
    let check = "[[check]]\nid = \"c\"\ntitle = \"C\"\nkind = \"end_state\"\n";
    assert_eq!(one(&format!("{check}{check}")), "scenario.toml:12:6: the check `c` is there twice");
}

#[test]
fn missing_files_are_named() {
    let map = [("scenario.toml".to_owned(), HEAD.as_bytes().to_vec())].into();
    let all: Vec<String> = load(&Files::new("t", map)).unwrap_err().iter().map(ToString::to_string).collect();
    assert!(all.iter().any(|p| p.contains("the prompt file `prompt.md` is missing")), "{all:?}");
    assert!(all.iter().any(|p| p.contains("the script folder `script` holds no script")), "{all:?}");
    let none = load(&Files::new("empty", std::collections::BTreeMap::new())).unwrap_err();
    assert_eq!(none[0].to_string(), "scenario.toml: `scenario.toml` is missing in empty");
}

#[test]
fn toml_that_does_not_parse_is_placed() {
    let all = problems("title = = 3\n");
    assert!(all[0].starts_with("scenario.toml:7:9: "), "{all:?}");
}

#[test]
fn limits_and_ports_say_how_they_are_written() {
    let text = one("[limits]\nmemory = \"4GB\"\n");
    assert!(text.starts_with("scenario.toml:8:10: `4GB` is not a size (write a whole number and a unit: 64KiB"), "{text}");
    assert_eq!(one("[limits]\nproceses = 3\n"), "scenario.toml:8:1: unknown key `proceses`; did you mean `processes`?");
    assert_eq!(one("[limits]\nopen_files = 0\n"), "scenario.toml:8:14: `open_files` must be at least 1");
    assert_eq!(one("[network]\nalow = []\n"), "scenario.toml:8:1: unknown key `alow`; did you mean `allow`?");
    let text = one("[network]\nallow = [\"10.0.0.1:80\"]\n");
    assert!(text.starts_with("scenario.toml:8:10: `10.0.0.1:80` is not a port of this machine (write a number"), "{text}");
    assert_eq!(one("[network]\nallow = [65536]\n"), "scenario.toml:8:10: `allow` must be at most 65535");
    assert!(problems("[network]\nallow = [8080, \"127.0.0.1:9090\"]\n[limits]\ncpu_time = \"90s\"\n").is_empty());
}
