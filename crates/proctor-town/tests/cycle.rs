//! The whole way of work: issue, convoy, sling, worker, hand-in, merge, landing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing step fails the test")]

mod support;

use support::{Town, has_git};

/// An agent that shows its prompt and waits.
const WAITS: &str = "printf '❯ '; while read -r line; do printf 'got:%s\\n❯ ' \"$line\"; done";

fn polecat(town: &Town) -> (String, String) {
    let rows = town.json(&["polecat", "list", "--json"]);
    let last = rows.as_array().unwrap().last().unwrap();
    (last["rig"].as_str().unwrap().to_string(), last["name"].as_str().unwrap().to_string())
}

#[test]
fn work_lands_when_it_is_merged_and_not_before() {
    if !has_git() {
        return;
    }
    let town = Town::with_agents(WAITS, WAITS);
    town.rig("alice");
    let issue = town.issue("alice", "Write a chapter");
    let created = town.ok(&["convoy", "create", "The Tales", &issue]);
    assert!(created.contains("Created convoy 🚚 hq-cv-"), "{created}");
    town.ok(&["sling", &issue, "alice"]);
    assert_eq!(town.bead(&issue)["status"], "hooked");
    let (rig, name) = polecat(&town);
    let dir = town.worktree(&rig, &name);
    town.commit(&dir, "chapter.md", "Once.\n");
    let agent = format!("{rig}/polecats/{name}");
    let done = town.gt_as(&agent, &["done"]);
    assert_eq!(done.code, 0, "{done:?}");
    town.until_closed(&issue);
    assert_eq!(town.merged_file("alice", "chapter.md"), "Once.");
    let convoys = town.json(&["convoy", "list", "--status", "closed", "--json"]);
    assert_eq!(convoys[0]["completed"], 1);
    let mail = town.json(&["mail", "inbox", "--json"]);
    assert_eq!(mail[0]["subject"], "🚚 Convoy landed: The Tales");
    let events = town.events();
    let at = |kind: &str| events.iter().position(|event| event == kind).unwrap();
    assert!(at("merge_submit") < at("merge_start") && at("merge_start") < at("merged"));
    assert!(at("merged") < at("bead_close") && at("bead_close") < at("convoy_close"));
}

#[test]
fn a_worker_that_does_all_by_itself_ends_done() {
    if !has_git() {
        return;
    }
    // The worker hands in through the test, which stands for `gt` on its PATH; it says so by a file.
    let script = "printf '❯ '; read -r line; echo text > story.txt; git add -A; git commit -qm story; exit 0";
    let town = Town::with_agents(WAITS, script);
    town.rig("bob");
    let issue = town.issue("bob", "Story");
    town.ok(&["sling", &issue, "bob"]);
    let (rig, name) = polecat(&town);
    town.ok(&["nudge", &format!("{rig}/{name}"), "go", "--mode", "immediate"]);
    town.until("the worker ends", |town| town.json(&["sessions", "--json"])[0]["exit"] == "exit 0");
    assert_eq!(town.json(&["agents", "list", "--json"])[0]["state"], "stalled");
    assert!(town.events().contains(&"session_death".to_string()));
    let agent = format!("{rig}/polecats/{name}");
    assert_eq!(town.gt_as(&agent, &["done"]).code, 0);
    town.until_closed(&issue);
    assert_eq!(town.json(&["agents", "list", "--json"])[0]["state"], "done");
    let author = town.git(&town.base().join("origins/bob.git"), &["log", "-1", "--format=%an <%ae>", "main"]);
    assert_eq!(author, format!("{agent} <bob.polecats.{name}@gastown.local>"));
}

#[test]
fn slinging_twice_changes_nothing() {
    if !has_git() {
        return;
    }
    let town = Town::with_agents(WAITS, WAITS);
    town.rig("alice");
    let issue = town.issue("alice", "Once");
    town.ok(&["sling", &issue, "alice"]);
    let before = town.json(&["agents", "list", "--json"]);
    let again = town.ok(&["sling", &issue, "alice"]);
    assert!(again.contains("already hooked"), "{again}");
    assert_eq!(before, town.json(&["agents", "list", "--json"]));
    assert_eq!(town.json(&["convoy", "list", "--json"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_batch_gives_each_issue_a_worker_of_its_own() {
    if !has_git() {
        return;
    }
    let town = Town::with_agents(WAITS, WAITS);
    town.rig("alice");
    let (one, two) = (town.issue("alice", "One"), town.issue("alice", "Two"));
    let text = town.ok(&["sling", &one, &two, "alice"]);
    assert!(text.contains("Batch sling complete: 2/2 succeeded"), "{text}");
    assert_ne!(town.bead(&one)["assignee"], town.bead(&two)["assignee"]);
}

#[test]
fn a_worker_that_cannot_be_started_leaves_nothing_behind() {
    if !has_git() {
        return;
    }
    let town = Town::with_agents(WAITS, "exit 7");
    town.rig("alice");
    let issue = town.issue("alice", "Doomed");
    let failed = town.gt(&["sling", &issue, "alice"]);
    assert_eq!(failed.code, 1);
    assert!(failed.stderr.contains("died during startup (exit 7)"), "{failed:?}");
    assert_eq!(town.bead(&issue)["status"], "open");
    assert_eq!(town.json(&["convoy", "list", "--all", "--json"]).as_array().unwrap().len(), 0);
    assert_eq!(town.json(&["polecat", "list", "--json"]).as_array().unwrap().len(), 0);
    assert_eq!(town.json(&["sessions", "--json"])[0]["exit"], "exit 7");
    let worktrees = town.git(&town.root().join("alice/.repo.git"), &["worktree", "list"]);
    assert!(!worktrees.contains("polecats"), "{worktrees}");
}

#[test]
fn an_issue_is_slung_to_its_own_rig_only() {
    if !has_git() {
        return;
    }
    let town = Town::new();
    town.rig("alice");
    town.rig("bob");
    let issue = town.issue("alice", "Mine");
    let failed = town.gt(&["sling", &issue, "bob"]);
    assert_eq!((failed.code, failed.stderr.contains("belongs to alice, not to rig 'bob'")), (1, true), "{failed:?}");
}
