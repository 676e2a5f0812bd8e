//! Row mapping on rows that a real town had: `tests/recorded/gastown/`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first thing that is not as it must be")]

use std::fs;
use std::path::Path;

use proctor_judge::evidence::Time;
use serde_json::{Value, json};

use super::StateReader;
use super::dolt::Cells;
use super::row::{Row, Rows};
use crate::launch::SESSIONS_FILE;
use crate::linux;
use crate::town::Snapshot;

const END: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorded/gastown/end");
const DATABASES: [&str; 3] = ["alice", "bob", "hq"];

fn table(database: &str, table: &str) -> Vec<Value> {
    let text = fs::read_to_string(Path::new(END).join("dolt").join(database).join(format!("{table}.ndjson"))).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn cell(row: &Value, column: &str) -> Option<String> {
    match &row[column] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// What the statement of a read gives on these tables.
fn cells() -> Vec<Cells> {
    const BEAD: [&str; 11] = [
        "id",
        "title",
        "status",
        "priority",
        "issue_type",
        "assignee",
        "created_by",
        "created_at",
        "closed_at",
        "close_reason",
        "description",
    ];
    let mut all = Vec::new();
    for database in DATABASES {
        let mut take = |kind: &str, from: &str, columns: &[&str], only: &dyn Fn(&Value) -> bool| {
            for row in table(database, from).iter().filter(|row| only(row)) {
                let head = [Some(kind.to_owned()), Some(database.to_owned())];
                all.push(head.into_iter().chain(columns.iter().map(|column| cell(row, column))).collect());
            }
        };
        take("b", "issues", &BEAD, &|_| true);
        take("w", "wisps", &BEAD, &|_| true);
        take("l", "labels", &["issue_id", "label"], &|_| true);
        take("l", "wisp_labels", &["issue_id", "label"], &|_| true);
        take("t", "dependencies", &["issue_id", "depends_on_id"], &|edge| database == "hq" && edge["type"] == "tracks");
    }
    all
}

fn closings() -> Vec<Cells> {
    let events = DATABASES.iter().flat_map(|database| table(database, "events"));
    let mut closings: Vec<Cells> = events
        .filter(|event| event["event_type"] == "closed" || event["event_type"] == "reopened")
        .map(|event| ["issue_id", "event_type", "actor", "created_at"].map(|column| cell(&event, column)).to_vec())
        .collect();
    closings.sort_by(|a, b| a[3].cmp(&b[3]));
    closings
}

fn at(second: i64) -> Time {
    Time::from_timestamp(second, 0).unwrap()
}

/// A reader that sees `rows`, in a base directory with these lines of sessions.
fn observe(reader: &mut StateReader, rows: &[Cells], now: Time) -> Snapshot {
    let rows = Rows::new(rows.iter().filter_map(Row::parse));
    let unknown = reader.closings.unknown(&rows);
    let asked = |event: &Cells| unknown.values().flatten().any(|id| event[0].as_ref() == Some(id));
    let events: Vec<Cells> = closings().into_iter().filter(asked).collect();
    reader.closings.look(&rows, &events, now);
    reader.sessions.look(now).unwrap();
    reader.snapshot(&rows)
}

struct Base(tempfile::TempDir);

impl Base {
    fn new(sessions: &[Value]) -> Self {
        let base = tempfile::tempdir().unwrap();
        let lines: String = sessions.iter().map(|line| format!("{line}\n")).collect();
        fs::write(base.path().join(SESSIONS_FILE), lines).unwrap();
        Self(base)
    }

    fn reader(&self) -> StateReader {
        StateReader::new(self.0.path(), 1)
    }
}

fn recorded_sessions() -> Vec<Value> {
    let text = fs::read_to_string(Path::new(END).join(SESSIONS_FILE)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A life that goes on: this test's own process plays it.
fn alive(agent: &str) -> Value {
    let own = linux::process(std::process::id()).unwrap();
    json!({"session": "s", "run_id": "r", "agent": agent, "role": "polecat", "rig": agent.split('/').next(), "pid": own.pid,
        "started": own.started, "command": ["agent"], "started_at": "2026-11-25T22:40:00Z", "issue": null, "branch": null})
}

fn state_of(state: &Snapshot, agent: &str) -> String {
    state.agents.iter().find(|row| row.agent == agent).unwrap_or_else(|| panic!("no {agent} in {:?}", state.agents)).state.clone()
}

fn now() -> Time {
    at(2_000_000_000)
}

#[test]
fn beads_are_the_work_and_nothing_else() {
    let state = observe(&mut Base::new(&[]).reader(), &cells(), now());
    let ids: Vec<&str> = state.beads.iter().map(|bead| bead.id.as_str()).collect();
    assert_eq!(ids, ["al-bkl", "al-9ci", "bob-7om", "al-a1e"]);
    let done = &state.beads[0];
    assert_eq!(done.assignee.as_deref(), Some("alice/polecats/obsidian"));
    assert_eq!(
        (done.rig.as_deref(), done.status.as_str(), done.kind.as_str(), done.priority),
        (Some("alice"), "closed", "task", 2)
    );
    assert_eq!(done.closed_by.as_deref(), Some("alice/polecats/obsidian"));
    assert_eq!(done.close_reason.as_deref(), Some("Merged in al-wisp-19s"));
    assert_eq!(done.closed_at.unwrap().to_rfc3339(), "2026-11-25T22:28:39+00:00", "not the second closing, a minute later");
    assert!(done.description.ends_with("Parse the header.\nIt has three fields."));
}

#[test]
fn a_convoy_tracks_issues_by_their_plain_ids() {
    let state = observe(&mut Base::new(&[]).reader(), &cells(), now());
    let convoy = state.convoys.iter().find(|convoy| convoy.title == "Header work").unwrap();
    assert_eq!(convoy.tracked, ["al-bkl", "bob-7om"]);
    assert_eq!(convoy.status, "closed");
}

#[test]
fn merge_requests_have_their_outcome() {
    let state = observe(&mut Base::new(&[]).reader(), &cells(), now());
    let rows: Vec<_> =
        state.merge_requests.iter().map(|mr| (mr.issue.as_str(), mr.status.as_str(), mr.reason.as_deref())).collect();
    assert_eq!(rows, [("bob-7om", "rejected", Some("conflict in README.md")), ("al-9ci", "merged", None)]);
    let merged = &state.merge_requests[1];
    assert_eq!(
        (merged.rig.as_str(), merged.worker.as_str(), merged.target.as_str()),
        ("alice", "alice/polecats/obsidian", "main")
    );
    assert_eq!(merged.branch, "polecat/obsidian/al-9ci@mwwphxbe");
    assert_eq!(merged.commit.as_deref(), Some("dac9a565116066e82ddc21805cc8b0058ba19ede"));
}

#[test]
fn mail_is_addressed_in_the_short_form() {
    let state = observe(&mut Base::new(&[]).reader(), &cells(), now());
    let rows: Vec<_> = state.mail.iter().map(|m| (m.from.as_str(), m.to.as_str(), m.subject.as_str(), m.read)).collect();
    assert!(rows.contains(&("overseer", "mayor", "hello mayor", true)), "{rows:?}");
    assert!(rows.contains(&("overseer", "bob/rust", "hello rust", false)));
    assert!(rows.contains(&("alice/refinery", "alice/witness", "MERGED obsidian", false)));
    assert!(rows.iter().all(|row| !row.2.starts_with("mol-")), "molecules are no mail");
}

#[test]
fn a_process_that_is_gone_leaves_work_stalled_and_finished_work_done() {
    let base = Base::new(&recorded_sessions());
    let mut reader = base.reader();
    let state = observe(&mut reader, &cells(), now());
    assert!(
        state.sessions.iter().all(|s| s.ended_at == Some(now()) && s.exit.as_deref() == Some("unknown means")),
        "{:?}",
        state.sessions
    );
    assert_eq!(state_of(&state, "alice/polecats/obsidian"), "stalled");
    assert_eq!(state_of(&state, "bob/polecats/rust"), "done");
    assert_eq!(state_of(&state, "mayor"), "stopped");
    let later = observe(&mut reader, &cells(), at(2_000_000_009));
    assert_eq!(later.sessions[0].ended_at, Some(now()), "the first look that missed it counts");
}

#[test]
fn a_living_session_is_busy_only_with_unfinished_work() {
    let base = Base::new(&[alive("alice/polecats/obsidian"), alive("bob/polecats/rust"), alive("mayor")]);
    let state = observe(&mut base.reader(), &cells(), now());
    assert_eq!(state_of(&state, "alice/polecats/obsidian"), "working");
    assert_eq!(state_of(&state, "bob/polecats/rust"), "idle", "its issue is closed, though its session lives");
    assert_eq!(state_of(&state, "mayor"), "idle");
    assert_eq!(state.sessions[0].issue.as_deref(), Some("al-a1e"), "the work on its hook");
    assert_eq!(state.sessions[0].ended_at, None);
}

#[test]
fn a_closing_that_was_watched_has_the_moment_of_the_look() {
    let mut open = cells();
    for row in open.iter_mut().filter(|row| row[2].as_deref() == Some("bob-7om") && row[0].as_deref() == Some("b")) {
        (row[4], row[10]) = (Some("hooked".into()), None);
    }
    let base = Base::new(&[]);
    let mut reader = base.reader();
    let closed_at = |state: &Snapshot| state.beads.iter().find(|bead| bead.id == "bob-7om").unwrap().closed_at;
    assert_eq!(closed_at(&observe(&mut reader, &open, at(10))), None);
    assert_eq!(closed_at(&observe(&mut reader, &cells(), at(20))), Some(at(20)));
    assert_eq!(closed_at(&observe(&mut reader, &cells(), at(30))), Some(at(20)));
    assert_eq!(closed_at(&observe(&mut reader, &open, at(40))), None, "reopened");
    assert_eq!(closed_at(&observe(&mut reader, &cells(), at(50))), Some(at(50)));
}

#[test]
fn a_launch_whose_town_named_no_session_is_a_life_all_the_same() {
    let mut line = alive("mayor");
    line["session"] = Value::Null;
    line["run_id"] = Value::Null;
    let base = Base::new(&[]);
    fs::write(base.0.path().join(SESSIONS_FILE), format!("{line}\n")).unwrap();
    let sessions = observe(&mut base.reader(), &[], now()).sessions;
    assert_eq!(sessions.iter().map(|life| (life.agent.as_str(), life.session.as_str())).collect::<Vec<_>>(), [("mayor", "")]);
}

#[test]
fn half_a_line_waits_for_its_other_half() {
    let base = Base::new(&[]);
    let line = format!("{}\n", alive("mayor"));
    let (first, second) = line.split_at(40);
    let file = base.0.path().join(SESSIONS_FILE);
    let mut reader = base.reader();
    fs::write(&file, first).unwrap();
    assert!(observe(&mut reader, &[], now()).sessions.is_empty());
    fs::write(&file, format!("{first}{second}")).unwrap();
    assert_eq!(observe(&mut reader, &[], now()).sessions.len(), 1);
}

#[test]
fn what_reading_cost_is_said_in_words() {
    let cost = super::Cost { queries: 400, wall: std::time::Duration::from_millis(810) };
    assert_eq!(cost.to_string(), "400 statements to dolt, 0.81 s until their answers, 2.0 ms each");
    assert_eq!(super::Cost::default().to_string(), "0 statements to dolt, 0.00 s until their answers, 0.0 ms each");
}
