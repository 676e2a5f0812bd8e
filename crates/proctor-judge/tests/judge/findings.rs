//! One finding: by its name, with its evidence opened in place, and as a bug report.

use std::fs;

use proctor_judge::evidence::PushKind;
use proctor_judge::terminal::{Style, finding, findings};
use proctor_judge::{Finding, Judgement, Opened, Options, bug_report, judge, open};

use crate::world::World;

/// Bob's issue is closed and not merged, and a log of the town is there.
fn closed_not_merged() -> World {
    let mut world = World::bob_unfinished();
    let bead = world.bead("bob");
    (bead.status, bead.closed_at, bead.close_reason) = ("closed".into(), Some(crate::world::t(4.4)), Some("done".into()));
    world.delivery("bob").own_commits = 1;
    world.record.versions.insert("gt".into(), "v1.0.1".into());
    world.record.versions.insert("os".into(), "Debian 12".into());
    world.record.notes.insert("base".into(), "/home/me/.cache/proctor/runs/7k3f".into());
    world.record.notes.insert("daemon".into(), "off".into());
    world
}

fn in_full(world: &World, name: &str) -> (tempfile::TempDir, Judgement, Finding, Vec<Opened>) {
    let dir = world.write();
    let judgement = judge(dir.path(), &Options::default()).unwrap();
    let found = judgement.summary.finding(name).unwrap_or_else(|| panic!("no {name}")).clone();
    let opened = open(dir.path(), &judgement, &found).unwrap();
    (dir, judgement, found, opened)
}

#[test]
fn findings_that_share_an_id_are_numbered() {
    let mut world = World::passing();
    let left = |pid| proctor_judge::evidence::Leftover { pid, command: format!("sleep {pid}"), agent: None, ended: true };
    world.record.leftovers = vec![left(1), left(2), left(3)];
    let summary = world.judged();
    let names = summary.finding_names();
    for name in ["process.left_behind", "process.left_behind#2", "process.left_behind#3"] {
        assert_eq!(names.iter().filter(|n| *n == name).count(), 1, "{names:?}");
    }
    let title = |name: &str| summary.finding(name).map(|f| f.title.clone());
    assert_eq!(title("process.left_behind#1"), title("process.left_behind"));
    assert!(title("process.left_behind#2").unwrap().contains("sleep 2"));
    assert_eq!(title("process.left_behind#4"), None);
    let text = findings(&summary, Style { ansi: false }, 100);
    assert!(text.contains("! process.left_behind#3  ") && text.contains("proctor finding 7k3f ID --markdown"), "{text}");
}

#[test]
fn work_that_conflicts_says_where() {
    let mut world = closed_not_merged();
    world.delivery("bob").conflicts = vec!["bob.py".into(), "chapter.md".into()];
    let (_dir, _, found, _) = in_full(&world, "landed.closed_not_merged");
    let conflict = found.details.iter().find(|detail| detail.label == "conflict").unwrap();
    assert_eq!(conflict.text, "its branch and the target branch both changed bob.py, chapter.md");
}

#[test]
fn a_commit_that_was_never_pushed_is_no_missing_commit() {
    let saw = |pushed: Option<&str>| {
        let mut world = closed_not_merged();
        let delivery = world.delivery("bob");
        (delivery.own_commits, delivery.submitted) = (0, Some("c".repeat(40)));
        if let Some(to) = pushed {
            world.push("bob/polecats/nux", "bob", "refs/heads/main", PushKind::Updated).to = Some(to.repeat(40));
        }
        let (_dir, _, found, _) = in_full(&world, "landed.closed_not_merged");
        found.saw.unwrap()
    };
    assert_eq!(saw(Some("b")), "nothing of it on main, and its commit was never pushed");
    for known in [Some("c"), None] {
        assert_eq!(saw(known), "nothing of it on main, no commit of its own");
    }
}

#[test]
fn one_in_full_opens_rows_in_words() {
    let (_dir, _, found, opened) = in_full(&closed_not_merged(), "landed.closed_not_merged");
    let text = finding(&found, &opened, Style { ansi: false }, 100);
    let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("no {word} in\n{text}"));
    assert!(at("✗ bo-1") < at("    level      problem"));
    assert!(at("    expected") < at("    saw "));
    assert!(at("    next ") < at("│ "), "the evidence comes last");
    assert!(text.contains("│   \"status\": \"closed\""), "the issue's row\n{text}");
    assert!(text.contains("│ main of bob: ddddddddd, 1 commit"), "what git says\n{text}");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn a_line_of_a_log_is_shown_among_its_neighbours() {
    let mut world = World::passing();
    let log: String = (1..=20).map(|n| format!("line {n}\n")).collect();
    world.files.insert("raw/daemon.log".into(), log);
    let (dir, judgement, mut found, _) = in_full(&world, "look.viewer");
    found.evidence[0].at = "evidence/raw/daemon.log:7".into();
    let opened = open(dir.path(), &judgement, &found).unwrap();
    let lines: Vec<&str> = opened[0].text.lines().collect();
    assert_eq!((lines.first(), lines.last(), lines.len()), (Some(&"  line 3"), Some(&"  line 11"), 9));
    assert!(lines.contains(&"> line 7"));
}

#[test]
fn a_bug_report_is_half_written() {
    let (dir, judgement, found, _) = in_full(&closed_not_merged(), "landed.closed_not_merged");
    let text = bug_report(dir.path(), &judgement, &found).unwrap();
    let sections = [
        "# bo-1",
        "## What happened",
        "## Steps to reproduce",
        "## Expected",
        "## Actual",
        "## Evidence",
        "## Versions",
        "## Environment",
    ];
    let places: Vec<usize> = sections.iter().map(|s| text.find(s).unwrap_or_else(|| panic!("no {s} in\n{text}"))).collect();
    assert!(places.is_sorted(), "{text}");
    for part in
        ["```sh\nproctor run tales --seed 42\n```", "| gt | v1.0.1 |", "| os | Debian 12 |", "| daemon | off |", "```text\n"]
    {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    assert!(!text.contains("/home/me"), "a path of one machine\n{text}");
}

#[test]
fn a_moved_run_shows_the_same() {
    let (dir, judgement, found, opened) = in_full(&closed_not_merged(), "landed.closed_not_merged");
    let moved = tempfile::tempdir().unwrap();
    let place = moved.path().join("elsewhere");
    fs::rename(dir.path(), &place).unwrap();
    let again = judge(&place, &Options::default()).unwrap();
    assert_eq!(again.summary.findings, judgement.summary.findings);
    assert_eq!(open(&place, &again, &found).unwrap(), opened);
}
