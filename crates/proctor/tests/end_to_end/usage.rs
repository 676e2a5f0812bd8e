//! What was typed wrong is said with the nearest right word, and no run is begun.

use std::fs;

use crate::sandbox::{Ran, Sandbox};

/// Runs, expects exit code 2 and every part on standard error, and that no run was begun.
#[track_caller]
fn refused(args: &[&str], parts: &[&str]) {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(args).expect_code(2);
    for part in parts {
        assert!(ran.stderr.contains(part), "`{part}` is missing in:\n{}", ran.stderr);
    }
    assert_eq!(ran.stdout, "");
    assert!(!sandbox.work().join("reports").exists());
    assert!(sandbox.bases().is_empty());
}

#[test]
fn an_unknown_scenario_names_the_nearest() {
    refused(&["run", "crypto-tale"], &["error: unknown scenario `crypto-tale`", "hint: did you mean `crypto-tales`?"]);
}

#[test]
fn an_unknown_flag_names_the_nearest() {
    refused(&["run", "crypto-tales", "--sed", "7"], &["'--sed'", "'--seed'"]);
}

#[test]
fn an_unknown_command_names_the_nearest() {
    refused(&["rum"], &["'rum'", "'run'"]);
}

#[test]
fn a_time_without_a_unit_is_refused() {
    for command in ["run", "selftest"] {
        refused(&[command, "crypto-tales", "--timeout", "30"], &["--timeout", "`30` is not a duration", "30s"]);
    }
}

#[test]
fn an_agent_without_a_role_is_refused() {
    refused(&["run", "crypto-tales", "--agent", "./x"], &["--agent", "ROLE=COMMAND"]);
    refused(&["run", "crypto-tales", "--agent", "pilot=./x"], &["pilot"]);
}

#[test]
fn an_unknown_run_is_said_with_where_it_was_looked_for() {
    for command in ["judge", "view", "attach"] {
        refused(&[command, "7k3f"], &["7k3f"]);
    }
    refused(&["exercise", "7k3f", "alice"], &["7k3f", "proctor runs"]);
}

#[test]
fn an_unknown_selftest_case_names_the_nearest() {
    refused(&["selftest", "bob-constan"], &["no selftest case `bob-constan`", "`bob-constant`"]);
}

#[test]
fn a_folder_without_a_scenario_is_refused() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.work().join("empty")).unwrap();
    let ran = sandbox.run(&["run", "./empty"]).expect_code(2);
    assert!(ran.stderr.contains("scenario.toml") && ran.stderr.contains("scenarios new"), "{}", ran.stderr);
}

/// A new scenario whose file was changed by `edit`.
fn broken_scenario(edit: impl Fn(String) -> String) -> (Sandbox, Ran) {
    let sandbox = Sandbox::new();
    sandbox.run(&["scenarios", "new", "mine"]).expect_code(0);
    let path = sandbox.work().join("mine/scenario.toml");
    fs::write(&path, edit(fs::read_to_string(&path).unwrap())).unwrap();
    let ran = sandbox.run(&["run", "./mine"]);
    (sandbox, ran)
}

#[test]
fn an_unknown_key_is_drawn_with_its_line_and_the_nearest_key() {
    let (_sandbox, ran) = broken_scenario(|text| text.replacen("title =", "titel =", 1));
    let ran = ran.expect_code(2);
    for part in ["unknown key `titel`", "mine/scenario.toml:", "did you mean `title`?"] {
        assert!(ran.stderr.contains(part), "`{part}` is missing in:\n{}", ran.stderr);
    }
}

#[test]
fn a_missing_prompt_file_is_named() {
    let sandbox = Sandbox::new();
    sandbox.run(&["scenarios", "new", "mine"]).expect_code(0);
    fs::remove_file(sandbox.work().join("mine/prompt.md")).unwrap();
    let ran = sandbox.run(&["run", "./mine"]).expect_code(2);
    assert!(ran.stderr.contains("prompt.md"), "{}", ran.stderr);
}

#[test]
fn validate_shows_every_problem_at_once() {
    let (sandbox, _) = broken_scenario(|text| format!("one = 1\ntwo = 2\nthree = 3\nfour = 4\n{text}"));
    let ran = sandbox.run(&["validate", "./mine", "--json"]).expect_code(2);
    let problems: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(problems.as_array().unwrap().len() >= 4, "{problems:#}");
    assert_eq!(problems[0]["file"], "scenario.toml");
    assert_eq!(problems[0]["line"], 1);
    let ran = sandbox.run(&["run", "./mine"]).expect_code(2);
    assert!(ran.stderr.contains("proctor validate ./mine"), "{}", ran.stderr);
}

#[test]
fn a_used_folder_is_not_written_over() {
    let sandbox = Sandbox::new();
    sandbox.run(&["scenarios", "new", "mine"]).expect_code(0);
    let ran = sandbox.run(&["scenarios", "export", "crypto-tales", "mine"]).expect_code(2);
    assert!(ran.stderr.contains("mine exists already"), "{}", ran.stderr);
}

#[test]
fn an_exported_scenario_is_the_shipped_one() {
    let sandbox = Sandbox::new();
    sandbox.run(&["scenarios", "export", "crypto-tales", "tales"]).expect_code(0);
    sandbox.run(&["validate", "./tales"]).expect_code(0);
    sandbox.run(&["validate", "crypto-tales"]).expect_code(0);
}

#[test]
fn help_states_examples_and_exit_codes() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(&["--help"]).expect_code(0).stdout;
    for part in ["Examples:", "Exit codes:", "100", "101", "102", "103", "104", "130"] {
        assert!(help.contains(part), "`{part}` is missing in:\n{help}");
    }
    assert!(sandbox.run(&["run", "--help"]).expect_code(0).stdout.contains("--agent <ROLE=COMMAND>"));
}

#[test]
fn output_without_a_terminal_has_no_escapes() {
    let sandbox = Sandbox::new();
    for args in [&["--help"][..], &["scenarios"], &["runs"], &["version"], &["validate", "crypto-tales"]] {
        let ran = sandbox.run(args).expect_code(0);
        assert!(!ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'), "{args:?}");
    }
}

#[test]
fn completions_and_schemas_are_printed() {
    let sandbox = Sandbox::new();
    assert!(sandbox.run(&["completions", "bash"]).expect_code(0).stdout.contains("proctor"));
    for of in ["scenario", "case", "summary"] {
        let text = sandbox.run(&["schema", of]).expect_code(0).stdout;
        let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(jsonschema::meta::is_valid(&schema), "{of}");
    }
}
