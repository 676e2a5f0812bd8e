//! Agents that do nothing or end: what stood on their terminals is told, and nobody waits for what cannot come.

use serde_json::Value;

use crate::mini::{Mini, PLAN, WORK, agent, findings, summary_of};
use crate::sandbox::assert_nothing_left;

/// A scenario that gives a mayor one second to show that it has its prompt.
fn impatient() -> Mini {
    let mini = Mini::new();
    let file = mini.sandbox.work().join("mini/scenario.toml");
    let text = std::fs::read_to_string(file).unwrap();
    mini.write("mini/scenario.toml", &text.replace("landing = \"90s\"", "landing = \"90s\"\nreceipt = \"1s\""));
    mini
}

/// The one finding with this id.
#[track_caller]
fn the<'a>(summary: &'a Value, id: &str) -> &'a Value {
    let found = findings(summary, id);
    assert_eq!(found.len(), 1, "{id}: {:#}", summary["findings"]);
    found[0]
}

/// The fact of a finding under that label.
#[track_caller]
fn fact<'a>(finding: &'a Value, label: &str) -> &'a str {
    let details = finding["details"].as_array().unwrap();
    let found = details.iter().find(|detail| detail["label"] == label);
    found.unwrap_or_else(|| panic!("no {label} in {finding:#}"))["text"].as_str().unwrap()
}

#[test]
fn a_mayor_of_ones_own_that_reads_its_prompt_and_does_nothing_did_not_land() {
    for (program, shown) in [
        ("printf '❯ '; while read -r line; do :; done\n", "Letters"),
        ("echo 'Do you trust this folder? (y/n)'; cat >/dev/null\n", "Do you trust this folder? (y/n)"),
        ("printf '\\033[2J\\033[3;4HPress any key\\033]0;x\\007'; sleep 600\n", "Press any key"),
    ] {
        let mini = impatient();
        let mayor = mini.program("mayor", program);
        let summary = summary_of(&mini.run(&["--agent", &format!("mayor={mayor}")]).expect_code(100));
        assert_eq!(summary["outcome"], "not_landed", "{:#}", summary["findings"]);
        let why = the(&summary, "landed.never_slung");
        assert!(fact(why, "terminal").contains(shown), "{why:#}");
        assert!(fact(why, "mayor").contains("it never called the model"), "{why:#}");
        assert!(fact(why, "prompt").contains("nothing shows that the mayor received it"), "{why:#}");
        assert!(why["evidence"].to_string().contains("evidence/transcripts/hq-mayor.1.txt"), "{why:#}");
        assert_nothing_left(&mini.sandbox);
    }
}

#[test]
fn a_mayor_of_ones_own_that_ends_is_not_waited_for() {
    let mini = impatient();
    let mayor = mini.program("mayor", "printf '❯ '; read -r line; echo 'no more credit'; exit 3\n");
    let summary = summary_of(&mini.run(&["--agent", &format!("mayor={mayor}")]).expect_code(100));
    assert_eq!(summary["outcome"], "not_landed", "{:#}", summary["findings"]);
    let why = the(&summary, "landed.never_slung");
    assert!(fact(why, "terminal").contains("no more credit"), "{why:#}");
    assert!(fact(why, "session").contains("exit 3"), "{why:#}");
}

#[test]
fn when_the_workers_are_dead_and_the_mayor_rests_nobody_is_waited_for() {
    let mini = Mini::new();
    let said = "--dangerously-skip-permissions cannot be used with root privileges";
    let worker = mini.program("worker", &format!("gt hook --json >/dev/null; sleep 4; echo '{said}'; exit 1\n"));
    let summary = summary_of(&mini.run(&["--agent", &format!("polecat={worker}"), "--timeout", "300s"]).expect_code(100));
    assert_eq!(summary["outcome"], "not_landed");
    let found = findings(&summary, "landed.worker_died");
    assert_eq!(found.len(), 2, "{:#}", summary["findings"]);
    for why in found {
        assert!(fact(why, "terminal").contains(said), "{why:#}");
        assert!(fact(why, "waited").contains("the run did not wait for its limit"), "{why:#}");
        assert!(fact(why, "waited").contains("ended by exit 1") && fact(why, "waited").contains("mayor rests"), "{why:#}");
        let name =
            agent(&summary, if why["title"].as_str().unwrap().starts_with("north/") { "north/" } else { "south/" })["sessions"]
                [0]
            .as_str()
            .unwrap();
        assert!(why["evidence"].to_string().contains(&format!("evidence/transcripts/{name}.1.txt")), "{why:#}");
    }
    assert_nothing_left(&mini.sandbox);
}

#[test]
fn a_worker_that_dies_and_is_slung_again_by_a_mayor_that_watches_lands() {
    let mini = Mini::new();
    let plan = format!("{PLAN}sleep 8\nfor id in $ids; do gt sling \"$id\"; done\n");
    mini.write("mini/script/plan.sh", &plan);
    // Whether it died before, the origin remembers.
    let once = "git ls-remote origin | grep -q died || { git push -q origin HEAD:refs/heads/died; exit 1; }\n";
    let worker = mini.program("worker", &format!("sleep 4\n{once}{WORK}"));
    let summary = summary_of(&mini.run(&["--agent", &format!("polecat={worker}")]).expect_code(0));
    assert_eq!(summary["outcome"], "passed", "{:#}", summary["findings"]);
}

#[test]
fn a_worker_whose_dialog_waits_is_shown_with_it() {
    let mini = Mini::new();
    let dialog = "printf '\\033[2J\\033[1;1HWARNING\\033[3;3H1. No, exit\\033[4;3H2. Yes, I accept'; sleep 600\n";
    let worker = mini.program("worker", dialog);
    let summary = summary_of(&mini.run(&["--agent", &format!("polecat:north={worker}"), "--timeout", "8s"]).expect_code(100));
    let why = the(&summary, "landed.worker_hangs");
    assert_eq!(fact(why, "terminal").trim_end(), "WARNING\n\n  1. No, exit\n  2. Yes, I accept");
}
