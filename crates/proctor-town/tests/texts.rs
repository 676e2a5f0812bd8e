//! What people and agents read: golden texts and JSON of the main commands.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing step fails the test")]

mod support;

use support::{Town, has_git};

fn keys(value: &serde_json::Value) -> Vec<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn install_refuses_a_second_town() {
    let town = Town::new();
    let again = town.gt(&["install", "."]);
    assert_eq!((again.code, again.stderr.contains("is already a Gas Town HQ")), (1, true), "{again:?}");
    let inside = town.gt(&["install", "mayor/inner"]);
    assert_eq!((inside.code, inside.stderr.contains("lies inside the town")), (1, true), "{inside:?}");
}

#[test]
fn a_rig_is_added_once_and_from_a_url() {
    if !has_git() {
        return;
    }
    let town = Town::new();
    let origin = town.origin("alice");
    let bare = town.gt(&["rig", "add", "alice", &origin.display().to_string()]);
    assert_eq!((bare.code, bare.stderr.contains("Hint: for a local repository: file:///")), (1, true), "{bare:?}");
    let url = format!("file://{}", origin.display());
    assert!(town.ok(&["rig", "add", "alice", &url]).contains("✓ Rig created"));
    let again = town.gt(&["rig", "add", "alice", &url]);
    assert_eq!(again.stderr, "Error: rig 'alice' already exists\n");
    let prefix = town.gt(&["rig", "add", "albert", &url]);
    assert!(prefix.stderr.contains("prefix \"al\" is rig alice's"), "{prefix:?}");
    assert_eq!(town.json(&["rig", "list", "--json"])[0]["beads_prefix"], "al");
}

#[test]
fn a_rig_that_cannot_be_cloned_leaves_nothing() {
    if !has_git() {
        return;
    }
    let town = Town::new();
    let output = town.gt(&["rig", "add", "alice", "file:///nowhere/alice.git"]);
    assert_eq!(output.code, 1);
    assert!(!town.root().join("alice").exists());
}

#[test]
fn a_new_issue_says_its_id_priority_and_status() {
    let town = Town::new();
    let text = town.bd_in("", &["create", "Hello", "-p", "P1"]).stdout;
    let id = text.split_whitespace().nth(3).unwrap().to_string();
    assert_eq!(text, format!("✓ Created issue: {id} – Hello\n  Priority: P1\n  Status: open\n"));
    assert_eq!(town.bd_in("", &["list"]).stdout, format!("○ {id} ● P1 [task] Hello\n"));
    let shown = town.bd_in("", &["show", &id]).stdout;
    assert!(shown.starts_with(&format!("○ {id} · Hello   [● P1 · OPEN]\n")), "{shown}");
    assert_eq!(town.bd_in("", &["close", &id, "-r", "done"]).stdout, format!("✓ Closed {id} – Hello: done\n"));
    assert_eq!(town.bd_in("", &["reopen", &id]).stdout, format!("↻ Reopened {id}\n"));
}

#[test]
fn show_json_is_an_array_and_create_json_an_object() {
    let town = Town::new();
    let made: serde_json::Value = serde_json::from_str(&town.bd_in("", &["create", "Hello", "--json"]).stdout).unwrap();
    assert_eq!(made["schema_version"], 1);
    let id = made["id"].as_str().unwrap();
    let shown: serde_json::Value = serde_json::from_str(&town.bd_in("", &["show", id, "--json"]).stdout).unwrap();
    assert_eq!(shown[0]["title"], "Hello");
    assert_eq!(
        keys(&shown[0]),
        [
            "id",
            "title",
            "status",
            "priority",
            "issue_type",
            "owner",
            "created_at",
            "created_by",
            "updated_at",
            "dependency_count",
            "dependent_count",
            "comment_count"
        ]
    );
}

#[test]
fn a_missing_issue_is_an_error_in_text_and_json() {
    let town = Town::new();
    let text = town.bd_in("", &["show", "hq-nope"]);
    assert_eq!(
        (text.code, text.stderr.as_str()),
        (1, "Error: no issue found matching \"hq-nope\"\nHint: list them: bd list --all\n")
    );
    let json = town.bd_in("", &["show", "hq-nope", "--json"]);
    let json_body: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code, json_body["error"].as_str()), (1, Some("no issue found matching \"hq-nope\"")));
}

#[test]
fn a_blocked_issue_is_not_ready_until_its_blocker_is_closed() {
    let town = Town::new();
    let make = |title: &str| town.bd_in("", &["q", title]).stdout.trim().to_string();
    let (first, second) = (make("first"), make("second"));
    let text = town.bd_in("", &["dep", "add", &second, &first]).stdout;
    assert_eq!(text, format!("✓ Added dependency: {second} depends on {first} (blocks)\n"));
    assert!(!town.bd_in("", &["ready"]).stdout.contains(&second));
    assert_eq!(town.bd_in("", &["close", &second]).code, 1);
    town.bd_in("", &["close", &first]);
    assert!(town.bd_in("", &["ready"]).stdout.contains(&second));
}

#[test]
fn mail_goes_to_those_who_are_there() {
    let town = Town::new();
    let sent = town.gt_as("mayor", &["mail", "send", "overseer", "-s", "Hi", "-m", "text"]);
    assert_eq!(sent.stdout, "✓ Message sent to overseer\n  Subject: Hi\n");
    let inbox = town.json(&["mail", "inbox", "--json"]);
    assert_eq!((inbox[0]["from"].as_str(), inbox[0]["read"].as_bool()), (Some("mayor"), Some(false)));
    assert_eq!(town.gt(&["mail", "check"]).code, 0);
    let check = town.gt(&["mail", "check", "--json"]).stdout;
    assert_eq!(check, "{\n  \"address\": \"overseer\",\n  \"unread\": 1,\n  \"has_new\": true\n}\n");
    let read = town.ok(&["mail", "read", "1"]);
    assert!(read.starts_with("Subject: Hi\nFrom: mayor\nTo: overseer\n") && read.ends_with("\n\ntext\n"), "{read}");
    assert_eq!(town.gt(&["mail", "check"]).code, 1);
    assert_eq!(town.gt(&["mail", "check", "--inject"]).code, 0);
    assert_eq!(town.ok(&["mail", "reply", "1", "-m", "back"]), "✓ Reply sent to mayor\n  Subject: Re: Hi\n");
    let wrong = town.gt(&["mail", "send", "mayer", "-s", "x"]);
    assert_eq!(wrong.stderr, "Error: unknown recipient 'mayer'\nHint: did you mean mayor?\n");
}

#[test]
fn snapshot_rows_have_the_fields_of_the_evidence() {
    let town = Town::new();
    town.bd_in("", &["create", "Hello"]);
    town.gt(&["mail", "send", "mayor/", "-s", "x"]);
    let snapshot = town.json(&["snapshot", "--json"]);
    assert_eq!(keys(&snapshot), ["beads", "convoys", "mail", "merge_requests", "agents", "sessions"]);
    let bead = [
        "id",
        "title",
        "kind",
        "status",
        "priority",
        "assignee",
        "rig",
        "created_by",
        "created_at",
        "closed_at",
        "close_reason",
        "closed_by",
        "description",
    ];
    assert_eq!(keys(&snapshot["beads"][0]), bead);
    assert_eq!(keys(&snapshot["mail"][0]), ["id", "from", "to", "subject", "body", "at", "read"]);
}

#[test]
fn mistakes_name_the_nearest_command_and_flag() {
    let town = Town::new();
    let output = town.gt(&["slnig", "x"]);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (1, "Error: unknown command \"slnig\" for \"gt\"\n\nDid you mean this?\n\tsling\n\nRun 'gt --help' for usage.\n")
    );
    let flag = town.bd_in("", &["create", "x", "--titel", "y"]);
    assert!(
        flag.stderr.starts_with("Error: unknown flag: --titel\n\nDid you mean this?\n\t--title\n\nUsage:\n  bd create"),
        "{flag:?}"
    );
}

#[test]
fn every_command_has_its_help() {
    let town = Town::new();
    let top = town.ok(&["--help"]);
    for line in top.lines().filter(|line| line.starts_with("  ") && line.len() > 14).skip(1) {
        let verb = line.split_whitespace().next().unwrap();
        let help = town.gt(&[verb, "--help"]);
        assert_eq!((help.code, help.stdout.contains("Usage:")), (0, true), "gt {verb} --help: {help:?}");
    }
}

#[test]
fn outside_a_town_every_command_says_so() {
    let town = Town::new();
    let outside = tempfile::tempdir().unwrap();
    let mut call = town.call(&["status"], outside.path(), &[], "");
    call.env.retain(|key, _| !key.starts_with("GT_"));
    let output = proctor_town::gt(call);
    assert_eq!((output.code, output.stderr.starts_with("Error: not in a Gas Town workspace\n")), (1, true));
}
