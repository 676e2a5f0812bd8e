//! Every kind of name that a scenario can get wrong is found by `validate`, together with everything else that is wrong.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proctor_harness::scenario::{Files, load, scenario_schema};

const HEAD: &str = "schema = 1\nname = \"t\"\ntitle = \"T\"\nconvoy = \"C\"\n[[rig]]\nname = \"bob\"\nprefix = \"bo\"\n";
const RUNTIME: &str = "[runtime]\nkind = \"python\"\nprograms = [\"sh\"]\n";

/// The problems of a scenario with these texts: what follows the head, and further files.
fn problems_with(rest: &str, more: &[(&str, &str)]) -> Vec<String> {
    let spec = format!("{HEAD}{rest}");
    let mut files = vec![("scenario.toml", spec.as_str()), ("prompt.md", "do it"), ("script/mayor.toml", "role = \"mayor\"")];
    files.extend(more);
    let map: BTreeMap<String, Vec<u8>> =
        files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    load(&Files::new("t", map)).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

fn problems(rest: &str) -> Vec<String> {
    problems_with(rest, &[])
}

/// The scenario has this problem and no other.
#[track_caller]
fn only(rest: &str, said: &str) {
    let all = problems(rest);
    assert!(all.len() == 1 && all[0].contains(said), "wanted `{said}`: {all:#?}");
}

fn exercise(steps: &str) -> String {
    format!("{RUNTIME}[[exercise]]\nname = \"bob.chain\"\ntitle = \"x\"\n{steps}")
}

fn step(keys: &str) -> String {
    exercise(&format!("[[exercise.step]]\nname = \"run\"\n{keys}\n"))
}

fn check(keys: &str) -> String {
    format!("[[check]]\nid = \"c\"\ntitle = \"C\"\n{keys}\n")
}

#[test]
fn rigs() {
    only(&check("kind = \"file\"\nrig = \"bop\"\npath = \"p\""), "there is no rig `bop`; did you mean `bob`?");
    only(&check("kind = \"mail\"\nfrom = \"mayor\"\nto_holder_of = \"bop\"\nsubject = \"s\""), "there is no rig `bop`");
    only(&step("subject = [\"bop\", \"b.py\"]"), "there is no rig `bop`");
    only(&step("rig = \"bop\"\ncommand = [\"sh\", \"${repo}/b.sh\"]"), "there is no rig `bop`");
    only("[agents.\"polecat:bop\"]\ncommand = \"builtin\"\n", "there is no rig `bop`; did you mean `polecat:bob`?");
    only("[[fault]]\nname = \"f\"\nkind = \"leave\"\nagent = \"polecat:bop\"\n", "there is no rig `bop`");
}

#[test]
fn scripts_for_rigs_and_roles_that_do_not_exist() {
    let script = |text: &str| problems_with("", &[("script/a.toml", text)]);
    let all = script("schema = 1\nrole = \"polecat\"\nrig = \"bop\"\n");
    assert_eq!(all, ["script/a.toml:3:7: there is no rig `bop`; did you mean `bob`?"]);
    let all = script("schema = 1\nrole = \"polecta\"\n");
    assert_eq!(all, ["script/a.toml:2:8: there is no role `polecta`; did you mean `polecat`?"]);
    assert!(script("schema = 1\nrole = \"polecat\"\nrig = \"bob\"\n").is_empty());
}

#[test]
fn roles_and_programs_of_agents() {
    only("[agents.polecta]\ncommand = \"builtin\"\n", "`polecta` names no role; did you mean `polecat`?");
    only(
        "[agents.polecat]\ncommand = \"./bots/wrok.py --fast\"\n",
        "the program `bots/wrok.py`, which plays `polecat`, is missing",
    );
    only("[agents.polecat]\ncommand = \"'./work\"\n", "'./work");
    let beside = [("bots/work.py", "")];
    assert!(problems_with("[agents.polecat]\ncommand = \"./bots/work.py --fast\"\n", &beside).is_empty());
    only(&check("kind = \"workers\"\nrole = \"polecta\"\ncount = 1"), "there is no role `polecta`");
    only(&check("kind = \"mail\"\nfrom = \"mayr\"\nto_holder_of = \"bob\"\nsubject = \"s\""), "there is no role `mayr`");
}

#[test]
fn exercises_and_steps() {
    let checked =
        |exercise: &str, step: &str| check(&format!("kind = \"exercise\"\nexercise = \"{exercise}\"\nstep = \"{step}\""));
    let good = step("subject = [\"bob\", \"b.py\"]");
    only(&(good.clone() + &checked("bob.chian", "run")), "there is no exercise `bob.chian`; did you mean `bob.chain`?");
    only(&(good.clone() + &checked("bob.chain", "rum")), "there is no step of `bob.chain` `rum`; did you mean `run`?");
    only(&step("subject = [\"bob\", \"b.py\"]\nneeds = [\"rum\"]"), "there is no step before it `rum`");
    let later = "[[exercise]]\nname = \"b\"\ntitle = \"x\"\nafter = \"bob.chian\"\n[[exercise.step]]\nname = \"s\"\nsubject = [\"bob\", \"b.py\"]\n";
    only(&(good.clone() + later), "there is no exercise listed before `bob.chian`");
    only(&(good + &later.replace("after = \"bob.chian\"", "bring = { x = \"b\" }")), "there is no exercise listed before `b`");
}

#[test]
fn checkers_and_programs_of_steps() {
    only(&step("checker = [\"look.py\"]"), "`checks/look.py` is missing");
    let near = problems_with(&step("checker = [\"lok.py\"]"), &[("checks/look.py", "")]);
    assert!(near.len() == 1 && near[0].contains("did you mean `look.py`?"), "{near:?}");
    only(&step("rig = \"bob\"\ncommand = [\"nod\", \"x\"]"), "the runtime has no program `nod`");
    only(&step("rig = \"bob\"\ncommand = [\"./greet\"]"), "a program that was merged is written `${repo}/greet`");
    only(&step("command = [\"sh\", \"x\"]"), "has no `rig`");
    only(&step("subject = [\"bob\", \"b.py\"]\ncommand = [\"sh\"]"), "must have one of `checker`, `subject` and `command`");
    only(&step("subject = [\"bob\", \"b.py\"]\nrig = \"bob\""), "has a `rig` and no `command`");
    only("[runtime]\nprograms = [\"/usr/bin/node\"]\n", "`/usr/bin/node` is no name of a program");
    let without = step("rig = \"bob\"\ncommand = [\"${repo}/greet\"]").replace(RUNTIME, "");
    assert!(problems(&without).is_empty(), "what was merged needs no runtime: {:?}", problems(&without));
    only(&without.replace("${repo}/greet", "python"), "needs a `[runtime]`");
}

#[test]
fn a_scenario_without_wrong_names_has_no_problem() {
    assert!(problems("").is_empty(), "{:?}", problems(""));
}

#[test]
fn files_of_rigs() {
    let rig = |keys: &str| format!("[[rig]]\nname = \"north\"\nfiles = \"{keys}\"\n");
    let given = [("repository/a.txt", "a")];
    let spec = |top: &str, rest: &str| HEAD.replacen("schema = 1\n", &format!("schema = 1\n{top}"), 1) + rest;
    let all = |top: &str, rest: &str| {
        let text = spec(top, rest);
        let map = [("scenario.toml", text.as_str()), ("prompt.md", "x"), ("script/m.toml", "role = \"mayor\""), given[0]];
        let map = map.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
        load(&Files::new("t", map)).err().unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(all("rigs = \"prepared\"\n", &rig("repository")).is_empty());
    let found = all("rigs = \"prepared\"\n", &rig("repositry"));
    assert!(
        found.len() == 1 && found[0].contains("the folder `repositry`, for `north`, holds no file; did you mean `repository`?"),
        "{found:?}"
    );
    let found = all("", &rig("repository"));
    assert!(found.len() == 1 && found[0].contains("the mayor makes the rigs"), "{found:?}");
}

#[test]
fn watched_files() {
    let good = step("subject = [\"bob\", \"b.py\"]");
    let checked =
        |keys: &str| good.clone() + &check(&format!("kind = \"exercise\"\nexercise = \"bob.chain\"\nstep = \"run\"\n{keys}"));
    only(&checked("not_opened = [\"*.pem\"]"), "`*.pem` is no watched file");
    only(&checked("opened = [\"message.enc\"]"), "`message.enc` is no watched file");
    let watched = HEAD.replacen("schema = 1\n", "schema = 1\nwatch = [\"*.pem\", \"m*\"]\n", 1);
    let text = checked("opened = [\"message.enc\"]\nnot_opened = [\"*.pem\", \"bob.pem\"]");
    let map =
        [("scenario.toml", format!("{watched}{text}")), ("prompt.md", "x".into()), ("script/m.toml", "role = \"mayor\"".into())];
    let map = map.into_iter().map(|(path, text)| (path.to_owned(), text.into_bytes())).collect();
    assert!(load(&Files::new("t", map)).is_ok());
}

#[test]
fn faults() {
    let fault = |keys: &str| format!("[[fault]]\nname = \"f\"\n{keys}\n");
    only(
        &fault("kind = \"kill\"\nagent = \"mayor\"\nprogram = \"dlot\""),
        "there is no program that this fault can hit `dlot`; did you mean `dolt`?",
    );
    only(&fault("kind = \"missing\"\nagent = \"mayor\"\nprogram = \"gtt\""), "`gtt`; did you mean `gt`?");
    only(&fault("kind = \"leave\"\nagent = \"mayro\""), "`mayro` names no role; did you mean `mayor`?");
    only(&fault("kind = \"kil\"\nagent = \"mayor\""), "`kil` is no value of `kind`; did you mean `kill`?");
}

#[test]
fn what_is_there_twice() {
    only("[[rig]]\nname = \"bob\"\n", "the rig `bob` is there twice");
    only("[[rig]]\nname = \"north\"\nprefix = \"bo\"\n", "the prefix `bo` is there twice");
    only("[runtime]\nprograms = [\"sh\", \"sh\"]\n", "the program `sh` is there twice");
    let one = check("kind = \"end_state\"");
    only(&(one.clone() + &one), "the check `c` is there twice");
    let fault = "[[fault]]\nname = \"f\"\nkind = \"leave\"\nagent = \"mayor\"\n";
    only(&fault.repeat(2), "the fault `f` is there twice");
    let twice = "[[exercise.step]]\nname = \"run\"\nsubject = [\"bob\", \"b.py\"]\n".repeat(2);
    only(&exercise(&twice), "the step `run` is there twice in `bob.chain`");
}

/// A wrong type, a missing key and an unknown key, each beside a wrong reference.
#[test]
fn problems_of_shape_hide_no_problem_of_reference() {
    let wrong = check("kind = \"file\"\nrig = \"bop\"\npath = \"p\"");
    for (shape, said) in [
        ("[timeouts]\nlanding = 3\n", "`landing` must be a text"),
        ("[timeouts]\nlandin = \"3s\"\n", "unknown key `landin`"),
        ("[[exercise]]\nname = \"e\"\nstep = []\n", "the key `title` is missing"),
        ("[[fault]]\nname = \"f\"\nkind = \"kil\"\nagent = \"mayor\"\n", "`kil` is no value"),
        ("[[check]]\nid = \"d\"\ntitle = \"D\"\nkind = \"fil\"\n", "unknown kind `fil`"),
        ("[[check]]\nid = 3\ntitle = \"D\"\nkind = \"end_state\"\n", "`id` must be a text"),
        ("[limits]\nopen_files = 0\nmemory = 1\n", "`open_files` must be at least 1"),
    ] {
        let all = problems(&format!("{shape}{wrong}"));
        assert!(all.iter().any(|problem| problem.contains(said)), "wanted `{said}`: {all:#?}");
        assert!(all.iter().any(|problem| problem.contains("there is no rig `bop`")), "{shape}: {all:#?}");
    }
}

/// A name that could not be read is no reason to complain about whoever uses it.
#[test]
fn what_could_not_be_read_is_not_held_against_others() {
    let text = HEAD.replace("name = \"bob\"", "name = 3") + &check("kind = \"file\"\nrig = \"bob\"\npath = \"p\"");
    let map = [("scenario.toml", text.as_str()), ("prompt.md", "x"), ("script/m.toml", "role = \"mayor\"")];
    let map = map.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    let all: Vec<String> = load(&Files::new("t", map)).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(all, ["scenario.toml:6:8: `name` must be a text, not a whole number"]);
    only(
        "[[exercise]]\ntitle = \"x\"\n[[exercise.step]]\nname = \"s\"\nrig = \"bob\"\ncommand = [\"${repo}/x\"]\n",
        "the key `name` is missing",
    );
}

/// The page shows an example of every kind of check, and each example is one.
#[test]
fn the_documented_checks_are_checks_and_every_kind_is_documented() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scenarios.md")).unwrap();
    let section = page.split("\n## Checks\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let examples: String = section.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let head = HEAD.replacen("schema = 1\n", "schema = 1\nwatch = [\"*_private.pem\", \"message.enc\"]\n", 1);
    let chain = exercise("[[exercise.step]]\nname = \"bob\"\nsubject = [\"bob\", \"bob.py\"]\n");
    let text = format!("{head}{chain}{examples}");
    let map = [("scenario.toml", text.as_str()), ("prompt.md", "x"), ("script/m.toml", "role = \"mayor\"")];
    let map = map.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    let scenario = load(&Files::new("t", map)).map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    let kinds = serde_json::to_string(scenario_schema().as_value()).unwrap();
    for kind in [
        "file",
        "exercise",
        "mail",
        "workers",
        "end_state",
        "own_repository",
        "no_errors",
        "telemetry",
        "promql",
        "logsql",
        "budget",
    ] {
        assert!(kinds.contains(&format!("\"const\":\"{kind}\"")), "{kind} is a kind");
        assert!(examples.contains(&format!("kind = \"{kind}\"")), "{kind} has an example");
    }
    assert!(scenario.spec.check.len() >= 11);
}
