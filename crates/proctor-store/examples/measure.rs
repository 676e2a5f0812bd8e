//! Prints how fast a store takes in, opens and answers: `cargo run --release -p proctor-store --example measure [RECORDS]`.
//!
//! The records are made here (OTLP JSON, the slower of the two forms, 100 a request); the store lies in a temporary folder.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measuring program, not part of Proctor")]

use std::time::Instant;

use proctor_store::{Options, Signal, Store, Time, TimeRange};
use serde_json::json;

fn request(first: u64, count: u64) -> Vec<u8> {
    let record = |n: u64| {
        json!({"timeUnixNano": (n * 1_000_000).to_string(), "severityNumber": 9, "body": {"stringValue": "bd.call"}, "attributes": [
            {"key": "run.id", "value": {"stringValue": format!("run-{}", n % 7)}},
            {"key": "subcommand", "value": {"stringValue": "update"}},
            {"key": "args", "value": {"stringValue": format!("update gt-b{n} --status closed")}},
            {"key": "duration_ms", "value": {"doubleValue": (n % 100) as f64}},
            {"key": "status", "value": {"stringValue": "ok"}}]})
    };
    let records: Vec<_> = (first..first + count).map(record).collect();
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "gastown"}}]});
    json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}).to_string().into_bytes()
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    println!("{what:<32} {:>9.1} ms", start.elapsed().as_secs_f64() * 1000.0);
    done
}

fn main() {
    let records: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let bodies: Vec<Vec<u8>> = (0..records / 100).map(|n| request(n * 100 + 1, 100)).collect();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), Options::default()).unwrap();
    println!("{records} records, {} bytes", bodies.iter().map(Vec::len).sum::<usize>());
    timed("take in", || {
        for body in &bodies {
            store.ingest(Signal::Logs, body, Some("application/json"), None, None, Time::UNIX_EPOCH).unwrap();
        }
    });
    timed("seal", || store.seal().unwrap());
    let store = timed("open", || Store::open_read_only(dir.path()).unwrap());
    for query in ["bd.call AND args:\"gt-b77\"", "* | stats by (run.id) count(), sum(duration_ms)"] {
        timed(query, || store.logsql(query, TimeRange::ALL, None).unwrap());
    }
}
