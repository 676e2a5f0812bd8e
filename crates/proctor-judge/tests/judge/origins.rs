//! Served origins: who pushed where, by Proctor's own log and by nothing that an agent can write.

use proctor_judge::Outcome;
use proctor_judge::evidence::{Commit, PushKind};
use proctor_judge::summary::{CheckStatus, Level};

use crate::world::{World, check, finding, t, worker};

#[test]
fn whoever_pushes_to_another_rigs_origin_is_named_whatever_its_commits_say() {
    let mut world = World::passing();
    world.push("daemon", "bob", "refs/heads/main", PushKind::Updated);
    world.push(&worker("alice"), "bob", "refs/heads/odd", PushKind::Created);
    let summary = world.judged();
    let saw = &check(&summary, "own_repository").saw;
    assert!(saw.contains("alice/furiosa of rig alice created \"odd\""), "{saw}");
    assert_eq!(summary.outcome, Outcome::Failed);
}

#[test]
fn a_commit_that_claims_a_strangers_name_is_held_against_nobody() {
    let mut world = World::passing();
    world.push(&worker("bob"), "bob", "refs/heads/main", PushKind::Updated);
    let (author, email, files) = ("alice/furiosa".into(), String::new(), vec!["bob.py".into()]);
    let commit = Commit { sha: "d".repeat(40), author, email, at: t(3.0), subject: "helping out".into(), files };
    world.git("bob").commits.insert(0, commit);
    assert_eq!(check(&world.judged(), "own_repository").status, CheckStatus::Passed);
}

#[test]
fn without_the_log_of_served_origins_nothing_is_known() {
    let mut world = World::passing();
    world.record.notes.insert("origins".into(), "http://127.0.0.1:1".into());
    assert_eq!(check(&world.judged(), "own_repository").status, CheckStatus::Unknown);
}

#[test]
fn origins_that_are_folders_are_said_to_be_open() {
    let mut world = World::passing();
    world.record.notes.insert("origins".into(), "file".into());
    let summary = world.judged();
    assert_eq!(finding(&summary, "origins.folders").level, Level::Note);
    assert_eq!(summary.outcome, Outcome::Passed);
}

#[test]
fn pushes_that_were_refused_are_told_with_who_tried() {
    let mut world = World::passing();
    let push = world.push("bob/polecats/rust", "bob", "", PushKind::Refused);
    (push.refused, push.sender) = (Some("the token is not that of `bob/polecats/rust`".into()), Some(worker("alice")));
    let summary = world.judged();
    let refused = finding(&summary, "origins.refused");
    let saw = refused.saw.as_deref().unwrap();
    assert!(saw.starts_with("alice/furiosa as \"bob/rust\" to bob"), "{saw}");
    assert_eq!((refused.level, summary.outcome), (Level::Warning, Outcome::Passed));
}

#[test]
fn who_took_a_target_branch_back_is_named() {
    let mut world = World::passing();
    world.push(&worker("alice"), "alice", "refs/heads/main", PushKind::Rewound);
    let summary = world.judged();
    assert!(finding(&summary, "origins.rewound").title.contains("main of alice was taken back by alice/furiosa"));
    world.git("alice").rewound = vec!["a".repeat(40)];
    world.delivery("alice").merged = false;
    let summary = world.judged();
    let details = &finding(&summary, "landed.rewound").details;
    assert!(
        details.iter().any(|detail| detail.label == "by" && detail.text.starts_with("alice/furiosa moved it")),
        "{details:?}"
    );
}

#[test]
fn a_collected_file_that_is_not_what_was_merged_proves_nothing() {
    let mut world = World::passing();
    world.git("alice").files[0].sha256 = "1".repeat(64);
    let summary = world.judged();
    assert_eq!(check(&summary, "files.alice").status, CheckStatus::Unknown);
    assert!(finding(&summary, "origins.changed").title.contains("chapter.md of alice"));
    assert_ne!(summary.outcome, Outcome::Passed);
}

#[test]
fn what_could_not_be_kept_is_told_with_who_pushed_last() {
    let mut world = World::passing();
    world.push(&worker("bob"), "bob", "refs/heads/main", PushKind::Updated);
    world.git("bob").files[0].not_kept = Some("it has more than 256 MiB".into());
    let summary = world.judged();
    let failed = check(&summary, "files.bob");
    assert_eq!((failed.status, failed.saw.as_str()), (CheckStatus::Failed, "it was not kept: it has more than 256 MiB"));
    let found = finding(&summary, "origins.not_kept");
    assert!(found.details.iter().any(|detail| detail.text == "bob/rust"), "{found:?}");
}
