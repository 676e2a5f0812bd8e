//! A machine that lacks something: never a product failure, always a message with what to do.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::mini::{Mini, on_path};
use crate::sandbox::{HANGING, Ran, Sandbox, assert_nothing_left};

#[test]
fn a_port_in_use_is_an_environment_error_with_reports() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for flag in ["--port", "--gateway-port"] {
        let sandbox = Sandbox::new();
        let ran = Ran::of(sandbox.crypto_tales(&[flag, &port]).output().unwrap()).expect_code(102);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains(&port) && said.contains(flag), "{said}");
        assert_eq!(sandbox.summary()["outcome"], "environment_error");
        assert_nothing_left(&sandbox);
    }
}

#[test]
fn reports_that_cannot_be_written_are_an_environment_error() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work().join("file"), "").unwrap();
    let ran = Ran::of(sandbox.crypto_tales(&["--reports", "file/reports"]).output().unwrap()).expect_code(102);
    assert!(ran.stderr.contains("file/reports"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
    assert_nothing_left(&sandbox);
}

#[test]
fn without_a_home_or_cache_nothing_is_begun() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.crypto_tales(&[]);
    let ran = Ran::of(command.env_remove("HOME").env_remove("XDG_CACHE_HOME").output().unwrap()).expect_code(102);
    assert!(ran.stderr.contains("HOME"), "{}", ran.stderr);
    assert!(!sandbox.work().join("reports").exists());
}

/// A folder with links to `programs` only.
fn path_with(sandbox: &Sandbox, programs: &[&str]) -> PathBuf {
    let folder = sandbox.work().join("programs");
    fs::create_dir(&folder).unwrap();
    for program in programs {
        let found = on_path(program).unwrap_or_else(|| panic!("{program} is needed"));
        symlink(found, folder.join(program)).unwrap();
    }
    folder
}

#[test]
fn without_python_the_run_says_so() {
    let sandbox = Sandbox::new();
    let path = path_with(&sandbox, &["git"]);
    let mut command = sandbox.proctor(&["run", "crypto-tales"]);
    let ran = Ran::of(command.env("PATH", path).output().unwrap()).expect_code(102);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.to_lowercase().contains("python") && said.contains("--python"), "{said}");
    assert_eq!(sandbox.summary()["outcome"], "environment_error");
    assert_nothing_left(&sandbox);
}

#[test]
fn without_git_the_run_says_so() {
    let sandbox = Sandbox::new();
    let path = path_with(&sandbox, &[]);
    let ran = Ran::of(Mini::new(&sandbox).run(&[]).env("PATH", path).output().unwrap()).expect_code(102);
    assert!(ran.stdout.contains("no git was found") && ran.stdout.contains("install git"), "{}", ran.stdout);
    assert_eq!(sandbox.summary()["outcome"], "environment_error");
    assert_nothing_left(&sandbox);
}

#[test]
fn a_convoy_timeout_that_is_no_number_is_refused() {
    let sandbox = Sandbox::new();
    let ran = Ran::of(Mini::new(&sandbox).run(&[]).env("CONVOY_TIMEOUT", "1h").output().unwrap()).expect_code(2);
    assert!(ran.stderr.contains("1h"), "{}", ran.stderr);
    assert!(!sandbox.work().join("reports").exists());
}

#[test]
fn an_interpreter_that_is_none_is_named() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(&["run", "crypto-tales", "--python", "/no/python"]).expect_code(102);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("/no/python"), "{said}");
}

#[test]
fn the_variable_convoy_timeout_is_in_seconds() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.crypto_tales(&["--agent", HANGING]);
    let ran = Ran::of(command.env("CONVOY_TIMEOUT", "2").output().unwrap()).expect_code(100);
    assert!(ran.stdout.contains("NOT LANDED"), "{}", ran.stdout);
    assert!(sandbox.summary()["run"]["command"].as_str().unwrap().contains("--timeout 2s"));
    assert_nothing_left(&sandbox);
}

#[test]
fn a_dead_collector_does_not_stop_a_command() {
    let sandbox = Sandbox::new();
    let gt = personality(&sandbox, "gt");
    // Port 9 of the loopback address refuses connections at once.
    let ran = std::process::Command::new(gt)
        .arg("--help")
        .env_clear()
        .env("GT_OTEL_METRICS_URL", "http://127.0.0.1:9/opentelemetry/api/v1/push")
        .env("GT_OTEL_LOGS_URL", "http://127.0.0.1:9/insert/opentelemetry/v1/logs")
        .current_dir(sandbox.work())
        .output()
        .unwrap();
    Ran::of(ran).expect_code(0);
}

/// A link to the binary under another name.
pub(crate) fn personality(sandbox: &Sandbox, name: &str) -> PathBuf {
    let bin = sandbox.work().join("base/bin");
    fs::create_dir_all(&bin).unwrap();
    let link = bin.join(name);
    symlink(Path::new(env!("CARGO_BIN_EXE_proctor")), &link).unwrap();
    link
}

#[test]
fn agent_launch_without_a_table_or_a_role_says_so() {
    let sandbox = Sandbox::new();
    let launch = personality(&sandbox, "agent-launch");
    let run = |role: Option<&str>| {
        let mut command = std::process::Command::new(&launch);
        command.arg("beacon").env_clear().envs(role.map(|role| ("GT_ROLE", role)));
        Ran::of(command.output().unwrap()).expect_code(2).stderr
    };
    assert!(run(Some("mayor")).contains("agents.json"));
    let table = r#"{"schema":1,"gateway":"http://g","otlp":"http://o","secret":"s","roles":{}}"#;
    fs::write(sandbox.work().join("base/agents.json"), table).unwrap();
    assert!(run(None).contains("GT_ROLE"));
    assert!(run(Some("alice/polecats/rust")).contains("polecat:alice"));
}

#[test]
fn agent_launch_becomes_the_program_with_its_own_addresses() {
    let sandbox = Sandbox::new();
    let launch = personality(&sandbox, "agent-launch");
    let table = r#"{"schema":1,"gateway":"http://g","otlp":"http://o","secret":"s","roles":{"polecat":
        {"program":"env","command":["/usr/bin/env"],"env":{"EXTRA":"1"},"telemetry":true}}}"#;
    fs::write(sandbox.work().join("base/agents.json"), table).unwrap();
    let mut command = std::process::Command::new(launch);
    let command = command.env_clear().env("GT_ROLE", "alice/polecats/rust").env("KEPT", "2");
    let printed = Ran::of(command.output().unwrap()).expect_code(0).stdout;
    let own = format!("alice%2Fpolecats%2Frust/{}", proctor_harness::launch::token("s", "alice/polecats/rust"));
    for line in [
        "EXTRA=1",
        "KEPT=2",
        &format!("ANTHROPIC_BASE_URL=http://g/a/{own}"),
        &format!("GT_OTEL_LOGS_URL=http://o/agents/{own}/v1/logs"),
    ] {
        assert!(printed.lines().any(|found| found == line), "{line} is missing in:\n{printed}");
    }
    let listed = fs::read_to_string(sandbox.work().join("base/sessions.ndjson")).unwrap();
    let row: serde_json::Value = serde_json::from_str(listed.trim_end()).unwrap();
    assert_eq!((&row["agent"], &row["role"], &row["rig"]), (&"alice/polecats/rust".into(), &"polecat".into(), &"alice".into()));
    assert!(row["pid"].as_u64() > Some(0) && row["started"].as_u64() > Some(0), "{row}");
}
