//! Two runs side by side: what differs is there, what is equal is not, in the same words everywhere.

use std::path::Path;

use proctor_judge::compare::{Comparison, markdown};
use proctor_judge::terminal::{Style, comparison};
use proctor_judge::{Outcome, compare};
use proctor_store::Signal;

use crate::world::{World, counter, log, t};

/// A passing run, and one on another town in which Bob's issue did not land, that took longer and said less.
fn pair() -> Comparison {
    let first = World::passing();
    let mut second = World::bob_unfinished();
    (second.record.id, second.record.town) = ("9t8w".into(), "gastown".into());
    second.record.versions.insert("gt".into(), "v1.0.1".into());
    second.record.phases[5].ended_at = Some(t(8.0));
    second.mail.as_mut().unwrap().pop();
    second.files.insert("raw/events.jsonl".into(), "{\"type\":\"sling\"}\n{\"type\":\"sling\"}\nnot json\n".into());
    let requests = second.requests.as_mut().unwrap();
    requests.push((Signal::Logs, None, log("nudge", 9, &[], &[("service.name", "gastown")])));
    requests.push((Signal::Metrics, None, counter("gastown.nudge.total", 4, "gastown", &[], &[])));
    let (first, second) = (first.write(), second.write());
    compare(first.path(), second.path()).unwrap()
}

/// The golden file's text; written with `PROCTOR_BLESS=1`.
fn golden(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judge/golden").join(name);
    if std::env::var_os("PROCTOR_BLESS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(expected == text, "{name} differs; look at it and write it with PROCTOR_BLESS=1\n{text}");
}

#[test]
fn what_differs_is_counted_and_what_is_equal_left_out() {
    let both = pair();
    assert!(both.same_scenario);
    assert_eq!(both.runs.each_ref().map(|r| r.outcome), [Outcome::Passed, Outcome::NotLanded]);
    let names = |counts: &[proctor_judge::compare::Count]| -> Vec<(String, [u64; 2])> {
        counts.iter().map(|c| (c.name.clone(), c.counts)).collect()
    };
    assert_eq!(names(&both.town.mail), [("mayor to polecat".into(), [2, 1])]);
    assert_eq!(names(&both.town.merge_requests), [("merged".into(), [2, 1])]);
    assert_eq!(names(&both.town.events), [("sling".into(), [0, 2])]);
    assert_eq!(names(&both.events), [("nudge".into(), [0, 1])]);
    assert_eq!(names(&both.town.convoys), []);
    let metrics: Vec<_> = both.metrics.iter().map(|m| (m.name.as_str(), m.amounts)).collect();
    assert_eq!(metrics, [("gastown.nudge.total", [0.0, 4.0])]);
    let versions: Vec<_> = both.versions.iter().map(|v| (v.name.as_str(), v.versions.clone())).collect();
    assert_eq!(versions, [("gt", [None, Some("v1.0.1".into())])]);
    let waited = both.phases.iter().find(|p| p.number == 6).unwrap();
    assert_eq!((waited.seconds, waited.ratio), ([Some(1.0), Some(3.0)], Some(3.0)));
    let merged = both.landed.iter().find(|c| c.clause == "merged").unwrap();
    assert_eq!((merged.true_after_s, merged.now[1].as_deref()), ([Some(5.6), None], Some("1/2")));
    let polecats = both.roles.iter().find(|r| r.role == "polecat").unwrap();
    assert_eq!(polecats.used.each_ref().map(|u| (u.agents, u.model_calls)), [(2, 2), (2, 2)]);
    assert!(both.findings.iter().any(|f| f.id == "landed.worker_hangs" && f.counts == [0, 1]));
    assert!(!both.findings.iter().any(|f| f.id == "look.viewer"));
    assert!(both.checks.iter().all(|c| c.status[0] != c.status[1]) && !both.checks.is_empty());
}

#[test]
fn a_run_beside_itself_differs_in_nothing() {
    let dir = World::passing().write();
    let both = compare(dir.path(), dir.path()).unwrap();
    assert!(both.versions.is_empty() && both.events.is_empty() && both.metrics.is_empty());
    assert!(both.checks.is_empty() && both.findings.is_empty());
    assert_eq!(both.town, proctor_judge::compare::TownPair::default());
    assert!(both.phases.iter().all(|p| p.ratio == Some(1.0)));
}

#[test]
fn terminal_and_markdown_say_the_same() {
    let both = pair();
    golden("compare.txt", &comparison(&both, Style { ansi: false }, 100));
    golden("compare.md", &markdown(&both));
}

#[test]
fn a_terminal_without_colour_gets_none_and_no_line_is_needlessly_long() {
    let both = pair();
    let plain = comparison(&both, Style { ansi: false }, 80);
    assert!(!plain.contains('\u{1b}'));
    let long: Vec<&str> = plain.lines().filter(|l| l.chars().count() > 80).collect();
    assert_eq!(long, Vec::<&str>::new());
    let dressed = comparison(&both, Style { ansi: true }, 80);
    assert_eq!(strip(&dressed), plain);
}

fn strip(text: &str) -> String {
    regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap().replace_all(text, "").into_owned()
}

#[test]
fn runs_of_different_scenarios_say_so() {
    let mut other = World::passing();
    other.record.scenario = "mini".into();
    let (first, second) = (World::passing().write(), other.write());
    let both = compare(first.path(), second.path()).unwrap();
    assert!(!both.same_scenario);
    for text in [comparison(&both, Style { ansi: false }, 100), markdown(&both)] {
        assert!(text.contains("different scenarios, tales and mini"), "{text}");
    }
}

#[test]
fn a_comparison_reads_back() {
    let both = pair();
    let text = serde_json::to_string(&both).unwrap();
    assert_eq!(serde_json::from_str::<Comparison>(&text).unwrap(), both);
}
