//! Known defects of the real Gas Town: each is a finding when it showed, and only then, and only in that town.

use std::path::Path;

use proctor_judge::evidence::Convoy;
use proctor_judge::summary::Level;
use proctor_judge::{Options, Outcome, bug_report, judge};
use proctor_store::Signal;
use serde_json::json;

use crate::world::{World, at, exchange, finding, issue, log, merge, t, worker};

/// A passing run on the real town.
fn town() -> World {
    on(World::passing())
}

fn on(mut world: World) -> World {
    world.record.town = "gastown".into();
    world.record.versions.insert("gt".into(), "v1.0.1".into());
    // The workers' sessions end in phase 6 as agents' do that exit after their work.
    world
}

/// `agent` runs `command`, which prints `output`, `s` seconds after the run began.
fn runs(world: &mut World, agent: &str, s: f64, command: &str, output: &str) {
    let turn = world.exchanges.iter().filter(|e| e.agent == agent).count() as u32;
    let n = world.exchanges.len() as u64;
    let mut told = exchange(n + 1, agent);
    (told.at, told.turn, told.stop_reason) = (t(s - 1.0), turn, Some("tool_use".into()));
    told.answered = format!("I do it.\n$ {command}");
    let mut then = exchange(n + 2, agent);
    (then.at, then.turn, then.asked) = (t(s), turn + 1, output.into());
    world.exchanges.extend([told, then]);
}

fn by_harness(world: &mut World, command: &[&str], exit: i32, said: &str) {
    let row =
        json!({"at": t(1.5), "wall_s": 0.2, "command": command, "cwd": "/b/town", "how": format!("exit {exit}"), "said": said});
    world.files.entry("raw/commands.ndjson".into()).or_default().push_str(&format!("{row}\n"));
}

type Bend = fn(&mut World);

/// Every defect, how it shows, and what its finding repeats of it.
const SHOWN: &[(&str, &str, Bend)] = &[
    ("gastown.merge_flag_ignored", "bo-1 was slung with --merge direct", |w| {
        runs(
            w,
            "mayor",
            3.0,
            "gt sling bo-1 bob --merge direct --no-boot",
            "🎯 Slinging bo-1 to bob...\n○ Already tracked by convoy hq-cv-1\n",
        );
    }),
    ("gastown.done_without_commit", "completing without merge request", |w| {
        w.delivery("bob").own_commits = 0;
        runs(w, &worker("bob"), 4.0, "gt done", "  Skipping MR creation - completing without merge request.\n");
    }),
    ("gastown.direct_push_failed", "-> main (fetch first)\"; bo-1 was closed", |w| {
        let said = "⚠ Warning: direct push to main failed: git push: To file:///b/origins/bob.git\n ! [rejected]        polecat/x -> main (fetch first)\n\
                    ✓ Witness notified of COMPLETED (via nudge)\n⚠ Work needs recovery (push or MR failed) — session preserved\n";
        runs(w, &worker("bob"), 4.0, "gt done", said);
    }),
    ("gastown.start_timeout", "timeout waiting for runtime prompt", |w| {
        let said = "Booting rig bob...\n  Starting refinery...\nError: starting refinery: waiting for refinery to start: timeout waiting for runtime prompt\n[exit 1]";
        runs(w, "mayor", 3.0, "gt rig boot bob", said);
    }),
    ("gastown.rejected_stays_closed", "of bo-1 was rejected: chapter.md", |w| {
        let mut rejected = merge("bob");
        (rejected.status, rejected.reason) = ("rejected".into(), Some("chapter.md: both changed it".into()));
        w.merges.as_mut().unwrap().retain(|m| m.rig != "bob");
        w.merges.as_mut().unwrap().push(rejected);
        w.delivery("bob").merged = false;
    }),
    ("gastown.convoy_closed_early", "convoy hq-cv-1 was closed +5.60 s, merged +5.90 s", |w| {
        w.signs.iter_mut().filter(|s| s.clause == "merged").for_each(|s| {
            let (from, to) = if s.value { (5.9, 6.0) } else { (5.0, 5.85) };
            (s.first_seen, s.last_seen) = (t(from), t(to));
        });
    }),
    ("gastown.closed_before_merge", "al-1 closed +1.50 s, merged +3.90 s", |w| w.bead("alice").closed_at = Some(t(1.5))),
    (
        "gastown.two_slingers",
        "hooked to bob/polecats/rust when it was slung; the daemon had fed it (line 2 of its log); slung by unknown and mayor",
        |w| {
            runs(
                w,
                "mayor",
                3.0,
                "gt sling bo-1 bob",
                "Error: bead bo-1 is already hooked to bob/polecats/rust\nUse --force to re-sling\n[exit 1]",
            );
            w.files.insert(
                "raw/daemon/daemon.log".into(),
                "2026/11/22 start\n2026/11/22 10:15:04 Convoy hq-cv-1: feeding bo-1 to bob\n".into(),
            );
            let event =
                |actor: &str| json!({"type": "sling", "actor": actor, "payload": {"bead": "bo-1", "target": "bob"}}).to_string();
            w.files.insert("raw/events.jsonl".into(), format!("{}\n{}\n", event("unknown"), event("mayor")));
        },
    ),
    ("gastown.daemon_slung", "the daemon slung bo-1 of convoy hq-cv-1 to bob", |w| {
        let log = "2026/11/22 start\n2026/11/22 10:15:04 Convoy hq-cv-1: feeding bo-1 to bob\n";
        w.files.insert("raw/daemon/daemon.log".into(), log.into());
    }),
    ("gastown.rollback_leaves_convoy", "convoy hq-cv-2 \"Work: bob: write chapter.md\" stayed open", |w| {
        let bead = w.bead("bob");
        (bead.status, bead.closed_at) = ("open".into(), None);
        w.convoys.as_mut().unwrap().push(Convoy {
            id: "hq-cv-2".into(),
            title: "Work: bob: write chapter.md".into(),
            status: "open".into(),
            tracked: vec![issue("bob")],
            created_at: t(2.0),
            closed_at: None,
        });
        runs(w, "mayor", 3.0, "gt sling bo-1 bob", "⚠ Session failed, rolling back spawned polecat rust...\n[exit 1]");
    }),
    ("gastown.death_unnoticed", "session s-bob-polecats-rust ended by signal 9 with bo-1 on its hook", |w| {
        let session = w.session("bob");
        (session.exit, session.ended_at) = (Some("signal 9".into()), Some(t(4.0)));
        let bead = w.bead("bob");
        (bead.status, bead.closed_at) = ("hooked".into(), None);
    }),
    ("gastown.done_refuses", "Uncommitted: .beads .runtime CLAUDE.md", |w| {
        let said = "Error: cannot complete: uncommitted changes would be lost\nCommit first\nUncommitted: .beads .runtime CLAUDE.md\n[exit 1]";
        runs(w, &worker("bob"), 4.0, "gt done", said);
    }),
    ("gastown.status_custom", "invalid status name", |w| {
        runs(
            w,
            "mayor",
            3.0,
            "gt convoy create Tales al-1 bo-1",
            "Error: invalid status name \"status.custom (not set)\"\n[exit 1]",
        );
    }),
    ("gastown.prefix_routing", "bo-1 exists: ", |w| {
        runs(
            w,
            "mayor",
            3.0,
            "cd \"$GT_ROOT\" && bd show bo-1 --json",
            "Error: no issues found matching the provided IDs\n[exit 1]",
        );
    }),
    ("gastown.install_partial", "issue_prefix", |w| {
        by_harness(
            w,
            &["/b/bin/gt", "install", "town"],
            0,
            "   ⚠ Could not initialize town beads: config set issue_prefix: exit status 1\n",
        );
    }),
    ("gastown.dolt_unreachable", "Dolt server unreachable", |w| {
        by_harness(w, &["/b/bin/bd", "list"], 1, "{\"error\":\"failed to open database: Dolt server unreachable\"}\n");
    }),
    ("gastown.worktree_busy", "could not checkout main", |w| {
        runs(
            w,
            &worker("bob"),
            4.0,
            "gt done",
            "⚠ could not checkout main: exit status 128 (worktree stays on feature branch)\n",
        );
    }),
    ("gastown.working_after_done", "bob/rust was done +4.00 s and listed as working +4.50 s", |w| {
        done(w, "bob", 4.0);
        runs(w, "mayor", 4.5, "gt polecat list --all --json", "[{\"rig\":\"bob\",\"name\":\"rust\",\"state\":\"working\"}]");
    }),
    ("gastown.second_worker", "bob/slit was made +4.50 s while bob/rust was done", |w| {
        done(w, "bob", 4.0);
        let mut second = crate::world::session("bob/polecats/slit");
        (second.started_at, second.issue) = (t(4.5), None);
        w.sessions.as_mut().unwrap().push(second);
    }),
    ("gastown.error_exit", "Error: exit 1", |w| {
        runs(w, "mayor", 3.0, "gt mail check", "No new mail\nError: exit 1\nUsage:\n  gt mail check [flags]\n")
    }),
    ("gastown.stale_locks", "Stale lock (dead PID", |w| {
        runs(w, "mayor", 3.0, "gt agents check --json", "      \"message\": \"Stale lock (dead PID 4711)\",\n")
    }),
    ("gastown.run_id_of_spawner", "has the run.id of mayor (life-of-mayor); derived: it is told of bob/rust", |w| {
        let attributes =
            [("session_id", json!({"stringValue": "s-bob-polecats-rust"})), ("run.id", json!({"stringValue": "life-of-mayor"}))];
        let record = log("agent.instantiate", 9, &attributes, &[("service.name", "gastown"), ("gt.role", "mayor")]);
        w.requests.as_mut().unwrap().push((Signal::Logs, Some("mayor".into()), record));
    }),
    ("gastown.no_prompt_send", "1 nudge record and no prompt.send", |w| {
        w.requests.as_mut().unwrap().push((Signal::Logs, None, log("nudge", 9, &[], &[("service.name", "gastown")])));
    }),
    ("gastown.noise", "2 times \"no route found for prefix", |w| {
        for s in [3.0, 5.0] {
            runs(w, "mayor", s, "gt sling al-1 alice", "Warning: no route found for prefix \"gt-\" (bead gt-rig-alice)\n");
        }
    }),
];

fn done(world: &mut World, rig: &str, s: f64) {
    let record = at(log("done", 9, &[], &[("service.name", "gastown"), ("gt.role", &worker(rig))]), s);
    world.requests.as_mut().unwrap().push((Signal::Logs, Some(worker(rig)), record));
}

#[test]
fn each_defect_is_a_finding_when_it_showed() {
    for (id, part, bend) in SHOWN {
        let mut world = town();
        bend(&mut world);
        let summary = world.judged();
        let found = finding(&summary, id);
        let saw = found.saw.clone().unwrap_or_default();
        assert!(saw.contains(part), "{id}: {saw}");
        let labels: Vec<&str> = found.details.iter().map(|d| d.label.as_str()).collect();
        assert!(labels.ends_with(&["cause", "versions", "way round"]), "{id}: {labels:?}");
        assert!(found.expected.is_some() && found.next.is_some() && !found.evidence.is_empty(), "{id}: {found:?}");
        let landed = summary.outcome != Outcome::NotLanded;
        assert_ne!(found.level == Level::Problem, landed, "{id} decides only what did not land: {found:?}");
    }
}

#[test]
fn a_town_that_is_well_has_none_of_them() {
    let summary = town().judged();
    let ids: Vec<&str> = summary.findings.iter().map(|f| f.id.as_str()).filter(|id| id.starts_with("gastown.")).collect();
    assert_eq!(ids, ["gastown.no_session_stop"], "the workers exit by themselves, and gt has no record for that");
}

#[test]
fn no_defect_is_looked_for_in_another_town() {
    for (id, _, bend) in SHOWN {
        let mut world = World::passing();
        bend(&mut world);
        let summary = world.judged();
        assert!(!summary.findings.iter().any(|f| f.id.starts_with("gastown.")), "{id}");
    }
}

#[test]
fn every_defect_is_shown_here_and_explained_in_the_docs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("src/findings/gastown/table.rs")).unwrap();
    let docs = std::fs::read_to_string(root.join("../../docs/gastown-findings.md")).unwrap();
    let pattern = regex::Regex::new(r#"id: "((?:gastown|landed)\.[a-z_0-9]+)""#).unwrap();
    let ids: Vec<String> = pattern.captures_iter(&table).map(|found| found[1].to_owned()).collect();
    assert!(ids.len() > 20);
    for id in ids {
        assert!(docs.contains(&format!("`{id}`")), "{id} is not in docs/gastown-findings.md");
        let shown = id.starts_with("landed.") || id == "gastown.no_session_stop" || SHOWN.iter().any(|(shown, ..)| *shown == id);
        assert!(shown, "{id} has no example here");
    }
}

#[test]
fn a_defect_that_keeps_an_issue_from_landing_is_a_problem_after_the_cause() {
    let mut world = on(World::bob_unfinished());
    runs(&mut world, "mayor", 3.0, "gt sling bo-1 bob --merge direct", "○ Already tracked by convoy hq-cv-1\n");
    let mut open = merge("bob");
    (open.status, open.closed_at, open.merge_commit) = ("open".into(), None, None);
    world.merges.as_mut().unwrap().push(open);
    let summary = world.judged();
    let problems = summary.findings.iter().filter(|f| f.level == Level::Problem).map(|f| f.id.as_str());
    let ids: Vec<&str> = problems.filter(|id| id.contains('.')).collect();
    assert_eq!(ids, ["landed.not_merged_yet", "gastown.merge_flag_ignored"]);
    let found = finding(&summary, "gastown.merge_flag_ignored");
    assert!(found.title.ends_with("(bo-1)"), "{}", found.title);
    assert!(found.saw.as_deref().unwrap().contains("its merge request bo-mr-1 appeared +3.50 s"));
    let places: Vec<&str> = found.evidence.iter().map(|e| e.at.as_str()).collect();
    assert_eq!(places, ["evidence/gateway/exchanges.ndjson:5", "evidence/town/merge_requests.ndjson:2"]);
}

#[test]
fn closed_and_not_merged_names_bead_branch_merge_request_and_the_moments() {
    let mut world = on(World::bob_unfinished());
    let bead = world.bead("bob");
    (bead.status, bead.closed_at, bead.closed_by) = ("closed".into(), Some(t(4.4)), Some(worker("bob")));
    world.delivery("bob").own_commits = 1;
    let mut open = merge("bob");
    (open.status, open.closed_at, open.merge_commit) = ("open".into(), None, None);
    world.merges.as_mut().unwrap().push(open);
    let summary = world.judged();
    let found = finding(&summary, "landed.closed_not_merged");
    let fact = |label: &str| found.details.iter().find(|d| d.label == label).map(|d| d.text.as_str()).unwrap_or_default();
    assert!(found.title.starts_with("bo-1 "), "{}", found.title);
    assert_eq!(fact("closed"), "+4.40 s by bob/rust (merged)");
    assert_eq!(fact("branch"), "polecat/x/bo-1: 1 commit of its own");
    assert_eq!(fact("merge request"), "bo-mr-1 open, submitted +3.50 s");
    assert!(fact("cause").contains("closed does not mean merged") && fact("versions").contains("a8bd79b"));
}

#[test]
fn what_shows_often_is_one_finding_that_counts() {
    let mut world = town();
    for n in 0..8 {
        runs(&mut world, &worker("bob"), 3.0 + f64::from(n) / 4.0, "gt done", "could not checkout main: exit status 128\n");
    }
    let summary = world.judged();
    let found: Vec<_> = summary.findings.iter().filter(|f| f.id == "gastown.worktree_busy").collect();
    let told = found[0].details.iter().filter(|d| d.label == "seen").count();
    assert_eq!((found.len(), told, found[0].evidence.len()), (1, 6, 4));
    assert!(found[0].saw.as_deref().unwrap().contains("8 occurrences, of which the first 6 are told"));
}

#[test]
fn an_issue_that_is_being_slung_has_two_slingers_too() {
    let mut world = town();
    let said = "Error: bead ev-1 is already being slung; retry after the current assignment completes\n[exit 1]";
    runs(&mut world, "mayor", 3.0, "gt sling ev-1 eve", said);
    let judgement = world.judged();
    let saw = finding(&judgement, "gastown.two_slingers").saw.as_deref().unwrap();
    assert!(saw.starts_with("ev-1 was being slung by somebody else when it was slung"), "{saw}");
}

#[test]
fn an_output_that_the_journal_cut_is_read_whole() {
    let mut world = town();
    runs(&mut world, "mayor", 3.0, "gt mail check", "a long beginning… (+90 bytes)");
    let last = world.exchanges.last_mut().unwrap();
    last.body = Some("bodies/000009".into());
    let request = json!({"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "a long beginning\nError: exit 0\n"}]}]});
    world.files.insert("gateway/bodies/000009/request.json".into(), request.to_string());
    finding(&world.judged(), "gastown.error_exit");
}

#[test]
fn the_bug_report_of_a_defect_has_its_cause_and_way_round() {
    let mut world = town();
    runs(&mut world, "mayor", 3.0, "gt mail check", "Error: exit 0\n");
    let dir = world.write();
    let judgement = judge(dir.path(), &Options::default()).unwrap();
    let found = judgement.summary.finding("gastown.error_exit").unwrap();
    let text = bug_report(dir.path(), &judgement, found).unwrap();
    for part in [
        "## Likely cause\n\nan end without a message",
        "## Way round\n\ngt mail check with --json",
        "Known of: gt v1.0.1",
        "--- asked\nError: exit 0",
    ] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
}
