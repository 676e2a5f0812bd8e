//! What a run says of its fence.

use proctor_judge::Outcome;
use proctor_judge::evidence::{FenceGap, FenceMode, FenceRecord, Refusal, path};
use proctor_judge::summary::Level;

use crate::world::{World, finding, t, worker};

fn fence(mode: FenceMode, missing: &[&str]) -> FenceRecord {
    let gap = |what: &&str| FenceGap { what: (*what).into(), why: "the kernel says no".into(), open: format!("{what} is open.") };
    FenceRecord { mode, enforced: vec!["Agents have no capabilities.".into()], missing: missing.iter().map(gap).collect() }
}

#[test]
fn a_whole_fence_is_no_finding_and_stands_in_summary_and_reports() {
    let mut world = World::passing();
    world.record.fence = Some(fence(FenceMode::On, &[]));
    let dir = world.write();
    let judgement = proctor_judge::judge(dir.path(), &proctor_judge::Options::default()).unwrap();
    assert!(judgement.summary.findings.iter().all(|f| !f.id.starts_with("fence.")));
    assert_eq!(judgement.summary.fence, Some(fence(FenceMode::On, &[])));
    proctor_judge::write_reports(dir.path(), &judgement).unwrap();
    for name in ["README.md", "report.html", "summary.json"] {
        let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert!(text.contains("Agents have no capabilities."), "{name}");
    }
}

#[test]
fn what_is_open_is_a_note_and_without_any_fence_a_warning() {
    let found = |mode, missing: &[&str]| {
        let mut world = World::passing();
        world.record.fence = Some(fence(mode, missing));
        let summary = world.judged();
        assert_eq!(summary.outcome, Outcome::Passed);
        let finding = finding(&summary, "fence.open").clone();
        assert!(missing.iter().all(|what| finding.details.iter().any(|d| d.label == *what && d.text.contains("is open."))));
        finding.level
    };
    assert_eq!(found(FenceMode::On, &["namespaces"]), Level::Note);
    assert_eq!(found(FenceMode::On, &["landlock", "namespaces"]), Level::Warning);
    assert_eq!(found(FenceMode::On, &["live-town"]), Level::Warning);
    assert_eq!(found(FenceMode::Warn, &[]), Level::Warning);
    assert_eq!(found(FenceMode::Off, &[]), Level::Warning);
}

#[test]
fn what_was_refused_is_one_note_for_each_agent() {
    let refusal = |agent: Option<String>, target: &str, count| Refusal {
        at: t(3.0),
        agent,
        program: "cat".into(),
        tried: "read".into(),
        target: target.into(),
        count,
        whom: None,
    };
    let mut world = World::passing();
    let own = (0..10).map(|n| refusal(Some(worker("alice")), &format!("/home/op/{n}"), 2));
    let rows = own.chain([refusal(None, "127.0.0.1:1", 1)]).map(|row| serde_json::to_string(&row).unwrap() + "\n");
    world.files.insert(path::REFUSALS.into(), rows.collect());
    let summary = world.judged();
    assert_eq!(summary.outcome, Outcome::Passed);
    let notes: Vec<_> = summary.findings.iter().filter(|f| f.id == "fence.refused").collect();
    assert_eq!(notes.len(), 2);
    assert!(notes.iter().all(|note| note.level == Level::Note));
    let of_alice = notes.iter().find(|note| note.title.starts_with("alice/furiosa")).unwrap();
    assert!(of_alice.title.ends_with("20 times"), "{}", of_alice.title);
    assert!(of_alice.details[0].label == "cat" && of_alice.details[0].text.contains("read /home/op/0"), "{:?}", of_alice.details);
    assert_eq!(of_alice.details.last().unwrap().text, "2 in the evidence");
}

/// A signal of one agent to another.
fn signal(tried: &str, from: Option<&str>, to: Option<&str>) -> Refusal {
    Refusal {
        at: t(3.0),
        agent: from.map(worker),
        program: "/usr/bin/bash".into(),
        tried: tried.into(),
        target: "SIGKILL to 712 proctor-agent".into(),
        count: 1,
        whom: to.map(worker),
    }
}

fn with_rows(world: &mut World, rows: &[Refusal]) {
    let rows = rows.iter().map(|row| serde_json::to_string(row).unwrap() + "\n");
    world.files.insert(path::REFUSALS.into(), rows.collect());
}

#[test]
fn a_signal_names_who_sent_it_and_whom_it_was_for() {
    let mut world = World::passing();
    with_rows(&mut world, &[signal("signal", Some("alice"), Some("bob")), signal("signalled", Some("eve"), Some("bob"))]);
    let summary = world.judged();
    let refused = finding(&summary, "fence.refused");
    assert!(refused.title.starts_with("alice/furiosa"), "{}", refused.title);
    assert!(refused.details[0].text.contains("SIGKILL to 712 proctor-agent of bob/"), "{:?}", refused.details);
    let reached = finding(&summary, "fence.signalled");
    assert!(reached.title.starts_with("eve/") && reached.title.contains("signalled bob/"), "{}", reached.title);
    assert_eq!((refused.level, reached.level), (Level::Note, Level::Note));
}

#[test]
fn a_worker_that_was_killed_is_told_with_who_signalled_it() {
    let ended = |mode: FenceMode, rows: &[Refusal]| {
        let mut world = World::bob_unfinished();
        world.record.fence = Some(fence(mode, &[]));
        let session = world.session("bob");
        (session.exit, session.ended_at) = (Some("signal 9".into()), Some(t(4.9)));
        with_rows(&mut world, rows);
        let summary = world.judged();
        let died = finding(&summary, "landed.worker_died").clone();
        died.details.into_iter().find(|detail| detail.label == "signalled by").map(|detail| detail.text)
    };
    let by = ended(FenceMode::On, &[signal("signalled", Some("alice"), Some("bob"))]).unwrap();
    assert!(by.starts_with("alice/furiosa, SIGKILL to 712 proctor-agent"), "{by}");
    assert!(ended(FenceMode::Warn, &[signal("signal", Some("alice"), Some("bob"))]).is_some());
    assert_eq!(ended(FenceMode::On, &[signal("signal", Some("alice"), Some("bob"))]), None, "it never arrived");
    assert_eq!(ended(FenceMode::On, &[signal("signalled", Some("bob"), Some("alice"))]), None);
}
