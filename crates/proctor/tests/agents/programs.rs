//! Programs named by `--agent` and by the scenario: started as Gas Town starts them, with and without a model, well- and ill-behaved.

use std::process::Command;

use crate::mini::{Mini, PLAN, WORK, agent, findings, summary_of, transcript};
use crate::sandbox::assert_nothing_left;
use serde_json::Value;

/// A mayor in shell: a prompt, lines from the terminal, and the plan when it is told of the letters.
fn line_mayor(prompt: &str) -> String {
    format!(
        "printf '{prompt}'\nwhile read -r line; do case \"$line\" in *'one letter'*) (\n{PLAN}) </dev/null ;; esac; printf '{prompt}'; done\n"
    )
}

/// A mayor in Python: raw terminal, texts that end in CR, the plan as a child.
const RAW_MAYOR: &str = r#"
import os, subprocess, sys, termios, tty
tty.setraw(0)
print("beacon=" + sys.argv[-1].replace("\n", "|"), end="\r\n", flush=True)
for key in ("GT_ROLE", "GT_ROOT", "GT_TOWN_ROOT", "GT_SESSION", "BD_ACTOR", "TERM"):
    print(f"{key}={os.environ.get(key)}", end="\r\n", flush=True)
text = b""
while True:
    sys.stdout.write("\u276f "); sys.stdout.flush()
    while not text.endswith(b"\r"):
        text += os.read(0, 4096)
    print(f"text={text!r}", end="\r\n", flush=True)
    if b"one letter" in text:
        subprocess.run(["sh", os.path.join(os.path.dirname(sys.argv[0]), "plan.sh")], stdin=subprocess.DEVNULL)
    text = b""
"#;

/// The Python of this machine by its own path, since a town's `PATH` has the system's folders only.
fn python() -> Option<String> {
    let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().ok()?;
    let found = output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned());
    if found.is_none() {
        eprintln!("skipped: python3 not found");
    }
    found
}

/// `NAME=value` lines of a transcript.
fn printed<'a>(transcript: &'a str, key: &str) -> Option<&'a str> {
    transcript.lines().find_map(|line| line.trim_start_matches("❯ ").strip_prefix(key)?.strip_prefix('='))
}

#[test]
fn programs_without_a_model_play_a_whole_run() {
    let Some(python) = python() else { return };
    let mini = Mini::new();
    let raw = mini.write("raw.py", RAW_MAYOR);
    mini.write("plan.sh", PLAN);
    let mayor = format!("mayor={python} {}", raw.display());
    let worker = mini.program("worker", &format!("env\nprintf 'beacon=%s\\n' \"$1\"\ntty\n{WORK}"));
    let ran = mini.run(&["--agent", &mayor, "--agent", &format!("polecat={worker}")]).expect_code(0);
    let summary = summary_of(&ran);
    assert_eq!(summary["outcome"], "passed");
    for who in ["mayor", "north/", "south/"] {
        let row = agent(&summary, who);
        assert_eq!((&row["telemetry"]["status"], &row["model_calls"]), (&Value::from("not_expected"), &Value::from(0)), "{row}");
    }
    let report = mini.sandbox.report();
    receipt_is_an_act(&report);
    mayor_is_told(&transcript(&report, "hq-mayor"));
    worker_is_told(agent(&summary, "north/"), &transcript(&report, "no-"));
    assert_nothing_left(&mini.sandbox);
}

/// Without a model request the proof that the prompt was received is what the mayor did next.
fn receipt_is_an_act(report: &std::path::Path) {
    let record: Value = serde_json::from_slice(&std::fs::read(report.join("evidence/run.json")).unwrap()).unwrap();
    assert_eq!(record["delivery"]["proof"], "the mayor's first act: bead_create", "{}", record["delivery"]);
}

fn mayor_is_told(text: &str) {
    assert_eq!((printed(text, "GT_ROLE"), printed(text, "BD_ACTOR")), (Some("mayor"), Some("mayor")), "{text}");
    assert_eq!(printed(text, "GT_SESSION"), Some("hq-mayor"));
    assert_eq!(printed(text, "GT_ROOT"), printed(text, "GT_TOWN_ROOT"));
    let beacon = printed(text, "beacon").unwrap();
    assert!(beacon.starts_with("[GAS TOWN] mayor <- human • ") && beacon.contains(" • cold-start||"), "{beacon}");
    // The prompt as it was written, its line feeds included, and one Enter.
    let first = printed(text, "text").unwrap();
    assert!(first.contains(r"two workers.\n\nWrite one letter in each rig") && first.ends_with("\\r'"), "{first}");
    assert!(!first[..first.len() - 3].contains(r"\r"), "{first}");
}

/// Every variable of Gas Town's session environment that has a meaning without Dolt and tmux.
fn worker_is_told(row: &Value, text: &str) {
    let who = row["agent"].as_str().unwrap();
    let name = who.rsplit('/').next().unwrap();
    let issue = row["issue"].as_str().unwrap();
    let get = |key: &str| printed(text, key).unwrap_or_else(|| panic!("{key} is missing:\n{text}"));
    for (key, expected) in [
        ("GT_ROLE", who),
        ("BD_ACTOR", who),
        ("GIT_AUTHOR_NAME", who),
        ("GT_RIG", "north"),
        ("GT_POLECAT", name),
        ("POLECAT_SLOT", "0"),
        ("BEADS_AGENT_NAME", &format!("north/{name}")),
        ("GT_SESSION", &format!("no-{name}")),
        ("GT_AGENT", "launch"),
        ("BEADS_DOLT_AUTO_START", "0"),
        ("BD_DOLT_AUTO_COMMIT", "off"),
        ("BD_BACKUP_ENABLED", "false"),
        ("NODE_OPTIONS", ""),
        ("CLAUDECODE", ""),
        ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/protobuf"),
    ] {
        assert_eq!(get(key), expected, "{key}");
    }
    assert_eq!(get("GT_ROOT"), get("GIT_CEILING_DIRECTORIES"));
    assert_eq!(get("GT_POLECAT_PATH"), get("PWD"));
    assert!(get("GT_BRANCH").starts_with(&format!("polecat/{name}/{issue}@")));
    assert_eq!(get("GT_RUN").len(), 36, "a UUID");
    let own = format!("/agents/north%2Fpolecats%2F{name}/");
    for key in ["GT_OTEL_LOGS_URL", "GT_OTEL_METRICS_URL", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "BD_OTEL_METRICS_URL"] {
        assert!(get(key).contains(&own), "{key}={}", get(key));
    }
    let attributes = get("OTEL_RESOURCE_ATTRIBUTES");
    for part in
        [format!("gt.role={who},"), format!("gt.issue={issue},"), "proctor.run.id=".into(), "gt.prompt=[GAS%20TOWN]%20".into()]
    {
        assert!(attributes.contains(&part), "{part}: {attributes}");
    }
    assert!(get("beacon").starts_with(&format!("[GAS TOWN] polecat {name} (rig: north) <- witness • ")), "{}", get("beacon"));
    assert!(text.contains("/dev/pts/"), "it has a terminal:\n{text}");
}

#[test]
fn one_worker_by_its_rig_beside_built_in_ones() {
    let mini = Mini::new();
    let worker = mini.program("my-worker", WORK);
    let summary = summary_of(&mini.run(&["--agent", &format!("polecat:north={worker} --fast")]).expect_code(0));
    let (north, south) = (agent(&summary, "north/"), agent(&summary, "south/"));
    assert_eq!(north["program"], format!("{worker} --fast"));
    assert_eq!((&north["telemetry"]["status"], &north["usage_from"]), (&"not_expected".into(), &"none".into()));
    assert_eq!((&south["program"], &south["telemetry"]["status"]), (&"builtin".into(), &"complete".into()));
    assert_eq!(agent(&summary, "mayor")["program"], "builtin");
}

#[test]
fn the_scenario_names_programs_too_and_gives_them_their_environment() {
    let mini = Mini::new();
    mini.program("mini/script/worker", &format!("echo \"MOOD=$MOOD\"\n{WORK}"));
    mini.add("[agents.\"polecat:north\"]\ncommand = \"script/worker\"\nenv = { MOOD = \"cheerful\" }\n");
    let summary = summary_of(&mini.run(&[]).expect_code(0));
    assert_eq!(agent(&summary, "north/")["program"], "script/worker");
    assert_eq!(printed(&transcript(&mini.sandbox.report(), "no-"), "MOOD"), Some("cheerful"));
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let mini = Mini::new();
    let ran = mini.run(&["--agent", "polecat:north=./no-such-agent --x"]).expect_code(102);
    let summary = summary_of(&ran);
    assert_eq!(summary["outcome"], "environment_error");
    assert!(summary["headline"].as_str().unwrap().contains("./no-such-agent"), "{}", summary["headline"]);
    assert_nothing_left(&mini.sandbox);
}

#[test]
fn a_mayor_that_dies_at_once_is_named_with_what_it_said() {
    let mini = Mini::new();
    let mayor = mini.program("mayor", "echo 'no licence found'; exit 7\n");
    let summary = summary_of(&mini.run(&["--agent", &format!("mayor={mayor}")]).expect_code(102));
    let headline = summary["headline"].as_str().unwrap();
    assert!(headline.contains(&mayor) && headline.contains("exit 7") && headline.contains("no licence found"), "{headline}");
    assert!(transcript(&mini.sandbox.report(), "hq-mayor").contains("no licence found"));
    assert_nothing_left(&mini.sandbox);
}

#[test]
fn a_worker_that_dies_at_once_does_not_land() {
    let mini = Mini::new();
    let worker = mini.program("worker", "echo 'no licence found'; exit 7\n");
    let ran = mini.run(&["--agent", &format!("polecat:north={worker}"), "--timeout", "6s"]).expect_code(100);
    let summary = summary_of(&ran);
    assert_eq!(summary["outcome"], "not_landed");
    let problems = summary["findings"].as_array().unwrap().iter().filter(|row| row["level"] == "problem");
    let said: String = problems.map(ToString::to_string).collect();
    assert!(said.contains("exit 7"), "{said}");
    assert_nothing_left(&mini.sandbox);
}

#[test]
fn an_agent_that_ignores_sigterm_is_killed_and_says_so() {
    let mini = Mini::new();
    let worker = mini.program("worker", &format!("trap '' TERM HUP INT\n{WORK}while :; do sleep 600; done\n"));
    let summary = summary_of(&mini.run(&["--agent", &format!("polecat={worker}")]).expect_code(0));
    let exit = agent(&summary, "north/")["exit"].as_str().unwrap();
    assert_eq!(exit, "stopped by gt down, killed: SIGTERM did not end it");
    assert_nothing_left(&mini.sandbox);
}

#[test]
fn a_process_left_behind_is_ended_and_named() {
    let mini = Mini::new();
    // It goes on working only once the process has left its group, with which it would be ended.
    let away = "setsid sh -c ': >\"$TMPDIR/away\"; exec sleep 7531' </dev/null >/dev/null 2>&1 &\nuntil [ -e \"$TMPDIR/away\" ]; do sleep 0.01; done\n";
    let worker = mini.program("worker", &format!("{away}{WORK}"));
    let summary = summary_of(&mini.run(&["--agent", &format!("polecat:south={worker}")]).expect_code(0));
    let found = findings(&summary, "process.left_behind");
    assert_eq!(found.len(), 1, "{found:?}");
    let title = found[0]["title"].as_str().unwrap();
    assert!(title.starts_with("south/") && title.contains("sleep 7531"), "{title}");
    assert_nothing_left(&mini.sandbox);
}

#[test]
fn a_mayor_without_a_prompt_is_told_all_the_same() {
    let mini = Mini::new();
    let mayor = mini.program("mayor", &line_mayor(""));
    let worker = mini.program("worker", WORK);
    let ran = mini.run(&["--agent", &format!("mayor={mayor}"), "--agent", &format!("polecat={worker}")]).expect_code(0);
    assert_eq!(summary_of(&ran)["outcome"], "passed");
}

#[test]
fn a_claim_to_be_another_agent_is_believed_by_nobody() {
    let mini = Mini::new();
    let claim =
        "GT_ROLE=mayor OTEL_RESOURCE_ATTRIBUTES=\"$OTEL_RESOURCE_ATTRIBUTES,gt.role=mayor,gt.actor=mayor\" gt prime >/dev/null\n";
    let worker = mini.program("worker", &format!("{claim}{WORK}"));
    let mayor = mini.program("mayor", &line_mayor("❯ "));
    let ran = mini.run(&["--agent", &format!("polecat:south={worker}"), "--agent", &format!("mayor={mayor}")]).expect_code(0);
    let summary = summary_of(&ran);
    let found = findings(&summary, "identity.contradicted");
    assert_eq!(found.len(), 1, "{found:?}");
    let title = found[0]["title"].as_str().unwrap();
    assert!(title.contains("came by south/") && title.contains("claim to be mayor's"), "{title}");
}

#[test]
fn an_agent_stopped_in_the_middle_of_its_work_loses_no_telemetry() {
    let mini = Mini::new();
    mini.write("mini/script/work.sh", "sleep 600\n");
    let summary = summary_of(&mini.run(&["--timeout", "5s"]).expect_code(100));
    assert_eq!(summary["outcome"], "not_landed");
    for who in ["mayor", "north/", "south/"] {
        let row = agent(&summary, who);
        assert_eq!(row["telemetry"]["status"], "complete", "{row}");
        assert!(row["model_calls"].as_u64().unwrap() > 0, "{row}");
    }
}

#[test]
fn an_agent_without_telemetry_is_named_with_the_cause() {
    let mini = Mini::new();
    mini.add("[[fault]]\nname = \"deaf\"\nkind = \"telemetry\"\nagent = \"polecat:south\"\n");
    let summary = summary_of(&mini.run(&[]).expect_code(100));
    let found = findings(&summary, "telemetry");
    assert_eq!(found.len(), 1, "{:#}", summary["findings"]);
    let said = found[0].to_string();
    assert!(said.contains("south/") && said.contains("the planned fault `deaf`"), "{said}");
    assert_eq!(agent(&summary, "north/")["telemetry"]["status"], "complete");
}
