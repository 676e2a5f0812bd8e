//! What deliverables leave behind or change while they run is named with whose it is, and is nobody else's fault.

use proctor_judge::evidence::{Refusal, RuntimeChange, RuntimeRecord, Skipped, SkippedRow, path};
use proctor_judge::outcome::Outcome;
use proctor_judge::summary::{CheckStatus, Finding, Level, Summary};

use super::world::World;

fn found<'a>(summary: &'a Summary, id: &str) -> &'a Finding {
    summary.findings.iter().find(|finding| finding.id == id).unwrap_or_else(|| panic!("no {id}: {:#?}", summary.findings))
}

fn all_of(finding: &Finding) -> String {
    let details: String = finding.details.iter().map(|detail| format!(" | {}: {}", detail.label, detail.text)).collect();
    format!("{} | {}{details}", finding.title, finding.saw.as_deref().unwrap_or_default())
}

#[test]
fn odd_files_and_processes_that_a_deliverable_left_are_named_with_commit_and_agent() {
    let mut world = World::passing();
    let mut skipped = Skipped::default();
    skipped.add(1, "pipe", "a FIFO");
    world.step("bob").skipped = skipped;
    world.step("bob").left_behind = vec!["sleep 600".into()];
    let summary = world.judged();
    assert_eq!(summary.outcome, Outcome::Passed, "odd files alone decide nothing");
    let text = all_of(found(&summary, "exercise.skipped"));
    for part in ["bob/bob.py left 1 file behind", "pipe", "(a FIFO)", "bob.signature", "merged as: bob main", "by bob/rust"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let text = all_of(found(&summary, "exercise.left_behind"));
    assert!(text.contains("bob/bob.py left 1 process running") && text.contains("sleep 600"), "{text}");
}

#[test]
fn what_ran_in_a_changed_environment_is_unknown_and_the_run_never_passes() {
    let mut world = World::passing();
    let runtime = RuntimeRecord {
        python: "3.11.2".into(),
        files: 900,
        sha256: None,
        made_again: Some("bin/python is another link".into()),
        changes: vec![RuntimeChange {
            what: "thing.py has another content".into(),
            during: "step bob of exercise bob.signature (bob/bob.py)".into(),
        }],
    };
    world.files.insert(path::RUNTIME.into(), serde_json::to_string(&runtime).unwrap());
    let summary = world.judged();
    assert_eq!(summary.outcome, Outcome::Unknown);
    let checks: Vec<_> = summary.checks.iter().filter(|check| check.kind == "exercise").collect();
    assert!(!checks.is_empty() && checks.iter().all(|check| check.status == CheckStatus::Unknown));
    let finding = found(&summary, "exercise.runtime_changed");
    assert_eq!(finding.level, Level::Problem);
    assert!(all_of(finding).contains("bob/bob.py") && all_of(finding).contains("thing.py has another content"));
    assert!(all_of(found(&summary, "exercise.runtime_made_again")).contains("bin/python is another link"));
}

#[test]
fn whoever_opens_more_than_can_be_watched_has_not_shown_what_it_left_closed() {
    let mut world = World::passing();
    let check = serde_json::json!({"id": "closed", "title": "bob.py opens no other key", "kind": "exercise",
        "exercise": "bob.signature", "step": "bob", "not_opened": ["alice_private.pem"]});
    world.plan.as_mut().unwrap()["checks"].as_array_mut().unwrap().push(check);
    assert_eq!(world.judged().outcome, Outcome::Passed);
    world.step("bob").opened_lost = true;
    let summary = world.judged();
    let check = summary.checks.iter().find(|check| check.id == "closed").unwrap();
    assert_eq!((summary.outcome, check.status), (Outcome::Failed, CheckStatus::Failed));
    assert!(check.saw.contains("more files"), "{}", check.saw);
}

#[test]
fn an_argument_that_looks_like_a_deliverables_path_makes_nobody_an_owner() {
    let mut world = World::passing();
    world.step("flip").command.push("$REPO/alice/alice.py".into());
    let mut skipped = Skipped::default();
    skipped.add(1, "pipe", "a FIFO");
    world.step("flip").skipped = skipped;
    let summary = world.judged();
    assert!(found(&summary, "exercise.skipped").title.starts_with("a checker left"));
}

#[test]
fn files_of_the_town_that_were_not_collected_are_named() {
    let mut world = World::passing();
    let mut skipped = Skipped::default();
    skipped.add(1, "al-furiosa.1.txt", "a link");
    let row = SkippedRow { of: "transcripts".into(), agent: Some("alice/polecats/furiosa".into()), skipped };
    world.files.insert(path::SKIPPED.into(), serde_json::to_string(&row).unwrap() + "\n");
    let summary = world.judged();
    let text = all_of(found(&summary, "evidence.skipped"));
    assert!(text.contains("alice/furiosa") && text.contains("(a link)"), "{text}");
    assert_eq!(summary.outcome, Outcome::Passed);
}

#[test]
fn what_the_fence_refused_a_deliverable_is_named_with_commit_and_agent() {
    let mut world = World::passing();
    let refused = Refusal {
        at: super::world::t(6.2),
        agent: None,
        program: "/usr/bin/python3".into(),
        tried: "write".into(),
        target: "/tmp/run/repos/bob/bob.py".into(),
        count: 2,
        whom: None,
    };
    world.step("bob").refused = vec![refused.clone()];
    world.step("flip").refused = vec![refused];
    let summary = world.judged();
    let all: Vec<String> = summary.findings.iter().filter(|finding| finding.id == "fence.refused").map(all_of).collect();
    assert_eq!(all.len(), 2, "{all:?}");
    for part in ["bob/bob.py was refused by the fence 2 times", "write \"/tmp/run/repos/bob/bob.py\", 2 times", "by bob/rust"] {
        assert!(all.iter().any(|text| text.contains(part)), "{part} in {all:?}");
    }
    assert!(all.iter().any(|text| text.starts_with("a checker was refused") && !text.contains("merged as")), "{all:?}");
    assert_eq!(summary.outcome, Outcome::Passed, "what was refused alone decides nothing");
}
