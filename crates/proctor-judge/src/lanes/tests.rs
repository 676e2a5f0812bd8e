//! What must hold of lanes built from evidence written by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Duration;
use serde_json::{Value, json};

use super::*;
use crate::evidence::{Exchange, MergeRequest, Session, Sign};

pub(crate) fn at(seconds: f64) -> Time {
    #[allow(clippy::cast_possible_truncation, reason = "a test's moments are small")]
    let nanos = (seconds * 1e9) as i64;
    Time::from_timestamp(1_700_000_000, 0).unwrap() + Duration::nanoseconds(nanos)
}

pub(crate) fn session(agent: &str, name: &str, from: f64, to: Option<f64>, issue: Option<&str>) -> Session {
    let role = if agent == "mayor" { "mayor" } else { "polecat" };
    serde_json::from_value(json!({
        "session": name, "run_id": format!("{name}@{from}"), "agent": agent, "role": role, "rig": agent.split_once('/').map(|(rig, _)| rig),
        "pid": 7, "command": [], "started_at": at(from), "ended_at": to.map(at), "exit": to.map(|_| "exit 0"), "issue": issue, "branch": null,
    }))
    .unwrap()
}

pub(crate) fn log(address: &str, time: f64, body: &str, fields: &[(&str, &str)]) -> LogRow {
    LogRow {
        seq: 1 + (time * 1e6).round() as u64,
        time_ns: at(time).timestamp_nanos_opt().unwrap(),
        body: body.into(),
        error: false,
        address: address.into(),
        contradicted: None,
        fields: fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        resource: Arc::new(BTreeMap::new()),
    }
}

pub(crate) fn exchange(n: u64, agent: &str, from: f64, ms: f64, output_tokens: u64) -> Exchange {
    serde_json::from_value(json!({
        "n": n, "agent": agent, "at": at(from), "duration_ms": ms, "request": "POST /v1/messages", "model": "m", "stream": false, "turn": 1,
        "sha256": "", "status": 200, "stop_reason": "end_turn", "matched": null, "miss": null, "fault": null, "input_tokens": 10,
        "output_tokens": output_tokens, "asked": format!("result {n}"), "answered": format!("answer {n}"), "body": null,
    }))
    .unwrap()
}

fn merge(worker: &str, issue: &str, from: f64, to: Option<f64>) -> MergeRequest {
    serde_json::from_value(json!({
        "id": format!("mr-{issue}"), "issue": issue, "rig": "alice", "branch": "b", "target": "main", "worker": worker, "commit": null,
        "status": if to.is_some() { "merged" } else { "open" }, "merge_commit": null, "created_at": at(from), "closed_at": to.map(at), "reason": null,
    }))
    .unwrap()
}

fn mail(id: &str, to: &str, time: f64) -> crate::evidence::Mail {
    let row: Value = json!({ "id": id, "from": "mayor", "to": to, "subject": "s", "body": "b", "at": at(time), "read": true });
    serde_json::from_value(row).unwrap()
}

fn sign(value: bool, from: f64, to: f64, now: &str) -> Sign {
    let row = json!({
        "clause": "merged", "value": value, "now": now, "first_seen": at(from), "last_seen": at(to), "source": "git", "detail": "",
    });
    serde_json::from_value(row).unwrap()
}

const FURIOSA: &str = "alice/polecats/furiosa";

/// A mayor and one worker.
pub(crate) fn town() -> Material {
    Material {
        sessions: vec![
            session(FURIOSA, "al-furiosa", 2.0, Some(8.0), Some("al-1")),
            session("mayor", "hq-mayor", 0.0, None, None),
        ],
        ..Material::default()
    }
}

fn ids(lanes: &Lanes) -> Vec<&str> {
    lanes.lanes.iter().map(|lane| lane.id.as_str()).collect()
}

fn lane_of<'a>(lanes: &'a Lanes, id: &str) -> &'a str {
    &lanes.lanes[lanes.event(id).unwrap().1.lane].id
}

#[test]
fn mayor_first_then_workers_by_rig_then_their_queue() {
    let mut material = town();
    material.sessions.insert(0, session("bob/polecats/nux", "bo-nux", 1.0, None, None));
    material.merge_requests = vec![merge(FURIOSA, "al-1", 7.0, Some(7.5))];
    assert_eq!(ids(&Lanes::of(&material)), ["hq-mayor", "al-furiosa", "queue:alice", "bo-nux"]);
}

#[test]
fn a_second_life_is_a_lane_of_its_own_and_takes_the_records_after_its_start() {
    let mut material = town();
    material.sessions.insert(0, session(FURIOSA, "al-furiosa", 10.0, None, Some("al-1")));
    material.logs = vec![log(FURIOSA, 3.0, "prime", &[]), log(FURIOSA, 11.0, "prime", &[])];
    let lanes = Lanes::of(&material);
    assert_eq!(ids(&lanes), ["hq-mayor", "al-furiosa", "al-furiosa.2"]);
    assert_eq!((lane_of(&lanes, "e3000001"), lane_of(&lanes, "e11000001")), ("al-furiosa", "al-furiosa.2"));
}

#[test]
fn a_bar_ends_at_the_stamp_and_begins_a_duration_before_it() {
    let mut material = town();
    material.logs = vec![log("mayor", 5.0, "claude_code.tool_result", &[("duration_ms", "1500"), ("tool_name", "Bash")])];
    let lanes = Lanes::of(&material);
    assert!((lanes.events[0].start - 3.5).abs() < 1e-6 && (lanes.events[0].end - 5.0).abs() < 1e-6);
}

#[test]
fn the_address_decides_over_what_the_record_says() {
    let mut material = town();
    material.logs = vec![log("mayor", 3.0, "prime", &[("gt.session", "al-furiosa"), ("run.id", "al-furiosa@2")])];
    assert_eq!(lane_of(&Lanes::of(&material), "e3000001"), "hq-mayor");
}

#[test]
fn without_address_session_role_and_run_id_name_the_agent() {
    let mut material = town();
    material.logs = vec![
        log("", 3.0, "prime", &[("gt.session", "al-furiosa")]),
        log("", 4.0, "prime", &[("gt.role", FURIOSA)]),
        log("", 5.0, "prime", &[("gt.actor", "alice/furiosa")]),
        log("", 6.0, "prime", &[("run.id", "al-furiosa@2")]),
        log("", 7.0, "claude_code.user_prompt", &[("session.id", "native")]),
        log(FURIOSA, 7.5, "claude_code.user_prompt", &[("session.id", "native")]),
    ];
    let lanes = Lanes::of(&material);
    assert!(lanes.events.iter().all(|event| lanes.lanes[event.lane].id == "al-furiosa"), "{:#?}", lanes.events);
}

#[test]
fn a_stop_belongs_to_the_session_it_speaks_of() {
    let mut material = town();
    material.logs = vec![log("mayor", 8.0, "session.stop", &[("session_id", "al-furiosa")])];
    assert_eq!(lane_of(&Lanes::of(&material), "e8000001"), "al-furiosa");
}

#[test]
fn records_of_nobody_are_kept_with_their_cost() {
    let mut material = town();
    material.logs = vec![log("", 3.0, "claude_code.api_request", &[("cost_usd", "0.5"), ("service.name", "claude-code")])];
    let lanes = Lanes::of(&material);
    assert_eq!(lanes.tally.unattributed["no agent named (claude-code)"], Share { count: 1, cost_usd: 0.5 });
    assert_eq!(lanes.lanes.last().unwrap().kind, LaneKind::Unattributed);
    assert_eq!(lanes.tally.cost_usd, Some(0.5));
}

#[test]
fn a_contradicted_record_is_shown_and_counted_for_nobody() {
    let mut material = town();
    let mut row = log(FURIOSA, 3.0, "claude_code.api_request", &[("cost_usd", "0.5")]);
    row.contradicted = Some("mayor".into());
    material.logs = vec![row];
    let lanes = Lanes::of(&material);
    assert_eq!(lanes.tally.contradicted["claims mayor"].count, 1);
    assert_eq!(lane_of(&lanes, "e3000001"), "contradicted");
    assert!(lanes.lanes.iter().filter(|lane| !lane.agent.is_empty()).all(|lane| lane.cost_usd.is_none()));
}

#[test]
fn a_model_call_told_twice_is_one_event() {
    let mut material = town();
    material.exchanges =
        vec![exchange(1, "mayor", 1.0, 100.0, 5), exchange(2, "mayor", 1.5, 100.0, 6), exchange(3, "mayor", 9.0, 50.0, 7)];
    material.logs = vec![
        log("mayor", 1.102, "claude_code.api_request", &[("duration_ms", "103"), ("output_tokens", "5"), ("cost_usd", "0.1")]),
        log("mayor", 1.603, "claude_code.api_request", &[("duration_ms", "104"), ("output_tokens", "6"), ("cost_usd", "0.2")]),
    ];
    let lanes = Lanes::of(&material);
    let told: Vec<(&str, &str, Option<f64>)> =
        lanes.events.iter().map(|event| (event.id.as_str(), event.title.as_str(), event.cost_usd)).collect();
    assert_eq!(told, [("x1", "answer 1", Some(0.1)), ("x2", "answer 2", Some(0.2)), ("x3", "answer 3", None)]);
    assert_eq!(lanes.tally.joined["model call joined with the gateway's exchange"], 2);
}

#[test]
fn an_agent_that_only_left_records_has_a_lane() {
    let material = Material { logs: vec![log("eve/polecats/rust", 3.0, "prime", &[("gt.issue", "ev-1")])], ..town() };
    let lanes = Lanes::of(&material);
    let lane = lanes.lanes.iter().find(|lane| lane.id == "agent:eve/polecats/rust").unwrap();
    assert_eq!((lane.role.as_str(), lane.rig.as_deref(), lane.issue.as_deref()), ("polecat", Some("eve"), Some("ev-1")));
}

#[test]
fn slings_mails_nudges_and_submissions_are_arrows() {
    let mut material = town();
    material.mail = vec![mail("m1", "alice/furiosa", 4.0)];
    material.merge_requests = vec![merge(FURIOSA, "al-1", 7.0, Some(7.5))];
    material.logs = vec![
        log("mayor", 1.9, "sling", &[("bead", "al-1"), ("target", "alice")]),
        log("mayor", 4.0, "mail", &[("operation", "send"), ("msg.id", "m1"), ("msg.to", "alice/furiosa")]),
        log(FURIOSA, 5.0, "mail", &[("operation", "read"), ("msg.id", "m1")]),
        log("mayor", 5.5, "nudge", &[("target", "alice/furiosa")]),
        log(FURIOSA, 5.6, "claude_code.user_prompt", &[("prompt", "go on")]),
        log(FURIOSA, 7.1, "done", &[("exit_type", "COMPLETED")]),
    ];
    let lanes = Lanes::of(&material);
    let drawn: Vec<(LinkKind, &str, Option<&str>, bool)> =
        lanes.links.iter().map(|link| (link.kind, link.event.as_str(), link.to_event.as_deref(), link.exact)).collect();
    let expected = [
        (LinkKind::Sling, "e1900001", None, true),
        (LinkKind::Mail, "m-m1", Some("e5000001"), true),
        (LinkKind::Nudge, "e5500001", Some("e5600001"), false),
        (LinkKind::Done, "e7100001", Some("q-mr-al-1"), true),
    ];
    assert_eq!(drawn, expected);
    assert!(lanes.tally.unresolved_links.is_empty());
}

#[test]
fn an_arrow_without_a_far_end_is_counted() {
    let mut material = town();
    material.logs = vec![log("mayor", 3.0, "nudge", &[("target", "zed/nobody")])];
    let lanes = Lanes::of(&material);
    assert_eq!(lanes.tally.unresolved_links["nudge to zed/nobody, which is no agent with a lane"], 1);
}

#[test]
fn a_clause_holds_since_the_first_true_sight_after_the_last_false_one() {
    let mut material = town();
    material.signs = vec![
        sign(false, 0.0, 2.0, "1/3"),
        sign(true, 2.1, 3.0, "3/3"),
        sign(false, 3.1, 4.0, "2/3"),
        sign(true, 4.1, 5.0, "3/3"),
        sign(true, 5.1, 9.0, "3/3"),
    ];
    let clause = &Lanes::of(&material).clauses[0];
    assert!(clause.value && (clause.since.unwrap() - 4.1).abs() < 1e-6 && (clause.last_false.unwrap() - 4.0).abs() < 1e-6);
    material.signs.push(sign(false, 9.1, 9.2, "2/3"));
    let clause = &Lanes::of(&material).clauses[0];
    assert!(!clause.value && clause.since.is_none());
}

#[test]
fn filters_pages_and_ranks_agree() {
    let mut material = town();
    material.logs = (0..50)
        .map(|n| log("mayor", f64::from(n) / 10.0, if n % 2 == 0 { "prime" } else { "bd.call" }, &[("args", "show")]))
        .collect();
    let lanes = Lanes::of(&material);
    let filter = Filter { kinds: vec!["bd".into()], text: "SHOW".into(), ..Filter::default() };
    let selection = lanes.select(&material, &filter);
    let window = Some(Window { from: 1.0, to: 2.0 });
    let page = lanes.page(&selection, window, 2, 2);
    assert_eq!((page.total, page.events.len()), (5, 2));
    assert_eq!(lanes.rank(&selection, window, page.events[0].event.id), Some(2));
    assert_eq!(lanes.rank(&selection, window, "e0000001"), None);
}

#[test]
fn density_counts_every_event_in_each_part_it_touches() {
    let mut material = town();
    material.logs = vec![
        log("mayor", 10.0, "claude_code.tool_result", &[("duration_ms", "5000")]),
        log("mayor", 6.0, "claude_code.tool_result", &[("duration_ms", "0"), ("success", "false")]),
    ];
    let lanes = Lanes::of(&material);
    let all = lanes.select(&material, &Filter::default());
    let density = lanes.density(&all, Window { from: 0.0, to: 10.0 }, 10);
    let groups = &density.lanes[0].groups;
    assert_eq!(groups["tool_call"], [[5, 1, 1], [6, 1, 2], [7, 3, 1]]);
    assert_eq!(groups["error"], [[6, 1, 1]]);
}

#[test]
fn a_tool_calls_output_is_what_the_next_request_told() {
    let mut material = town();
    material.logs =
        vec![log("mayor", 2.0, "claude_code.tool_result", &[("tool_input", "{\"command\":\"ls\"}"), ("duration_ms", "100")])];
    material.exchanges = vec![exchange(1, "mayor", 1.5, 100.0, 1), exchange(2, "mayor", 2.1, 100.0, 1)];
    let lanes = Lanes::of(&material);
    let detail = lanes.detail(&material, "e2000001").unwrap();
    let texts: Vec<&str> = detail.sections.iter().filter_map(|section| section.text.as_deref()).collect();
    assert_eq!(texts, ["ls", "result 2"]);
    assert_eq!((detail.previous, detail.next), (Some("x1"), Some("x2")));
}

#[test]
fn a_record_that_speaks_of_another_session_is_shown_there_and_says_how_that_is_known() {
    let mut material = town();
    let fields = [("session_id", "al-furiosa"), ("run.id", "hq-mayor@0")];
    material.logs.push(log("mayor", 2.1, "agent.instantiate", &fields));
    material.logs.push(log("mayor", 2.2, "sling", &[]));
    let lanes = Lanes::of(&material);
    let of = |id: &str| lanes.detail(&material, id).unwrap();
    let started = of("e2100001");
    assert_eq!(lanes.lanes[lanes.event("e2100001").unwrap().1.lane].agent, FURIOSA);
    let derived = started.sections.iter().find(|s| s.title == "Derived").unwrap();
    let value = |name: &str| derived.rows.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!((value("Agent"), value("Came by the address of")), (Some(FURIOSA), Some("mayor")));
    assert_eq!(value("run.id as it was sent"), Some("hq-mayor@0"));
    assert!(of("e2200001").sections.iter().all(|s| s.title != "Derived"));
}
