//! What happened, which outcome it gets, and which finding names it.

use proctor_judge::evidence::{Leftover, StopKind, Stopped};
use proctor_judge::summary::{CheckStatus, Level, Summary};
use proctor_judge::{JudgeError, Options, Outcome, judge};
use serde_json::json;

use crate::world::{World, at, branch, exchange, finding, log, merge, t, worker};
use proctor_store::Signal;

#[test]
fn a_clean_run_passes_and_nothing_is_wrong() {
    let summary = World::passing().judged();
    let wrong: Vec<_> = summary.findings.iter().filter(|f| f.level != Level::Note).collect();
    assert_eq!(wrong, Vec::<&proctor_judge::summary::Finding>::new());
    let checks: Vec<_> = summary.checks.iter().filter(|c| c.status != CheckStatus::Passed).collect();
    assert_eq!(checks, Vec::<&proctor_judge::summary::CheckSummary>::new());
    assert_eq!((summary.outcome, summary.exit_code), (Outcome::Passed, 0));
    assert_eq!(summary.headline, "2 issues landed after 5.6 s, and all 12 checks hold.");
    assert_eq!(finding(&summary, "deliverables.verified").level, Level::Note);
}

type Bend = fn(&mut World);

/// Ways not to land, each on the ground of Bob's unfinished issue.
const NOT_LANDED: &[(&str, Bend)] = &[
    ("landed.worker_hangs", |_| {}),
    ("landed.worker_died", |w| {
        let session = w.session("bob");
        (session.exit, session.ended_at) = (Some("signal 9".into()), Some(t(4.9)));
    }),
    ("landed.not_slung", |w| {
        w.bead("bob").assignee = None;
        w.sessions.as_mut().unwrap().retain(|s| s.rig.as_deref() != Some("bob"));
        w.agents.as_mut().unwrap().retain(|a| a.rig.as_deref() != Some("bob"));
        w.delivery("bob").worker = None;
    }),
    ("landed.never_slung", |w| {
        w.sessions.as_mut().unwrap().retain(|s| s.role == "mayor");
        w.agents.as_mut().unwrap().retain(|a| a.role == "mayor");
        w.merges.as_mut().unwrap().clear();
        for rig in ["alice", "bob"] {
            let bead = w.bead(rig);
            (bead.assignee, bead.status, bead.closed_at) = (None, "open".into(), None);
            let delivery = w.delivery(rig);
            (delivery.merged, delivery.worker, delivery.branch) = (false, None, None);
        }
    }),
    ("landed.conflict", |w| {
        let mut conflict = merge("bob");
        (conflict.status, conflict.reason) = ("conflict".into(), Some("chapter.md: both changed it".into()));
        w.merges.as_mut().unwrap().push(conflict);
        w.delivery("bob").own_commits = 1;
    }),
    ("landed.done_without_commit", |w| {
        w.agents.as_mut().unwrap().iter_mut().filter(|a| a.rig.as_deref() == Some("bob")).for_each(|a| a.state = "done".into());
    }),
    ("landed.closed_not_merged", |w| {
        let bead = w.bead("bob");
        (bead.status, bead.closed_at) = ("closed".into(), Some(t(4.4)));
    }),
    ("landed.pushed_not_done", |w| {
        w.delivery("bob").own_commits = 1;
        w.git("bob").branches.insert(branch("bob"), "e".repeat(40));
    }),
    ("landed.rewound", |w| {
        let bead = w.bead("bob");
        bead.status = "closed".into();
        w.git("bob").rewound = vec!["f".repeat(40)];
    }),
    ("landed.not_merged_yet", |w| {
        let mut open = merge("bob");
        (open.status, open.closed_at) = ("open".into(), None);
        w.merges.as_mut().unwrap().push(open);
    }),
];

#[test]
fn each_way_of_not_landing_is_named() {
    for (id, bend) in NOT_LANDED {
        let mut world = World::bob_unfinished();
        bend(&mut world);
        let summary = world.judged();
        assert_eq!(summary.outcome, Outcome::NotLanded, "{id}");
        assert_eq!(summary.exit_code, 100, "{id}");
        let named = finding(&summary, id);
        assert_eq!(named.level, Level::Problem, "{id}");
        assert!(named.saw.is_some() && named.expected.is_some() && named.next.is_some(), "{id}: {named:?}");
        assert!(!named.evidence.is_empty(), "{id} has no evidence");
        assert_eq!(landed_ids(&summary), [*id], "one cause, one finding");
    }
}

fn landed_ids(summary: &Summary) -> Vec<&str> {
    summary.findings.iter().map(|f| f.id.as_str()).filter(|id| id.starts_with("landed.")).collect()
}

#[test]
fn a_worker_that_hangs_is_shown_with_what_it_did_last() {
    let mut world = World::bob_unfinished();
    let mut last = exchange(9, &worker("bob"));
    (last.at, last.answered) = (t(4.8), "sleep 3600".into());
    world.exchanges.push(last);
    let summary = world.judged();
    assert!(last_seen(&summary).contains("bob/rust working; last model call +4.80 s"), "{}", last_seen(&summary));
}

fn last_seen(summary: &Summary) -> &str {
    let details = &finding(summary, "landed.worker_hangs").details;
    &details.iter().find(|d| d.label == "last seen").unwrap().text
}

#[test]
fn a_command_that_never_returned_is_told_from_one_that_did() {
    let mut world = World::bob_unfinished();
    let mut last = exchange(9, &worker("bob"));
    (last.at, last.duration_ms, last.stop_reason) = (t(4.8), 200.0, Some("tool_use".into()));
    last.answered = "One moment.\n$ sleep 3600".into();
    world.exchanges.push(last);
    let summary = world.judged();
    let told = "last model call +4.80 s (HTTP 200): told to run \"sleep 3600\"; that had not returned 1.0 s later";
    assert!(last_seen(&summary).ends_with(told), "{}", last_seen(&summary));

    let result = |at_s| at(log("claude_code.tool_result", 9, &[], &[("service.name", "claude-code")]), at_s);
    // What the agent sent when it was ended, in phase 7, is no sign of it.
    world.requests.as_mut().unwrap().push((Signal::Logs, Some(worker("bob")), result(6.5)));
    assert!(last_seen(&world.judged()).ends_with(told));
    world.requests.as_mut().unwrap().push((Signal::Logs, Some(worker("bob")), result(5.0)));
    let summary = world.judged();
    let ended = "its tool call ended +5.00 s, and nothing came in the 1.0 s after that";
    assert!(last_seen(&summary).ends_with(ended), "{}", last_seen(&summary));
}

/// What Bob's absence brings with it in a run that did not land.
fn without_bob() -> World {
    let mut world = World::bob_unfinished();
    world.exercises[0].steps.clear();
    world.exercises[0].not_done = Some("not landed".into());
    world.git("bob").files.clear();
    world.mail.as_mut().unwrap().retain(|m| m.subject != "Bob: a letter");
    world
}

fn problems(summary: &Summary) -> Vec<&str> {
    summary.findings.iter().filter(|f| f.level == Level::Problem).map(|f| f.id.as_str()).collect()
}

#[test]
fn what_merely_follows_from_not_landing_is_one_finding_after_the_cause() {
    let summary = without_bob().judged();
    assert_eq!(summary.outcome, Outcome::NotLanded);
    assert_eq!(problems(&summary), ["landed.worker_hangs"]);
    assert!(summary.headline.starts_with("1 of 2 issues did not land: bob/rust did not finish bo-1"), "{}", summary.headline);
    let followed = finding(&summary, "checks.followed");
    assert_eq!(followed.level, Level::Warning);
    let title = "4 of 12 checks could not hold, because it did not land (end_state 1, exercise 1, file 1, mail 1)";
    assert_eq!(followed.title, title);
    let which: Vec<_> = followed.details.iter().map(|d| d.text.as_str()).collect();
    assert_eq!(which, ["end_state", "exercise.bob.refuses", "files.bob", "mail.bob"]);
    let failed: Vec<_> = summary.checks.iter().filter(|c| c.status == CheckStatus::Failed).map(|c| c.id.as_str()).collect();
    assert_eq!(failed, ["files.bob", "mail.bob", "end_state"], "the checks keep their answers");
    assert_eq!(crate::world::check(&summary, "exercise.bob.refuses").status, CheckStatus::Unknown, "nobody ran its step");
}

#[test]
fn what_is_there_and_wrong_is_a_problem_though_it_did_not_land() {
    let mut world = without_bob();
    world.files.insert("git/alice/tree/chapter.md".into(), "Too short.".into());
    let mut third = crate::world::session("bob/polecats/extra");
    third.issue = None;
    world.sessions.as_mut().unwrap().push(third);
    let commit = world.git("alice").commits.iter().find(|c| c.author != "mayor").unwrap().clone();
    world.git("bob").commits.push(commit);
    assert_eq!(problems(&world.judged()), ["landed.worker_hangs", "files.alice", "workers", "own_repository"]);
}

#[test]
fn nothing_is_folded_in_a_run_that_landed() {
    let mut world = World::passing();
    world.exercises[0].steps.clear();
    world.exercises[0].not_done = Some("bob.py is not on main".into());
    let summary = world.judged();
    assert_eq!(summary.outcome, Outcome::Failed);
    assert_eq!(problems(&summary), ["exercise.bob.refuses"]);
    assert!(summary.findings.iter().all(|f| f.id != "checks.followed"));
}

#[test]
fn errors_that_the_end_of_the_town_brings_with_it_follow() {
    let error_at = |at_s| {
        let mut world = without_bob();
        let error = at(log("session.stop", 17, &[], &[("service.name", "gastown")]), at_s);
        world.requests.as_mut().unwrap().push((Signal::Logs, None, error));
        world.judged()
    };
    assert_eq!(problems(&error_at(6.5)), ["landed.worker_hangs"]);
    assert_eq!(problems(&error_at(5.0)), ["landed.worker_hangs", "no_errors"]);
}

#[test]
fn main_rewound_after_landing_is_not_landed_though_the_signs_said_so() {
    let mut world = World::passing();
    world.delivery("bob").merged = false;
    world.git("bob").rewound = vec!["d".repeat(40)];
    let summary = world.judged();
    assert_eq!(summary.outcome, Outcome::NotLanded);
    let clause = summary.landed.iter().find(|c| c.clause == "merged").unwrap();
    assert_eq!((clause.value, clause.now.as_str(), clause.source.as_str()), (Some(false), "1/2", "git at the end"));
    finding(&summary, "landed.rewound");
}

#[test]
fn early_ends_have_their_outcomes() {
    let cases = [
        (StopKind::Environment, Outcome::EnvironmentError, "run.environment_error"),
        (StopKind::Provider, Outcome::ProviderError, "run.provider_error"),
        (StopKind::Harness, Outcome::HarnessError, "run.harness_error"),
        (StopKind::Cancelled, Outcome::Cancelled, "run.cancelled"),
    ];
    for (kind, outcome, id) in cases {
        let mut world = World::bob_unfinished();
        let hint = Some("install python3-venv".to_owned());
        world.record.stopped = Some(Stopped { kind, phase: 6, message: "no Python with venv was found".into(), hint });
        let summary = world.judged();
        assert_eq!(summary.outcome, outcome);
        assert_eq!(summary.headline, "No Python with venv was found.");
        assert_eq!(finding(&summary, id).details[0].text, "install python3-venv");
        assert_eq!(summary.totals.checks_failed, 0, "{outcome}: what might still have come has not failed");
        assert!(landed_ids(&summary).is_empty(), "{outcome}: nobody was at fault for not landing");
    }
}

#[test]
fn a_run_that_could_not_start_is_judged_all_the_same() {
    let mut world = World::passing();
    world.record.phases.truncate(1);
    world.record.phases[0].ended_at = None;
    world.record.ended_at = None;
    world.record.stopped =
        Some(Stopped { kind: StopKind::Environment, phase: 1, message: "the disk is full".into(), hint: None });
    let empty = World {
        plan: None,
        signs: Vec::new(),
        beads: None,
        convoys: None,
        mail: None,
        merges: None,
        agents: None,
        sessions: None,
        rigs: None,
        deliveries: None,
        exchanges: Vec::new(),
        exercises: Vec::new(),
        files: Default::default(),
        requests: None,
        ..world
    };
    let summary = empty.judged();
    assert_eq!(summary.outcome, Outcome::EnvironmentError);
    assert_eq!(summary.totals.warnings, 0, "absent files of phases that never came are no news");
}

#[test]
fn a_killed_run_is_unknown_and_no_check_has_failed() {
    let mut world = World::bob_unfinished();
    world.record.stopped = None;
    world.record.ended_at = None;
    world.record.phases.truncate(6);
    world.record.phases[5].ended_at = None;
    let summary = world.judged();
    assert_eq!((summary.outcome, summary.exit_code), (Outcome::Unknown, 101));
    assert_eq!(summary.totals.checks_failed, 0);
    assert!(finding(&summary, "run.killed").title.contains("phase 6 wait for landing"));
}

#[test]
fn a_script_without_an_answer_is_the_harness_s_fault_and_names_agent_turn_and_text() {
    let mut world = World::bob_unfinished();
    let mut miss = exchange(9, &worker("bob"));
    (miss.status, miss.turn, miss.asked) = (400, 3, "You have mail from nobody".into());
    miss.miss = Some("no `on` of bob.toml matches the text".into());
    world.exchanges.push(miss);
    let summary = world.judged();
    assert_eq!((summary.outcome, summary.exit_code), (Outcome::HarnessError, 104));
    let first = &summary.findings[0];
    assert_eq!(first.id, "gateway.miss");
    assert!(first.title.contains("bob/rust") && first.title.contains("turn 4"), "{}", first.title);
    assert!(first.details.iter().any(|d| d.text.contains("You have mail from nobody")));
    assert_eq!(first.evidence[0].at, "evidence/gateway/exchanges.ndjson:4");
}

#[test]
fn a_stop_that_the_journal_explains_is_told_within_the_cause() {
    let mut world = World::bob_unfinished();
    let mut miss = exchange(9, &worker("bob"));
    (miss.status, miss.miss) = (400, Some("no rule".into()));
    world.exchanges.push(miss);
    let message = "no script answers bob/rust at turn 1".to_owned();
    world.record.stopped = Some(Stopped { kind: StopKind::Harness, phase: 6, message, hint: Some("add a `[[turn]]`".into()) });
    let summary = world.judged();
    assert_eq!(problems(&summary), ["gateway.miss"]);
    let details = &finding(&summary, "gateway.miss").details;
    let text = |label: &str| details.iter().find(|d| d.label == label).map(|d| d.text.as_str());
    assert_eq!((text("stopped"), text("hint")), (Some("in phase 6 wait for landing"), Some("add a `[[turn]]`")));
}

#[test]
fn a_miss_that_hurt_nobody_is_a_warning() {
    let mut world = World::passing();
    let mut miss = exchange(9, "mayor");
    (miss.status, miss.miss) = (400, Some("no rule".into()));
    world.exchanges.push(miss);
    let summary = world.judged();
    assert_eq!(summary.outcome, Outcome::Passed);
    assert_eq!(finding(&summary, "gateway.miss").level, Level::Warning);
}

#[test]
fn a_provider_that_never_recovers_is_to_blame_and_one_that_does_is_not() {
    let mut world = World::bob_unfinished();
    let mut refused = exchange(9, &worker("bob"));
    (refused.status, refused.fault) = (529, Some("overloaded".into()));
    world.exchanges.push(refused.clone());
    let summary = world.judged();
    assert_eq!((summary.outcome, summary.exit_code), (Outcome::ProviderError, 103));
    assert_eq!(problems(&summary), ["provider.errors"], "not landing follows from it");
    assert_eq!(finding(&summary, "landed.worker_hangs").level, Level::Warning);
    assert!(finding(&summary, "checks.followed").title.contains("because the provider did not answer"));
    let named = finding(&summary, "provider.errors");
    assert!(named.title.contains("529") && named.title.contains("bob/rust"), "{}", named.title);

    let mut world = World::passing();
    refused.at = t(4.0);
    world.exchanges.insert(0, refused);
    let summary = world.judged();
    assert_eq!(summary.outcome, Outcome::Passed);
    assert_eq!(finding(&summary, "provider.errors").level, Level::Note);
}

#[test]
fn a_prompt_that_arrived_cut_is_named_and_changes_nothing() {
    let mut world = World::passing();
    world.record.delivery.as_mut().unwrap().whole = Some(false);
    let summary = world.judged();
    assert_eq!(summary.outcome, Outcome::Passed);
    let named = finding(&summary, "prompt.cut");
    assert_eq!(named.level, Level::Warning);
    assert!(named.saw.as_deref().unwrap().contains("mayor's model request 2"));
}

#[test]
fn a_process_left_behind_is_named_and_changes_nothing() {
    let mut world = World::passing();
    world.record.leftovers = vec![Leftover { pid: 99, command: "sleep 600".into(), agent: Some(worker("alice")), ended: true }];
    let summary = world.judged();
    assert_eq!(summary.outcome, Outcome::Passed);
    let named = finding(&summary, "process.left_behind");
    assert_eq!(named.level, Level::Warning);
    assert!(named.title.contains("alice/furiosa") && named.title.contains("sleep 600"));
}

#[test]
fn a_record_that_claims_another_s_name_is_kept_and_counted_for_nobody() {
    let mut world = World::passing();
    let attributes = [("cost_usd", json!({"doubleValue": 99.0})), ("input_tokens", json!({"intValue": "999999"}))];
    let identity = [("service.name", "claude-code"), ("gt.role", "mayor")];
    let forged = log("claude_code.api_request", 9, &attributes, &identity);
    world.requests.as_mut().unwrap().push((Signal::Logs, Some(worker("bob")), forged));
    let summary = world.judged();
    assert_eq!(summary.outcome, Outcome::Passed);
    assert!(summary.totals.cost_usd < 1.0, "{}", summary.totals.cost_usd);
    assert_eq!(summary.totals.contradicted, 1);
    let named = finding(&summary, "identity.contradicted");
    assert!(named.title.contains("bob/rust") && named.title.contains("mayor"), "{}", named.title);
    assert_eq!(named.level, Level::Warning);
}

#[test]
fn what_the_town_refused_is_named_with_whoever_asked_for_it() {
    let event = |kind: &str, payload: serde_json::Value| format!("{}\n", json!({ "type": kind, "payload": payload }));
    let refused = |command: &str| {
        let payload = json!({ "agent": worker("bob"), "claimed": "mayor", "by": "GT_ROLE", "command": command });
        event("identity_refused", payload)
    };
    let flood = |count: u64| event("requests_refused", json!({ "agent": worker("eve"), "count": count }));
    let lost = event("daemon_lost", json!({ "pid": 77 }));
    let mut world = World::passing();
    let lines = [refused("gt mail send eve/nux -s \u{1b}[31mred"), refused("gt down"), flood(1), flood(41), lost];
    world.files.insert("raw/events.jsonl".into(), lines.concat());
    let summary = world.judged();
    assert_eq!(summary.outcome, Outcome::Passed);
    let claimed = finding(&summary, "identity.claimed");
    assert!(
        claimed.title.contains("bob/rust gave 2 commands in the name of ") && claimed.title.contains("mayor"),
        "{}",
        claimed.title
    );
    assert!(!claimed.details[0].text.contains('\u{1b}'), "{:?}", claimed.details);
    assert!(finding(&summary, "town.requests_refused").title.starts_with("42 requests of eve/"));
    assert!(finding(&summary, "town.daemon_lost").saw.as_deref().unwrap().contains("process 77"));
}

#[test]
fn what_is_no_run_is_an_error_with_a_hint() {
    let empty = tempfile::tempdir().unwrap();
    let error = judge(empty.path(), &Options::default()).unwrap_err();
    assert!(matches!(error, JudgeError::NotARun { .. }), "{error}");
    assert!(error.hint().contains("proctor runs"));

    let mut world = World::passing();
    world.record.schema = 99;
    let dir = world.write();
    let error = judge(dir.path(), &Options::default()).unwrap_err();
    assert!(matches!(error, JudgeError::Schema { found: 99, known: 1, .. }), "{error}");
}

#[test]
fn a_row_cut_in_the_middle_costs_only_itself() {
    let dir = World::passing().write();
    let file = dir.path().join("evidence/town/mail.ndjson");
    let text = std::fs::read_to_string(&file).unwrap() + "{\"id\":\"m-9\",\"fr";
    std::fs::write(&file, text).unwrap();
    let summary = judge(dir.path(), &Options::default()).unwrap().summary;
    assert_eq!(summary.outcome, Outcome::Passed);
    assert!(finding(&summary, "evidence.unread").title.contains("town/mail.ndjson"));
}
