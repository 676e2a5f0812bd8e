//! Whose fault it is: what depends on what, and who sent what counts for nobody.

use proctor_judge::evidence::{Loss, Sender, SignalRow, StopKind, Stopped};
use proctor_judge::plan::Check;
use proctor_judge::summary::{CheckStatus, Level, Summary};
use proctor_judge::{Options, Outcome, judge};
use serde_json::json;

use crate::world::{World, check, exchange, finding, t};

fn judged_by(world: &World, checks: serde_json::Value) -> Summary {
    let checks: Vec<Check> = serde_json::from_value(checks).unwrap();
    let dir = world.write();
    judge(dir.path(), &Options { checks: Some(checks), ..Options::default() }).unwrap().summary
}

fn on(id: &str, step: &str) -> serde_json::Value {
    json!({"id": id, "title": id, "kind": "exercise", "exercise": "bob.signature", "step": step, "exit": 0})
}

/// A run whose exercise went no further than a step that failed.
fn ended_at_bob() -> World {
    let mut world = World::passing();
    world.exercises[0].not_done = Some("step `late` was not run: `bob` did not exit with 0".into());
    world
}

#[test]
fn checks_of_steps_that_were_not_run_are_unknown_and_told_with_their_cause() {
    let summary = judged_by(&ended_at_bob(), json!([on("late.one", "late"), on("bob", "bob"), on("late.two", "late")]));
    assert_eq!(summary.outcome, Outcome::Failed);
    for id in ["late.one", "late.two"] {
        let late = check(&summary, id);
        assert_eq!((late.status, late.depends_on.as_deref()), (CheckStatus::Unknown, Some("bob")), "{id}");
    }
    let problems: Vec<&str> = summary.findings.iter().filter(|f| f.level == Level::Problem).map(|f| f.id.as_str()).collect();
    assert_eq!(problems, ["bob"]);
    let depends = &finding(&summary, "bob").details.iter().find(|d| d.label == "depends").unwrap().text;
    assert_eq!(depends, "2 checks depend on it and could not be judged: late.one, late.two");
    assert!(summary.headline.ends_with("1 of 3 checks does not hold: bob. 2 more could not be judged."), "{}", summary.headline);
}

#[test]
fn where_no_check_tells_the_cause_the_first_that_depends_on_it_stands_for_it() {
    let summary = judged_by(&ended_at_bob(), json!([on("late.one", "late"), on("late.two", "late")]));
    assert_eq!(summary.outcome, Outcome::Failed, "what was delivered is why nothing more was run");
    assert_eq!(check(&summary, "late.one").status, CheckStatus::Failed);
    assert_eq!(check(&summary, "late.two").depends_on.as_deref(), Some("late.one"));
}

#[test]
fn a_convoy_is_not_blamed_while_an_issue_was_open() {
    let mut world = World::passing();
    let stopped =
        Stopped { kind: StopKind::Timeout, phase: 6, message: "the convoy did not land within 30 s".into(), hint: None };
    world.record.stopped = Some(stopped);
    let signs = &mut world.signs;
    for (clause, now) in [("issues_closed", "1/2"), ("convoy_closed", "open")] {
        let sign = signs.iter_mut().rfind(|sign| sign.clause == clause).unwrap();
        (sign.value, sign.now) = (false, now.into());
    }
    world.convoys.as_mut().unwrap()[0].status = "open".into();
    let summary = world.judged();
    assert_eq!(summary.outcome, Outcome::NotLanded);
    assert!(summary.findings.iter().all(|f| f.id != "landed.convoy_open"), "{}", summary.headline);
    assert!(finding(&summary, "landed.timeout").title.contains("1/2"), "{}", summary.headline);
}

#[test]
fn requests_without_a_token_name_whose_address_and_who_sent_them() {
    let mut world = World::passing();
    let row = |reason: &str, agent: Option<&str>, count: u64| {
        json!({"listener": "gateway", "reason": reason, "claimed": "bob/polecats/rust", "agent": agent, "example": "POST /a/bob/v1/messages",
            "count": count, "first_at": t(4.0), "last_at": t(5.0), "from": {"pid": 7, "program": "python3", "agent": agent}})
    };
    let rows = [row("no_token", Some("alice/polecats/furiosa"), 2), row("foreign_token", Some("alice/polecats/furiosa"), 1)];
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    world.files.insert("requests.ndjson".into(), text);
    let summary = world.judged();
    assert_eq!(summary.outcome, Outcome::Passed);
    let found = finding(&summary, "identity.token");
    assert_eq!(found.title, "3 requests to the gateway by the address of bob/rust, without its token; alice/furiosa sent them");
    let saw = "2 without a token, 1 with the token of another agent; kept, and counted for nobody";
    assert_eq!((found.level, found.saw.as_deref()), (Level::Warning, Some(saw)));
}

#[test]
fn an_agent_that_asks_for_what_the_gateway_does_not_have_is_named_with_it() {
    let mut world = World::bob_unfinished();
    world.exchanges.retain(|e| e.agent != "bob/polecats/rust");
    world.requests.as_mut().unwrap().retain(|(_, agent, _)| agent.as_deref() != Some("bob/polecats/rust"));
    for n in 20..23 {
        let mut lost = exchange(n, "bob/polecats/rust");
        (lost.request, lost.status) = ("POST /v1/responses".into(), 404);
        world.exchanges.push(lost);
    }
    let summary = world.judged();
    let title = "bob/rust asked the gateway 3 times for what it does not have: \"POST /v1/responses\"";
    assert_eq!(finding(&summary, "gateway.unknown_path").title, title);
    let seen = &finding(&summary, "landed.worker_hangs").details.iter().find(|d| d.label == "last seen").unwrap().text;
    assert!(seen.contains("never called the model and asked 3 times for what"), "{seen}");
}

#[test]
fn a_miss_is_the_scripts_fault_only_where_the_agent_itself_asked() {
    let outcome = |agent: &str, own: Option<bool>| {
        let mut world = World::bob_unfinished();
        let mut miss = exchange(9, agent);
        (miss.status, miss.miss) = (400, Some("turn 1: no rule".into()));
        miss.from = Some(Sender { pid: 7, program: "x".into(), agent: None, own });
        world.exchanges.push(miss);
        let summary = world.judged();
        (summary.outcome, finding(&summary, "gateway.miss").level)
    };
    assert_eq!(outcome("bob/polecats/rust", None), (Outcome::HarnessError, Level::Problem));
    assert_eq!(outcome("bob/polecats/rust", Some(true)), (Outcome::HarnessError, Level::Problem));
    assert_eq!(outcome("bob/polecats/rust", Some(false)), (Outcome::NotLanded, Level::Warning));
    assert_eq!(outcome("bob/refinery", None), (Outcome::NotLanded, Level::Warning), "nobody of that name ever lived");
}

#[test]
fn what_was_lost_at_the_end_keeps_the_verdict_on_the_work_and_lets_nothing_pass() {
    let lose = |world: &mut World| {
        let loss =
            Loss { what: "keeping what the origins hold".into(), message: "git bundle failed: bad ref".into(), agent: None };
        world.record.losses = vec![loss];
    };
    let mut world = World::passing();
    lose(&mut world);
    let summary = world.judged();
    assert_eq!(summary.outcome, Outcome::Unknown);
    let found = finding(&summary, "collect.lost");
    assert_eq!(
        (found.level, found.title.as_str()),
        (Level::Problem, "keeping what the origins hold failed: git bundle failed: bad ref")
    );
    let mut failed = ended_at_bob();
    lose(&mut failed);
    assert_eq!(judged_by(&failed, json!([on("bob", "bob")])).outcome, Outcome::Failed);
}

#[test]
fn a_town_that_was_lost_while_it_worked_is_nobodys_fault() {
    let mut world = World::bob_unfinished();
    world.record.stopped =
        Some(Stopped { kind: StopKind::Lost, phase: 6, message: "the town cannot be read".into(), hint: None });
    let summary = world.judged();
    assert_eq!((summary.outcome, summary.headline.as_str()), (Outcome::Unknown, "The town cannot be read."));
    assert_eq!(finding(&summary, "run.lost").level, Level::Problem);
}

#[test]
fn a_signal_of_the_runs_own_is_told_and_ends_nothing() {
    let mut world = World::passing();
    world.record.signals =
        vec![SignalRow { signal: "SIGTERM".into(), pid: 7, command: "python3 p.py".into(), agent: None, at: t(5.0) }];
    let summary = world.judged();
    assert_eq!(summary.outcome, Outcome::Passed);
    assert_eq!(finding(&summary, "run.signalled").title, "a process of the run sent Proctor SIGTERM, which it did not obey");
}

#[test]
fn commands_in_the_name_of_another_are_told_by_the_process_that_gave_them() {
    let mut world = World::passing();
    world.record.town = "gastown".into();
    let row = |claimed: Option<&str>| {
        let mut row = json!({"at": t(4.0), "wall_s": 0.1, "agent": "bob/polecats/rust", "command": "gt mail send"});
        row.as_object_mut().unwrap().extend(claimed.map(|name| ("claimed".to_owned(), json!(name))));
        format!("{row}\n")
    };
    world.files.insert("raw/town-commands.ndjson".into(), row(None) + &row(Some("mayor")));
    let found = finding(&world.judged(), "identity.claimed").clone();
    assert_eq!(found.title, "bob/rust gave 1 command in the name of \"mayor\"");
    assert_eq!(found.evidence[0].at, "evidence/raw/town-commands.ndjson:2");
}

#[test]
fn a_second_convoy_takes_nothing_away_and_is_told() {
    let mut world = World::passing();
    let convoys = world.convoys.as_mut().unwrap();
    let mut second = convoys[0].clone();
    (second.id, second.created_at) = ("hq-cv-2".into(), t(5.0));
    second.tracked.truncate(1);
    convoys.push(second);
    let summary = world.judged();
    assert_eq!(summary.outcome, Outcome::Passed);
    assert!(summary.headline.starts_with("2 issues landed"), "{}", summary.headline);
    assert!(finding(&summary, "landed.second_convoy").saw.as_ref().unwrap().contains("hq-cv-2 tracks"));
}
