//! What is sent twice counts once where the records prove it; and "now" is the run's own clock, whatever times records bear.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod otlp;

use otlp::{Logs, at, gauge, histogram, log_with, metrics, metrics_from, sum};
use proctor_store::promql::Answer;
use proctor_store::{FarOff, LossKind, Options, Signal, Store, Time, TimeRange};
use serde_json::json;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(&dir.path().join("store"), Options::default()).unwrap();
    (dir, store)
}

fn take(store: &Store, signal: Signal, body: &[u8], agent: Option<&str>, when: Time) {
    store.ingest(signal, body, Some("application/json"), None, agent, when).unwrap();
}

fn count(store: &Store) -> (usize, usize, usize) {
    let all = TimeRange::ALL;
    (store.logs(all).len(), store.points(all).len(), store.spans(all).len())
}

fn request(session: &str, sequence: &str) -> String {
    log_with(90, 9, "claude_code.api_request", &[("session.id", session), ("event.sequence", sequence), ("cost_usd", "0.5")])
}

#[test]
fn a_log_record_of_the_same_session_and_number_counts_once() {
    let (dir, store) = store();
    let batch = Logs::of([request("s", "1"), request("s", "2"), request("t", "1")]);
    for _ in 0..3 {
        take(&store, Signal::Logs, &batch, Some("mayor"), at(100));
    }
    assert_eq!(count(&store).0, 3);
    assert_eq!(store.stats().repeated, 6);
    let repeated: Vec<_> = store.losses().into_iter().filter(|loss| loss.kind == LossKind::Repeated).collect();
    assert_eq!((repeated.len(), repeated[0].count, repeated[0].agent.as_deref()), (1, 6, Some("mayor")));
    let answer = store.logsql("* | stats sum(cost_usd) as cost", TimeRange::ALL, None).unwrap();
    assert_eq!(answer.rows[0]["cost"], "1.5");
    let again = Store::open_read_only(&dir.path().join("store")).unwrap();
    assert_eq!((again.logs(TimeRange::ALL), again.stats()), (store.logs(TimeRange::ALL), store.stats()));
}

#[test]
fn what_only_looks_alike_is_kept() {
    let (_dir, store) = store();
    let plain = log_with(90, 9, "bd.call", &[("subcommand", "list")]);
    take(&store, Signal::Logs, &Logs::of([plain.clone(), plain]), Some("mayor"), at(100));
    assert_eq!(count(&store).0, 2, "two records without a number");
    // Another agent's, another session's, and a session that counts anew after it was taken up again.
    take(&store, Signal::Logs, &Logs::of([request("s", "1")]), Some("mayor"), at(100));
    take(&store, Signal::Logs, &Logs::of([request("s", "1")]), Some("alice/witness"), at(100));
    let resumed = log_with(95, 9, "claude_code.api_request", &[("session.id", "s"), ("event.sequence", "1")]);
    take(&store, Signal::Logs, &Logs::of([resumed]), Some("mayor"), at(100));
    assert_eq!((count(&store).0, store.stats().repeated), (5, 0));
}

#[test]
fn a_record_with_an_id_of_its_own_counts_once() {
    let (_dir, store) = store();
    let record = log_with(90, 9, "x", &[("log.record.uid", "01ARZ3NDEKTSV4RRFFQ69G5FAV")]);
    take(&store, Signal::Logs, &Logs::of([record.clone(), record]), None, at(100));
    assert_eq!(count(&store).0, 1);
}

const MODEL: &[(&str, &str)] = &[("model", "opus")];
const OTHER: &[(&str, &str)] = &[("model", "haiku")];

fn value(store: &Store, query: &str) -> f64 {
    match store.promql_instant(query, at(100)).unwrap() {
        Answer::Vector(all) if all.len() == 1 => all[0].value,
        other => panic!("{query}: {other:?}"),
    }
}

#[test]
fn a_point_of_the_same_series_and_time_counts_once() {
    let (_dir, store) = store();
    let tokens = metrics("claude_code.token.usage", "tokens", &sum(1, true, &[(80, 90, 5.0, MODEL), (80, 90, 7.0, OTHER)]));
    let times = metrics("t", "s", &histogram(1, &[1.0], &[(80, 90, &[2, 1], 3.0)]));
    for _ in 0..2 {
        take(&store, Signal::Metrics, &tokens, Some("mayor"), at(100));
        take(&store, Signal::Metrics, &times, Some("mayor"), at(100));
    }
    assert_eq!(value(&store, "sum(claude_code_token_usage_total)"), 12.0);
    assert_eq!(value(&store, "t_seconds_count"), 3.0);
    assert_eq!((count(&store).1, store.stats().repeated), (3, 3));
    // The next point of the series, another sender's, another resource's and another value are no repetition.
    let next = metrics("claude_code.token.usage", "tokens", &sum(1, true, &[(90, 95, 5.0, MODEL), (90, 95, 6.0, MODEL)]));
    take(&store, Signal::Metrics, &next, Some("mayor"), at(100));
    take(&store, Signal::Metrics, &tokens, Some("alice/witness"), at(100));
    let other =
        metrics_from(&[("service.name", "x")], "claude_code.token.usage", "tokens", &sum(1, true, &[(80, 90, 5.0, MODEL)]));
    take(&store, Signal::Metrics, &other, Some("mayor"), at(100));
    assert_eq!((count(&store).1, store.stats().repeated), (8, 3));
}

#[test]
fn points_without_a_time_prove_nothing() {
    let (_dir, store) = store();
    let body = metrics("g", "", &gauge(&[(0, 0, 1.0, &[])]));
    take(&store, Signal::Metrics, &body, None, at(100));
    take(&store, Signal::Metrics, &body, None, at(100));
    assert_eq!(count(&store).1, 2);
}

fn span(id: &str, name: &str) -> Vec<u8> {
    let span = json!({"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": id, "name": name,
        "startTimeUnixNano": "90000000000", "endTimeUnixNano": "91000000000"});
    json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).to_string().into_bytes()
}

#[test]
fn a_span_of_the_same_id_counts_once() {
    let (_dir, store) = store();
    for (id, name) in [("b7ad6b7169203331", "a"), ("b7ad6b7169203331", "a"), ("b7ad6b7169203332", "a"), ("b7ad6b7169203331", "b")]
    {
        take(&store, Signal::Traces, &span(id, name), Some("mayor"), at(100));
    }
    assert_eq!((count(&store).2, store.stats().repeated), (3, 1));
}

#[test]
fn a_record_that_is_stamped_a_day_ahead_does_not_move_now() {
    let (dir, store) = store();
    let records = [log_with(90, 9, "early", &[]), log_with(95, 9, "late", &[]), log_with(95 + 86_400, 9, "tomorrow", &[])];
    take(&store, Signal::Logs, &Logs::of(records), Some("mayor"), at(100));
    let found = |query: &str| {
        let answer = store.logsql(query, TimeRange::ALL, None).unwrap();
        answer.rows.iter().map(|row| row["_msg"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(found("_time:10m"), ["early", "late"]);
    assert_eq!(found("_time:8s"), ["late"]);
    assert_eq!(found("*"), ["early", "late", "tomorrow"], "it is kept");
    assert_eq!(found("proctor.far_off:ahead"), ["tomorrow"], "and marked");
    assert_eq!(store.clock(), Some(at(100)));
    let logs = store.logs(TimeRange::ALL);
    assert_eq!((logs[2].far_off, logs[2].placed(), logs[1].placed()), (Some(FarOff::Ahead), at(100), at(95)));
    assert_eq!(Store::open_read_only(&dir.path().join("store")).unwrap().clock(), Some(at(100)));
}

#[test]
fn stamps_far_outside_the_run_are_told_for_every_signal() {
    let (_dir, store) = store();
    let day = 86_400;
    // Milliseconds where nanoseconds belong give a moment of 1970.
    let behind = json!({"timeUnixNano": "1795329578000", "body": {"stringValue": "ms"}}).to_string();
    take(&store, Signal::Logs, &Logs::of([log_with(10 * day, 9, "now", &[]), behind]), Some("mayor"), at(10 * day));
    let points = metrics("g", "", &gauge(&[(0, 10 * day + 5, 1.0, &[]), (0, 11 * day, 1.0, &[]), (0, 9 * day, 1.0, &[])]));
    take(&store, Signal::Metrics, &points, Some("mayor"), at(10 * day + 5));
    take(&store, Signal::Traces, &span("b7ad6b7169203331", "old"), Some("mayor"), at(10 * day + 6));
    let far: Vec<_> = store.losses().into_iter().filter(|loss| loss.kind == LossKind::FarOff).collect();
    let told: Vec<_> = far.iter().map(|loss| (loss.signal.name(), loss.reason.as_str(), loss.count)).collect();
    let expected = [
        ("logs", "a time before the run", 1),
        ("metrics", "a time before the run", 1),
        ("metrics", "a time later than the record came", 1),
        ("traces", "a time before the run", 1),
    ];
    assert_eq!(told, expected);
    assert!(far[0].example.starts_with("ms at 1970-01-01T00:29:55Z"), "{}", far[0].example);
    assert_eq!(store.stats().far_off, 4);
}
