//! What a real run's store holds, against the table of `docs/telemetry.md` and against who sent it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use proctor_store::{LogRecord, Store, TimeRange};
use serde_json::Value;

use crate::mini::{Mini, summary_of};

const TABLE: &str = include_str!("../../../../docs/telemetry.md");

/// One clean run that the tests of this file share, and its store.
struct Told {
    summary: Value,
    logs: Vec<Arc<LogRecord>>,
    metrics: BTreeSet<String>,
    /// Resource and address of every metric point.
    origins: Vec<proctor_store::Origin>,
    /// `run.id` of each session, with its agent.
    lives: BTreeMap<String, String>,
}

fn told() -> &'static Told {
    static TOLD: OnceLock<Told> = OnceLock::new();
    TOLD.get_or_init(|| {
        let mini = Mini::new();
        mini.add("[agents.\"polecat:north\"]\ncommand = \"builtin\"\nenv = { GT_LOG_PRIME_CONTEXT = \"true\" }\n");
        let summary = summary_of(&mini.run(&[]).expect_code(0));
        let report = mini.sandbox.report();
        let store = Store::open_read_only(&report.join("evidence/telemetry")).unwrap();
        let points = store.points(TimeRange::ALL);
        let sessions = std::fs::read_to_string(report.join("evidence/town/sessions.ndjson")).unwrap();
        let sessions = sessions.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
        Told {
            summary,
            logs: store.logs(TimeRange::ALL),
            metrics: points.iter().map(|point| point.metric.name.clone()).collect(),
            origins: points.iter().map(|point| point.origin.clone()).collect(),
            lives: sessions.map(|row| (text(&row, "run_id"), text(&row, "agent"))).collect(),
        }
    })
}

/// A row of the table: names, `yes`, `when` or `never`, and the third cell.
struct Row {
    names: Vec<&'static str>,
    here: &'static str,
    third: &'static str,
}

fn rows() -> Vec<Row> {
    let lines = TABLE.lines().filter(|line| line.starts_with("| `"));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            Row { names: quoted(cells[1]), here: cells[2], third: cells[3] }
        })
        .collect()
}

/// What stands between backticks.
fn quoted(text: &'static str) -> Vec<&'static str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn seen() -> BTreeSet<&'static str> {
    let told = told();
    told.logs.iter().map(|record| record.body.as_str()).chain(told.metrics.iter().map(String::as_str)).collect()
}

#[test]
fn a_run_has_what_the_table_says_and_nothing_else() {
    let (rows, seen) = (rows(), seen());
    assert!(rows.len() > 40, "the table was read: {} rows", rows.len());
    let listed = |here: &str| -> BTreeSet<&str> {
        rows.iter().filter(|row| row.here == here).flat_map(|row| row.names.iter().copied()).collect()
    };
    let missing: Vec<&str> = listed("yes").difference(&seen).copied().collect();
    assert!(missing.is_empty(), "in every run, but not in this one: {missing:?}");
    let known: BTreeSet<&str> = listed("yes").union(&listed("when")).copied().collect();
    let unknown: Vec<&str> = seen.difference(&known).copied().collect();
    assert!(unknown.is_empty(), "not in the table, or said never to be there: {unknown:?}");
}

#[test]
fn events_have_the_attributes_of_the_table() {
    for row in rows().iter().filter(|row| !row.names[0].starts_with("gastown.") && !row.names[0].starts_with("bd.")) {
        if row.third.starts_with('`') {
            attributes_are(row.names[0], row.third);
        }
    }
    attributes_are("bd.call", "`subcommand` `args` `duration_ms` st");
}

/// Every listed attribute is on some record of that name; no other is on any.
fn attributes_are(event: &str, cell: &'static str) {
    let (always, sometimes) = cell.split_once(';').unwrap_or((cell, ""));
    let records: Vec<_> = told().logs.iter().filter(|record| record.body == event).collect();
    if records.is_empty() {
        return;
    }
    let found: BTreeSet<&str> = records.iter().flat_map(|record| record.attributes.iter().map(|(name, _)| name)).collect();
    let mut expected: BTreeSet<&str> = quoted(always).into_iter().collect();
    expected.extend(always.split_whitespace().filter(|word| *word == "st").flat_map(|_| ["status", "error"]));
    let missing: Vec<_> = expected.difference(&found).filter(|name| **name != "error").collect();
    assert!(missing.is_empty(), "{event} has no {missing:?}: {found:?}");
    expected.extend(quoted(sometimes));
    expected.insert("run.id");
    let more: Vec<_> = found.difference(&expected).collect();
    assert!(more.is_empty(), "{event} has {more:?}, which the table does not list");
}

#[test]
fn severity_follows_the_status() {
    let of_gt = told().logs.iter().filter(|record| record.resource.text("service.name").as_deref() == Some("gastown"));
    for record in of_gt {
        let failed = record.attributes.text("status").as_deref() == Some("error");
        assert_eq!(record.severity_number, if failed { 17 } else { 9 }, "{record:?}");
    }
}

#[test]
fn every_record_names_the_run() {
    let told = told();
    let id = told.summary["run"]["run_id"].as_str();
    for record in &told.logs {
        assert_eq!(record.resource.text("proctor.run.id").as_deref(), id, "{record:?}");
    }
    for origin in &told.origins {
        assert_eq!(origin.resource.text("proctor.run.id").as_deref(), id, "{origin:?}");
    }
}

#[test]
fn run_id_is_the_life_of_the_agent_that_a_record_is_about() {
    let told = told();
    for record in &told.logs {
        let Some(run_id) = record.attributes.text("run.id") else { continue };
        let life = told.lives.get(&run_id).unwrap_or_else(|| panic!("no session has the life {run_id}: {record:?}"));
        if let Some(agent) = &record.agent {
            assert_eq!(**agent, **life, "{record:?}");
        }
    }
    let born = told.logs.iter().filter(|record| record.body == "agent.instantiate");
    let born: BTreeSet<String> = born.map(|record| record.attributes.text("run.id").unwrap()).collect();
    assert_eq!(born, told.lives.keys().cloned().collect());
}

#[test]
fn each_agents_records_come_by_its_own_address() {
    let told = told();
    let role = |record: &LogRecord| record.resource.text("gt.role").unwrap_or_default();
    for record in &told.logs {
        assert_eq!(record.agent.as_deref().unwrap_or_default(), role(record), "{record:?}");
    }
    let counted: BTreeSet<&str> = told.logs.iter().filter_map(|record| record.counted_for()).collect();
    assert_eq!(counted, told.lives.values().map(String::as_str).collect());
}

#[test]
fn a_primed_context_is_told_where_it_was_asked_for() {
    let told = told();
    let contexts: Vec<_> = told.logs.iter().filter(|record| record.body == "prime.context").collect();
    assert_eq!(contexts.len(), 1, "only one worker was asked to tell");
    let text = contexts[0].attributes.text("formula").unwrap();
    assert!(text.contains("# Polecat ") && text.contains("of rig north"), "{text}");
}

/// The first value of the answer to a reference query, by its text.
fn figure(query: &str) -> f64 {
    let queries = told().summary["queries"].as_array().unwrap();
    let answer = queries.iter().find(|row| row["query"] == query).unwrap_or_else(|| panic!("{query} was not asked"));
    let rows = answer["answer"].as_array().unwrap();
    rows.iter().map(|row| row["value"].as_str().unwrap().parse::<f64>().unwrap()).sum()
}

#[test]
fn the_reference_queries_have_the_right_figures() {
    let workers = 2.0;
    assert_eq!(figure("gastown_polecat_spawns_total"), workers);
    assert_eq!(figure("sum(gastown_sling_dispatches_total)"), workers);
    assert_eq!(figure("sum by (exit_type)(gastown_done_total)"), workers);
    assert_eq!(figure("sum(gastown_convoy_creates_total)"), 1.0);
    assert_eq!(figure("sum by (role)(gastown_session_starts_total)"), 1.0);
    assert_eq!(figure("sum(gastown_session_stops_total)"), workers + 1.0);
    assert_eq!(figure("sum(gastown_nudge_total)"), 1.0);
    assert_eq!(figure("service_name:gastown AND \"polecat.spawn\""), workers);
    let calls = told().logs.iter().filter(|record| record.body == "bd.call").count() as f64;
    assert_eq!(figure("sum by (subcommand)(gastown_bd_calls_total)"), calls);
    // Per second over five minutes: what was counted, give or take how far a counter is drawn out to the window's edges.
    let rate = figure("rate(gastown_bd_calls_total[5m])") * 300.0;
    assert!(rate >= calls * 0.5 && rate <= calls * 2.0, "{rate} of {calls}");
    assert!(figure("service.name:claude-code AND gt.role:*") > 0.0);
    assert_eq!(figure("service_name:gastown AND level:error"), 0.0);
}

#[test]
fn a_query_that_nothing_answers_says_why_and_names_another() {
    let queries = told().summary["queries"].as_array().unwrap();
    let p95 = queries.iter().find(|row| row["query"].as_str().unwrap().contains("0.95, bd_ai_request")).unwrap();
    assert_eq!(p95["count"], 0);
    assert!(p95["why_empty"].as_str().unwrap().contains("bd exports bd_ai_* only"), "{p95}");
    let instead = &p95["instead"];
    assert!(instead["query"].as_str().unwrap().contains("quantile(0.95, duration_ms)"), "{instead}");
    assert!(instead["answer"][0]["value"].as_str().unwrap().parse::<f64>().unwrap() >= 0.0, "{instead}");
}
