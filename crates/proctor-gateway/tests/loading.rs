//! What can be wrong in a script folder, each with its place and the name that was probably meant.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proctor_gateway::{Merge, Scripts, Town, World};

fn problems(files: &[(&str, &str)]) -> Vec<String> {
    problems_in(World::default(), files)
}

fn problems_in(world: World, files: &[(&str, &str)]) -> Vec<String> {
    let files: BTreeMap<String, Vec<u8>> =
        files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    Scripts::from_files(&files, world).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

const HEAD: &str = "schema = 1\nrole = \"mayor\"\n";

/// The problems of a script with these turns, which begin in line 3.
fn problems_of(turns: &str) -> Vec<String> {
    problems(&[("m.toml", &format!("{HEAD}{turns}")), ("files/a.py", "print()\n")])
}

#[test]
fn each_mistake_is_named_with_its_place() {
    for (turns, expected) in [
        ("[[turn]]\n[[turn.step]]\nsayy = 'x'\nsay = 'x'", "m.toml:5:1: unknown key `sayy` in a step; did you mean `say`?"),
        ("[[turn]]\nonn = 'x'\n[[turn.step]]\nsay = 'x'", "m.toml:4:1: unknown key `onn` in a turn; did you mean `on`?"),
        ("rigg = 'x'\n[[turn]]\n[[turn.step]]\nsay = 'x'", "m.toml:3:1: unknown key `rigg` in a script; did you mean `rig`?"),
        ("[[turn]]\non = '('\n[[turn.step]]\nsay = 'x'", "m.toml:4:6: not a regular expression: unclosed group"),
        ("[[turn]]\non = 7\n[[turn.step]]\nsay = 'x'", "m.toml:4:6: `a pattern` must be a string, not integer"),
        (
            "[[turn]]\n[[turn.step]]\nwrite = { 'a.py' = 'files/b.py' }",
            "m.toml:5:20: `files/b.py` is not in the script folder; did you mean `files/a.py`?",
        ),
        (
            "[[turn]]\n[[turn.step]]\nsay = '{{isue}}'",
            "m.toml:5:7: `{{isue}}` is neither captured before this step nor one of the agent's own values",
        ),
        (
            "[[turn]]\n[[turn.step]]\nrun = 'ls {{rigg}}'",
            "m.toml:5:7: `{{rigg}}` is neither captured before this step nor one of the agent's own values; did you mean `rig`?",
        ),
        (
            "[[turn]]\n[[turn.step]]\nrun = 'x'\ntimeout_s = 0",
            "m.toml:6:13: `timeout_s` must be a number of seconds above 0, not 0",
        ),
        (
            "[[turn]]\n[[turn.step]]\nrun = 'x'\ncapture = { rig = 'x' }",
            "m.toml:6:13: `rig` is the agent's own value and cannot be captured",
        ),
        (
            "[[turn]]\n[[turn.step]]\nsay = 'x'\n[[turn.step]]\nsay = 'y'",
            "m.toml:4:1: a step without `run` and `write` ends its turn: the steps after it are never reached",
        ),
        (
            "[[turn]]\n[[turn.step]]\ntimeout_s = 1\nsay = 'x'",
            "m.toml:4:1: `timeout_s` needs `run` or `write`: there is no result without them",
        ),
        (
            "[[turn]]\n[[turn.step]]\nneed = 'x'\nsay = 'x'",
            "m.toml:4:1: `need` is about the previous step's result, and this is the first step",
        ),
        ("[[turn]]\n[[turn.step]]\n", "m.toml:4:1: a step needs `say`, `run` or `write`"),
        ("[[turn]]\non = 'x'", "m.toml:3:1: a turn needs at least one [[turn.step]]"),
        ("", "m.toml:1:1: a script needs at least one [[turn]]"),
        ("turn = 3", "m.toml:3:8: `turn` must be a list of tables with at least one, not integer"),
    ] {
        assert_eq!(problems_of(turns), [expected], "{turns}");
    }
}

#[test]
fn a_capture_is_known_after_its_step_and_in_other_turns() {
    let later = "[[turn]]\n[[turn.step]]\nrun = 'x {{id}}'\ncapture = { id = 'x' }\n[[turn.step]]\nsay = '{{id}}'";
    assert_eq!(
        problems_of(later),
        ["m.toml:5:7: `{{id}}` is neither captured before this step nor one of the agent's own values"]
    );
    let other = "[[turn]]\non = '(?<id>x)'\n[[turn.step]]\nsay = '{{id}}'\n[[turn]]\n[[turn.step]]\nsay = '{{id}} {{ .Go }}'";
    assert_eq!(problems_of(other), Vec::<String>::new());
}

#[test]
fn all_problems_of_all_files_are_told_at_once() {
    let a = "role = 3\nschema = 2\n[[turn]]\n[[turn.step]]\nsay = 1\nrum = 'x'\n";
    let b = "schema = 1\n[[turn]]\n[[turn.step]]\nsay = 'x'\n";
    assert_eq!(
        problems(&[("a.toml", a), ("b.toml", b)]),
        [
            "a.toml:1:8: `role` must be a string, not integer",
            "a.toml:2:10: schema 2 is not known; this proctor reads schema 1",
            "a.toml:5:7: `say` must be a string, not integer",
            "a.toml:6:1: unknown key `rum` in a step; did you mean `run`?",
            "b.toml:1:1: `role` is missing: it says whom this script plays",
        ]
    );
}

#[test]
fn broken_toml_is_told_with_its_place() {
    let found = problems(&[("a.toml", "schema = 1\nrole = \n"), ("b.toml", "schema = 1\nrole = 'x\n")]);
    assert!(found.iter().any(|problem| problem.starts_with("a.toml:2:")), "{found:?}");
    assert!(found.iter().any(|problem| problem.starts_with("b.toml:2:")), "{found:?}");
}

#[test]
fn one_role_is_played_once_per_rig() {
    let script = |rig: &str| format!("schema = 1\nrole = 'polecat'\n{rig}[[turn]]\n[[turn.step]]\nsay = 'x'\n");
    let (any, bob) = (script(""), script("rig = 'bob'\n"));
    assert_eq!(problems(&[("a.toml", &any), ("b.toml", &bob)]), Vec::<String>::new());
    assert_eq!(problems(&[("a.toml", &any), ("b.toml", &any)]), ["b.toml:2:8: role `polecat` is played by `a.toml` already"]);
    assert_eq!(
        problems(&[("a.toml", &bob), ("b.toml", &bob)]),
        ["b.toml:2:8: role `polecat` in rig `bob` is played by `a.toml` already"]
    );
}

#[test]
fn a_folder_without_scripts_and_no_folder_are_problems() {
    assert_eq!(problems(&[("files/a.toml", "x")]), [".:1:1: the script folder has no script (`*.toml`)"]);
    let missing = Scripts::load(std::path::Path::new("no/such/folder"), World::default()).unwrap_err();
    assert!(missing[0].to_string().contains("no/such/folder:1:1: cannot be read"), "{}", missing[0]);
}

fn gastown(merge: Merge) -> World {
    World { town: Town::Gastown, merge, daemon: false }
}

#[test]
fn a_condition_names_a_known_town_and_way_of_merging() {
    for (turns, expected) in [
        ("only = { town = 'gastwon' }", "m.toml:3:17: unknown town `gastwon`; known: builtin, gastown; did you mean `gastown`?"),
        ("only = { merge = 'dirct' }", "m.toml:3:18: unknown merge `dirct`; known: queue, direct; did you mean `direct`?"),
        ("only = { twon = 'gastown' }", "m.toml:3:10: unknown key `twon` in `only`; did you mean `town`?"),
        ("only = { town = 1 }", "m.toml:3:17: `town` must be a string, not integer"),
        ("only = { daemon = 'yes' }", "m.toml:3:19: `daemon` must be true or false, not string"),
        ("only = 'gastown'", "m.toml:3:8: `only` must be a table, not string"),
    ] {
        assert_eq!(problems_of(&format!("{turns}\n[[turn]]\n[[turn.step]]\nsay = 'x'")), [expected], "{turns}");
    }
    let turn = "[[turn]]\nonly = { town = 'x' }\n[[turn.step]]\nonly = { town = 'y' }\nsay = 'x'";
    let known = "known: builtin, gastown";
    assert_eq!(
        problems_of(turn),
        [format!("m.toml:4:17: unknown town `x`; {known}"), format!("m.toml:6:17: unknown town `y`; {known}")]
    );
}

#[test]
fn what_is_not_for_this_world_is_not_there() {
    let script =
        "[[turn]]\n[[turn.step]]\nonly = { town = 'builtin' }\nrun = 'x'\ncapture = { id = 'x' }\n[[turn.step]]\nsay = '{{id}}'";
    let files = [("m.toml", format!("{HEAD}{script}"))];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    assert_eq!(problems(&files), Vec::<String>::new());
    let missing = "m.toml:9:7: `{{id}}` is neither captured before this step nor one of the agent's own values";
    assert_eq!(problems_in(gastown(Merge::Queue), &files), [missing], "its capture is not known either");
}

#[test]
fn a_step_for_the_daemon_is_there_only_with_it() {
    let step = "[[turn]]\n[[turn.step]]\nonly = { daemon = true }\nsay = 'the daemon runs: {{daemon}}'";
    let files = [("m.toml", format!("{HEAD}{step}"))];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let without = "m.toml:3:1: no [[turn.step]] of this turn is for town `gastown` with merge `queue`";
    assert_eq!(problems_in(gastown(Merge::Queue), &files), [without]);
    assert_eq!(problems_in(World { daemon: true, ..gastown(Merge::Queue) }, &files), Vec::<String>::new());
}

#[test]
fn a_turn_and_a_script_that_are_there_have_something_to_play() {
    let step = "[[turn]]\n[[turn.step]]\nonly = { merge = 'direct' }\nsay = 'x'";
    assert_eq!(problems_of(step), ["m.toml:3:1: no [[turn.step]] of this turn is for town `builtin` with merge `queue`"]);
    let turn = "[[turn]]\nonly = { merge = 'direct' }\n[[turn.step]]\nsay = 'x'";
    assert_eq!(problems_of(turn), ["m.toml:1:1: no [[turn]] is for town `builtin` with merge `queue`"]);
    for absent in [step, turn] {
        assert_eq!(problems_of(&format!("only = {{ town = 'gastown' }}\n{absent}")), Vec::<String>::new());
    }
}

#[test]
fn one_role_can_be_played_by_another_script_in_each_world() {
    let script =
        |town: &str| format!("schema = 1\nrole = 'mayor'\nonly = {{ town = '{town}' }}\n[[turn]]\n[[turn.step]]\nsay = 'x'\n");
    let (ours, theirs) = (script("builtin"), script("gastown"));
    for world in World::all() {
        assert_eq!(problems_in(world, &[("a.toml", &ours), ("b.toml", &theirs)]), Vec::<String>::new());
    }
    let twice = problems_in(gastown(Merge::Direct), &[("a.toml", &theirs), ("b.toml", &theirs)]);
    assert_eq!(twice, ["b.toml:2:8: role `mayor` is played by `a.toml` already"]);
}

#[test]
fn a_mistake_in_an_absent_part_is_told_all_the_same() {
    let script = "[[turn]]\n[[turn.step]]\nsay = 'x'\n[[turn]]\nonly = { town = 'gastown' }\non = '('\n[[turn.step]]\nsayy = 'y'";
    assert_eq!(
        problems_of(script),
        [
            "m.toml:8:6: not a regular expression: unclosed group",
            "m.toml:9:1: a step needs `say`, `run` or `write`",
            "m.toml:10:1: unknown key `sayy` in a step; did you mean `say`?",
        ]
    );
}
