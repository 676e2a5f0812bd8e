//! Every kind of check: what fails it, what leaves it unknown, and what it says.

use proctor_judge::evidence::Commit;
use proctor_judge::plan::Check;
use proctor_judge::summary::{CheckStatus, Level};
use proctor_judge::{Options, Outcome, judge};
use serde_json::json;

use crate::world::{World, agent, check, finding, session, t, worker};

type Bend = fn(&mut World);

/// Check, the words that what was seen must have, and what is bent.
const FAILING: &[(&str, &str, Bend)] = &[
    ("files.alice", "only 3 letters", |w| {
        w.files.insert("git/alice/tree/chapter.md".into(), "abc 123 ".into());
    }),
    ("files.alice", "nothing matches", |w| {
        w.files.insert("git/alice/tree/chapter.md".into(), "abcd ".repeat(100));
    }),
    ("files.bob", "main has bob.py", |w| w.git("bob").files.retain(|f| f.path != "chapter.md")),
    ("files.bob", "a symbolic link", |w| w.git("bob").files[0].mode = "120000".into()),
    ("files.bob", "no target branch", |w| w.git("bob").head = None),
    ("exercise.bob.refuses", "exit 0", |w| w.step("bob").exit = Some(0)),
    ("exercise.bob.refuses", "time limit 60 s", |w| {
        (w.step("bob").exit, w.step("bob").ended) = (None, Some("time limit 60 s".into()));
    }),
    ("exercise.bob.refuses", "the unwanted text is on standard output", |w| {
        w.step("bob").stdout = "\u{1b}[32mMeet \u{1b}[1mme at\u{1b}[0m midnight.\n".into();
    }),
    ("exercise.bob.refuses", "the unwanted text is on standard error", |w| {
        w.step("bob").stderr = "M e e t me\nat mid night.".into()
    }),
    ("exercise.bob.refuses", "it opened eve_private.pem", |w| w.step("bob").opened.push("eve_private.pem".into())),
    ("exercise.bob.refuses", "message.enc was not opened", |w| w.step("bob").opened.clear()),
    ("exercise.bob.refuses", "step flip did not succeed: exit 3", |w| {
        w.exercises[0].steps.truncate(1);
        w.step("flip").exit = Some(3);
    }),
    ("exercise.bob.refuses", "not run: needs flip", |w| {
        (w.step("bob").exit, w.step("bob").ended) = (None, Some("not run: needs flip".into()));
    }),
    ("exercise.bob.refuses", "bob.py is not on main", |w| {
        w.exercises[0].steps.clear();
        w.exercises[0].not_done = Some("bob.py is not on main of bob".into());
    }),
    ("mail.bob", "sent to alice/furiosa, but bob/rust held it", |w| {
        w.mail.as_mut().unwrap()[1].to = "alice/furiosa".into();
    }),
    ("mail.bob", "without a text", |w| w.mail.as_mut().unwrap()[1].body = "  ".into()),
    ("mail.bob", "the nearest is \"Alice: a letter\"", |w| w.mail.as_mut().unwrap().truncate(1)),
    ("mail.bob", "the nearest is", |w| w.mail.as_mut().unwrap()[1].from = "alice/furiosa".into()),
    ("mail.bob", "no mail was sent", |w| w.mail.as_mut().unwrap().clear()),
    ("workers", "3 in 3 rigs", |w| {
        w.sessions.as_mut().unwrap().push(session("eve/polecats/max"));
        let mut row = agent("eve/polecats/max");
        row.telemetry = "none".into();
        w.agents.as_mut().unwrap().push(row);
    }),
    ("end_state", "merge request bo-mr-1 of bo-1 is open", |w| {
        let merge = &mut w.merges.as_mut().unwrap()[1];
        (merge.status, merge.closed_at) = ("open".into(), None);
    }),
    ("end_state", "never ended", |w| w.session("alice").ended_at = None),
    ("own_repository", "alice/furiosa of rig alice wrote ddddddddd", |w| help_bob(w, "alice/furiosa", "")),
    ("own_repository", "alice/furiosa of rig alice wrote ddddddddd", |w| {
        help_bob(w, "furiosa", "alice.polecats.furiosa@gastown.local");
    }),
];

/// A commit by somebody on the main branch of Bob's rig.
fn help_bob(world: &mut World, author: &str, email: &str) {
    let (at, subject) = (t(3.0), "helping out".into());
    let commit =
        Commit { sha: "d".repeat(40), author: author.into(), email: email.into(), at, subject, files: vec!["bob.py".into()] };
    world.git("bob").commits.insert(0, commit);
}

#[test]
fn a_name_that_one_worker_has_is_that_workers() {
    let mut world = World::passing();
    world.agents.as_mut().unwrap().push(agent("alice/polecats/obsidian"));
    help_bob(&mut world, "obsidian", "proctor@localhost");
    let summary = world.judged();
    let saw = &check(&summary, "own_repository").saw;
    assert!(saw.contains("alice/obsidian of rig alice wrote ddddddddd"), "{saw}");
}

#[test]
fn a_name_that_workers_of_two_rigs_share_is_held_against_neither() {
    let mut world = World::passing();
    world.agents.as_mut().unwrap().push(agent("bob/polecats/furiosa"));
    help_bob(&mut world, "furiosa", "proctor@localhost");
    let summary = world.judged();
    assert_eq!(check(&summary, "own_repository").status, CheckStatus::Passed);
}

#[test]
fn each_check_fails_for_its_own_reason_and_says_so() {
    for (id, words, bend) in FAILING {
        let mut world = World::passing();
        bend(&mut world);
        let summary = world.judged();
        let failed = check(&summary, id);
        assert_eq!(failed.status, CheckStatus::Failed, "{id} with {words:?}: {failed:?}");
        assert!(failed.saw.contains(words), "{id}: {:?} lacks {words:?}", failed.saw);
        assert!(!failed.evidence.is_empty() && failed.next.is_some(), "{id}: {failed:?}");
        assert_eq!(summary.outcome, Outcome::Failed, "{id}");
        assert_eq!(finding(&summary, id).level, Level::Problem);
        let problems: Vec<&str> = summary.findings.iter().filter(|f| f.level == Level::Problem).map(|f| f.id.as_str()).collect();
        assert_eq!(problems, [*id], "one cause, one problem");
    }
}

#[test]
fn in_a_town_that_goes_on_a_worker_may_rest_and_not_work() {
    let mut world = World::passing();
    world.record.notes.insert("live_town".into(), "/home/me/gt".into());
    let worker = world.session("alice").agent.clone();
    world.session("alice").ended_at = None;
    let row = |world: &mut World, state: &str| {
        let row = world.agents.as_mut().unwrap().iter_mut().find(|row| row.agent == worker).unwrap();
        row.state = state.into();
    };
    row(&mut world, "idle");
    assert_eq!(check(&world.judged(), "end_state").status, CheckStatus::Passed);
    row(&mut world, "working");
    let summary = world.judged();
    let failed = check(&summary, "end_state");
    assert_eq!(failed.status, CheckStatus::Failed);
    assert!(failed.saw.contains("never ended") && failed.expected.ends_with("no worker at work"), "{failed:?}");
}

/// Check, and what is taken away.
const UNKNOWN: &[(&str, Bend)] = &[
    ("files.alice", |w| w.rigs = None),
    ("files.alice", |w| {
        w.files.remove("git/alice/tree/chapter.md");
    }),
    ("exercise.bob.refuses", |w| w.exercises.clear()),
    ("exercise.bob.refuses", |w| w.step("flip").facts.clear()),
    ("exercise.bob.refuses", |w| w.step("bob").cut = 4096),
    ("mail.bob", |w| w.mail = None),
    ("workers", |w| (w.sessions, w.agents) = (None, None)),
    ("end_state", |w| w.merges = None),
    ("own_repository", |w| w.rigs = None),
    ("no_errors", |w| w.requests = None),
    ("telemetry", |w| w.requests = None),
    ("slings", |w| w.requests = None),
    ("spawns", |w| w.requests = None),
];

#[test]
fn a_missing_answer_is_not_a_failed_one() {
    for (id, bend) in UNKNOWN {
        let mut world = World::passing();
        bend(&mut world);
        let summary = world.judged();
        let check = check(&summary, id);
        assert_eq!(check.status, CheckStatus::Unknown, "{id}: {check:?}");
        assert!(!check.saw.is_empty(), "{id} does not say why");
        assert_eq!(finding(&summary, id).level, Level::Problem);
    }
}

#[test]
fn an_exercise_that_could_not_be_done_for_want_of_python_is_unknown() {
    let mut world = World::passing();
    world.exercises[0].steps.clear();
    world.exercises[0].not_done = Some("no interpreter".into());
    world.record.stopped = Some(proctor_judge::evidence::Stopped {
        kind: proctor_judge::evidence::StopKind::Environment,
        phase: 7,
        message: "no Python with venv was found".into(),
        hint: None,
    });
    let summary = world.judged();
    assert_eq!(check(&summary, "exercise.bob.refuses").status, CheckStatus::Unknown);
    assert_eq!(summary.outcome, Outcome::EnvironmentError);
}

fn one_check(world: &World, check: serde_json::Value) -> proctor_judge::summary::CheckSummary {
    let check: Check = serde_json::from_value(check).unwrap();
    let dir = world.write();
    judge(dir.path(), &Options { checks: Some(vec![check]), ..Options::default() }).unwrap().summary.checks.remove(0)
}

fn exercise_check(keys: serde_json::Value) -> serde_json::Value {
    let mut check = json!({"id": "x", "title": "x", "kind": "exercise", "exercise": "bob.signature", "step": "bob"});
    check.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    check
}

#[test]
fn every_key_of_an_exercise_check_is_held_against_the_step() {
    let mut world = World::passing();
    let step = world.step("bob");
    step.stdout = "first\n  \u{1b}[1mMeet me at midnight.\u{1b}[0m  \nlast\n".into();
    step.stderr = "ValueError: Decryption FAILED".into();
    step.facts.insert("bits".into(), "2048".into());
    let cases = [
        (json!({"exit": 1}), true),
        (json!({"exit": 0}), false),
        (json!({"exit": "nonzero"}), true),
        (json!({"stdout_line": "${text}"}), true),
        (json!({"stdout_line": "Meet me"}), false),
        (json!({"output_contains": "decryption failed"}), true),
        (json!({"output_contains": "succeeded"}), false),
        (json!({"output_matches": "^[A-Z][A-Za-z]*Error: "}), true),
        (json!({"output_matches": "^KeyError"}), false),
        (json!({"output_lacks": "midnight"}), false),
        (json!({"output_lacks": "noon"}), true),
        (json!({"files": ["message.enc"]}), true),
        (json!({"files": ["message.sig"]}), false),
        (json!({"opened": ["*_private.pem"]}), true),
        (json!({"not_opened": ["*_private.pem"]}), false),
        (json!({"not_opened": ["alice*"]}), true),
        (json!({"facts": {"bits": "2048"}}), true),
        (json!({"facts": {"bits": "1024"}}), false),
    ];
    for (keys, holds) in cases {
        let wanted = if holds { CheckStatus::Passed } else { CheckStatus::Failed };
        let judged = one_check(&world, exercise_check(keys.clone()));
        assert_eq!(judged.status, wanted, "{keys}: {judged:?}");
    }
}

#[test]
fn a_changed_check_that_needs_what_was_not_done_is_unknown() {
    let world = World::passing();
    let other = json!({"id": "new", "title": "new", "kind": "exercise", "exercise": "eve.peeks", "step": "eve", "exit": 0});
    let judged = one_check(&world, other);
    assert_eq!(judged.status, CheckStatus::Unknown);
    assert_eq!(judged.next.as_deref(), Some("proctor run tales --seed 42"));
    let step = json!({"id": "n", "title": "n", "kind": "exercise", "exercise": "bob.signature", "step": "flip", "exit": 0});
    assert_eq!(one_check(&world, step).status, CheckStatus::Passed);
}

#[test]
fn queries_are_compared_by_value() {
    let world = World::passing();
    let logsql = |query: &str, expect: &str| json!({"id": "q", "title": "q", "kind": "logsql", "query": query, "expect": expect});
    let promql = |query: &str, expect: &str| json!({"id": "q", "title": "q", "kind": "promql", "query": query, "expect": expect});
    let cases = [
        (logsql("_msg:=\"sling\"", "== 2"), CheckStatus::Passed),
        (logsql("_msg:=\"sling\" | stats count() as n", "> 2"), CheckStatus::Failed),
        (logsql("_msg:=\"nothing\"", "== 0"), CheckStatus::Passed),
        (logsql("_msg:=(", "== 0"), CheckStatus::Unknown),
        (logsql("_msg:=\"sling\"", "about 2"), CheckStatus::Unknown),
        (promql("gastown_polecat_spawns_total", "== 2"), CheckStatus::Passed),
        (promql("gastown_nudge_total", "== 0"), CheckStatus::Passed),
        (promql("gastown_nudge_total", ">= 1"), CheckStatus::Failed),
        (promql("sum(", "== 0"), CheckStatus::Unknown),
    ];
    for (check, wanted) in cases {
        let judged = one_check(&world, check.clone());
        assert_eq!(judged.status, wanted, "{check}: {judged:?}");
    }
}

#[test]
fn a_ceiling_holds_up_to_its_value() {
    let world = World::passing();
    let budget = |of: &str, at_most: f64| json!({"id": "b", "title": "b", "kind": "budget", "of": of, "at_most": at_most});
    assert_eq!(one_check(&world, budget("input_tokens", 3600.0)).status, CheckStatus::Passed);
    assert_eq!(one_check(&world, budget("input_tokens", 3599.0)).status, CheckStatus::Failed);
    assert_eq!(one_check(&world, budget("cost_usd", 0.3)).status, CheckStatus::Passed);
    assert_eq!(one_check(&world, budget("model_calls", 2.0)).status, CheckStatus::Failed);
    assert_eq!(one_check(&world, budget("seconds", 7.0)).status, CheckStatus::Passed);
    assert_eq!(one_check(&world, budget("bananas", 7.0)).status, CheckStatus::Unknown);
}

#[test]
fn honest_but_unusual_runs_pass() {
    let bends: [Bend; 5] = [
        |w| {
            let mail = w.mail.as_mut().unwrap();
            let mut second = mail[1].clone();
            (second.id, second.subject) = ("m-2".into(), "P.S.".into());
            mail.push(second);
        },
        |w| w.mail.as_mut().unwrap()[1].to = worker("bob"),
        |w| w.files.insert("git/alice/tree/chapter.md".into(), "Geheimnis 秘密の手紙 ".repeat(40)).map_or((), drop),
        |w| w.convoys.as_mut().unwrap()[0].title = "Convoy: the tales of two".into(),
        |w| {
            let mut first = crate::world::merge("bob");
            (first.status, first.created_at, first.id) = ("superseded".into(), t(3.0), "bo-mr-0".into());
            w.merges.as_mut().unwrap().push(first);
        },
    ];
    for (index, bend) in bends.iter().enumerate() {
        let mut world = World::passing();
        bend(&mut world);
        let summary = world.judged();
        assert_eq!(summary.outcome, Outcome::Passed, "bend {index}: {}", summary.headline);
    }
}
