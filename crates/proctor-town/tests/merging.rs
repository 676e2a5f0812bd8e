//! The merge queue: refusals, resubmits, conflicts, closing by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing step fails the test")]

mod support;

use std::path::PathBuf;

use support::{Town, has_git};

const WAITS: &str = "printf '❯ '; while read -r line; do printf 'got:%s\\n❯ ' \"$line\"; done";

/// A town with one rig; each worker waits, the test does its work.
fn town() -> Town {
    let town = Town::with_agents(WAITS, WAITS);
    town.rig("alice");
    town
}

/// A slung issue: its id, its worker's address, its worktree.
fn slung(town: &Town, title: &str) -> (String, String, PathBuf) {
    let issue = town.issue("alice", title);
    town.ok(&["sling", &issue, "alice"]);
    let agent = town.bead(&issue)["assignee"].as_str().unwrap().to_string();
    let name = agent.rsplit('/').next().unwrap().to_string();
    (issue, agent, town.worktree("alice", &name))
}

fn requests(town: &Town) -> Vec<(String, String)> {
    let snapshot = town.json(&["snapshot", "--json"]);
    let rows = snapshot["merge_requests"].as_array().unwrap();
    rows.iter().map(|row| (row["issue"].as_str().unwrap().into(), row["status"].as_str().unwrap().into())).collect()
}

#[test]
fn done_without_a_commit_is_refused() {
    if !has_git() {
        return;
    }
    let town = town();
    let (issue, agent, _) = slung(&town, "Nothing");
    let output = town.gt_as(&agent, &["done"]);
    assert_eq!(output.code, 1);
    assert!(output.stderr.contains("nothing to submit"), "{output:?}");
    assert_eq!(town.bead(&issue)["status"], "hooked");
    assert!(requests(&town).is_empty());
}

#[test]
fn files_of_the_town_are_no_work() {
    if !has_git() {
        return;
    }
    let town = town();
    let (_, agent, dir) = slung(&town, "Nothing");
    for folder in [".runtime", ".beads", "__pycache__"] {
        std::fs::create_dir_all(dir.join(folder)).unwrap();
        std::fs::write(dir.join(folder).join("x"), "x").unwrap();
    }
    assert_eq!(town.gt_as(&agent, &["done"]).code, 1);
}

#[test]
fn done_twice_is_safe() {
    if !has_git() {
        return;
    }
    let town = town();
    let (issue, agent, dir) = slung(&town, "Twice");
    town.commit(&dir, "a.txt", "a\n");
    assert_eq!(town.gt_as(&agent, &["done"]).code, 0);
    let again = town.gt_as(&agent, &["done"]);
    assert_eq!((again.code, again.stdout.contains("Already")), (0, true), "{again:?}");
    town.until_closed(&issue);
    let after = town.gt_as(&agent, &["done"]);
    assert_eq!((after.code, after.stdout.contains("Already merged")), (0, true), "{after:?}");
    assert_eq!(requests(&town), [(issue, "merged".to_string())]);
}

#[test]
fn uncommitted_work_is_committed_by_done() {
    if !has_git() {
        return;
    }
    let town = town();
    let (issue, agent, dir) = slung(&town, "Forgot");
    std::fs::write(dir.join("b.txt"), "b\n").unwrap();
    assert_eq!(town.gt_as(&agent, &["done"]).code, 0);
    town.until_closed(&issue);
    assert_eq!(town.merged_file("alice", "b.txt"), "b");
}

#[test]
fn two_workers_merge_one_after_the_other() {
    if !has_git() {
        return;
    }
    let town = town();
    let (one, first, here) = slung(&town, "One");
    let (two, second, there) = slung(&town, "Two");
    town.commit(&here, "one.txt", "1\n");
    town.commit(&there, "two.txt", "2\n");
    assert_eq!(town.gt_as(&first, &["done"]).code, 0);
    assert_eq!(town.gt_as(&second, &["done"]).code, 0);
    town.until_closed(&one);
    town.until_closed(&two);
    assert_eq!((town.merged_file("alice", "one.txt"), town.merged_file("alice", "two.txt")), ("1".into(), "2".into()));
}

#[test]
fn a_conflict_goes_back_to_its_worker_who_can_solve_it() {
    if !has_git() {
        return;
    }
    let town = town();
    let (one, first, here) = slung(&town, "One");
    let (two, second, there) = slung(&town, "Two");
    town.commit(&here, "same.txt", "one\n");
    town.commit(&there, "same.txt", "two\n");
    assert_eq!(town.gt_as(&first, &["done"]).code, 0);
    town.until_closed(&one);
    assert_eq!(town.gt_as(&second, &["done"]).code, 0);
    town.until("the conflict is told", |town| town.events().contains(&"merge_failed".to_string()));
    assert_eq!(town.bead(&two)["status"], "hooked");
    let inbox = town.gt_as(&second, &["mail", "inbox", "--json"]).stdout;
    assert!(inbox.contains(&format!("FIX_NEEDED: {two}")), "{inbox}");
    let name = second.replace("/polecats/", "/");
    town.until("the worker is nudged", |town| town.ok(&["peek", &name]).contains("got:FIX_NEEDED"));
    town.git(&there, &["fetch", "-q", "origin"]);
    town.git(&there, &["rebase", "-q", "-X", "theirs", "origin/main"]);
    assert_eq!(town.gt_as(&second, &["done"]).code, 0);
    town.until_closed(&two);
    assert_eq!(town.merged_file("alice", "same.txt"), "two");
    let statuses: Vec<String> = requests(&town).into_iter().map(|(_, status)| status).collect();
    assert_eq!(statuses, ["merged", "superseded", "merged"]);
}

#[test]
fn a_conflict_of_a_worker_that_is_gone_opens_the_issue() {
    if !has_git() {
        return;
    }
    let town = town();
    let (one, first, here) = slung(&town, "One");
    let (two, second, there) = slung(&town, "Two");
    town.commit(&here, "same.txt", "one\n");
    town.commit(&there, "same.txt", "two\n");
    assert_eq!(town.gt_as(&first, &["done"]).code, 0);
    town.until_closed(&one);
    let pid = town.json(&["agents", "list", "--json"]);
    let row = pid.as_array().unwrap().iter().find(|row| row["agent"] == second.as_str()).unwrap().clone();
    town.git(&town.base(), &["--version"]);
    std::process::Command::new("kill").arg(row["pid"].to_string()).status().unwrap();
    town.until("the worker is gone", |town| town.events().contains(&"session_death".to_string()));
    assert_eq!(town.gt_as(&second, &["done"]).code, 0);
    town.until("the issue is open", |town| town.bead(&two)["status"] == "open");
    let comments = town.bd_in("", &["comments", &two]).stdout;
    assert!(comments.contains("is gone; its work lies on polecat/"), "{comments}");
}

#[test]
fn closing_by_hand_is_allowed_and_merges_nothing() {
    if !has_git() {
        return;
    }
    let town = town();
    let (issue, agent, _) = slung(&town, "By hand");
    let output = town.gt_as(&agent, &["close", &issue, "-r", "just because"]);
    assert_eq!(output.code, 0, "{output:?}");
    let snapshot = town.json(&["snapshot", "--json"]);
    let bead = &snapshot["beads"][0];
    assert_eq!((bead["status"].as_str(), bead["close_reason"].as_str()), (Some("closed"), Some("just because")));
    assert_eq!(bead["closed_by"], agent.as_str());
    assert!(requests(&town).is_empty());
    assert_eq!(snapshot["convoys"][0]["status"], "closed");
}

#[test]
fn an_amended_resubmit_replaces_the_waiting_one() {
    if !has_git() {
        return;
    }
    let mut town = town();
    let (issue, agent, dir) = slung(&town, "Amended");
    town.stop_daemon();
    town.commit(&dir, "c.txt", "first\n");
    let first = town.gt_as(&agent, &["done"]);
    assert!(first.stderr.contains("daemon is not running"), "{first:?}");
    std::fs::write(dir.join("c.txt"), "second\n").unwrap();
    town.git(&dir, &["commit", "-qa", "--amend", "--no-edit"]);
    assert_eq!(town.gt_as(&agent, &["done"]).code, 0);
    town.start_daemon();
    town.until_closed(&issue);
    assert_eq!(town.merged_file("alice", "c.txt"), "second");
    let statuses: Vec<String> = requests(&town).into_iter().map(|(_, status)| status).collect();
    assert_eq!(statuses, ["superseded", "merged"]);
}

#[test]
fn the_merged_branch_is_gone_from_the_origin() {
    if !has_git() {
        return;
    }
    let town = town();
    let (issue, agent, dir) = slung(&town, "Branch");
    town.commit(&dir, "d.txt", "d\n");
    assert_eq!(town.gt_as(&agent, &["done"]).code, 0);
    town.until_closed(&issue);
    town.until("the branch is removed", |town| {
        town.git(&town.base().join("origins/alice.git"), &["branch", "--format=%(refname:short)"]) == "main"
    });
}

/// A commit of an origin's main, byte for byte, without what a new parent changes.
fn author_and_message(town: &Town, revision: &str) -> (Vec<u8>, Vec<u8>) {
    let mut command = std::process::Command::new("git");
    let output =
        command.current_dir(town.base().join("origins/alice.git")).args(["cat-file", "commit", revision]).output().unwrap();
    let end = output.stdout.windows(2).position(|pair| pair == b"\n\n").unwrap();
    let author = output.stdout[..end].split(|byte| *byte == b'\n').find(|line| line.starts_with(b"author ")).unwrap();
    (author.to_vec(), output.stdout[end + 2..].to_vec())
}

#[test]
fn commits_on_a_moved_target_keep_author_and_message_byte_for_byte() {
    if !has_git() {
        return;
    }
    let town = town();
    let (one, first, here) = slung(&town, "One");
    let (two, second, there) = slung(&town, "Two");
    town.commit(&here, "one.txt", "1\n");
    town.commit(&there, "two.txt", "2\n");
    std::fs::write(town.base().join("message"), b"caf\xe9 \x01\n\n  indented\n\n\n").unwrap();
    std::fs::write(there.join("three.txt"), "3\n").unwrap();
    let message = town.base().join("message").display().to_string();
    town.git(&there, &["add", "-A"]);
    town.git(&there, &["-c", "i18n.commitEncoding=ISO-8859-1", "commit", "-q", "--cleanup=verbatim", "-F", &message]);
    let branch = town.git(&there, &["rev-parse", "--abbrev-ref", "HEAD"]);
    town.git(&there, &["push", "-q", "origin", "HEAD:refs/heads/kept"]);
    assert_eq!(town.gt_as(&first, &["done"]).code, 0);
    town.until_closed(&one);
    assert_eq!(town.gt_as(&second, &["done"]).code, 0);
    town.until_closed(&two);
    assert_eq!(author_and_message(&town, "main"), author_and_message(&town, "kept"), "{branch}");
    assert_eq!(author_and_message(&town, "main~1"), author_and_message(&town, "kept~1"));
    let origin = town.base().join("origins/alice.git");
    assert_eq!(town.git(&origin, &["show", "main:one.txt"]), "1");
    let committer = town.git(&origin, &["log", "-1", "--format=%cn", "main"]);
    assert_eq!(committer, "alice/refinery");
}

#[test]
fn a_branch_has_no_say_in_how_it_is_merged() {
    if !has_git() {
        return;
    }
    let town = town();
    let (one, first, here) = slung(&town, "One");
    let (_, second, there) = slung(&town, "Two");
    town.commit(&here, "same.txt", "one\n");
    // With this attribute git would put both sides into the file instead of telling of the conflict.
    std::fs::write(there.join(".gitattributes"), "* merge=union\n").unwrap();
    town.commit(&there, "same.txt", "two\n");
    assert_eq!(town.gt_as(&first, &["done"]).code, 0);
    town.until_closed(&one);
    assert_eq!(town.gt_as(&second, &["done"]).code, 0);
    town.until("the conflict is told", |town| town.events().contains(&"merge_failed".to_string()));
    assert_eq!(town.merged_file("alice", "same.txt"), "one");
    assert!(town.story().contains("conflict in same.txt"), "{}", town.story());
}
