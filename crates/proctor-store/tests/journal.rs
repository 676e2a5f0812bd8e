//! What was acknowledged is on disk, and stays readable: torn ends, killed processes, moved and read-only folders.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod otlp;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use otlp::{Logs, at, log, metrics, sum};
use proctor_store::{Address, IngestError, Options, Signal, Store, StoreError, SyncPolicy, TimeRange};

fn store(dir: &Path) -> Store {
    Store::create(dir, Options::default()).unwrap()
}

fn bodies(store: &Store) -> Vec<String> {
    store.logs(TimeRange::ALL).iter().map(|log| log.body.clone()).collect()
}

fn files(dir: &Path) -> Vec<(String, u64, std::time::SystemTime)> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .map(|entry| {
            let about = entry.metadata().unwrap();
            (entry.file_name().to_string_lossy().into_owned(), about.len(), about.modified().unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn an_acknowledged_request_can_be_read_by_another_process_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let live = store(dir.path());
    live.ingest(Signal::Logs, &Logs::of([log(1, "one"), log(2, "two")]), Some("application/json"), None, Some("mayor"), at(9))
        .unwrap();
    // The writer is neither sealed nor dropped: this is what a `kill -9` leaves.
    let read = Store::open_read_only(dir.path()).unwrap();
    assert_eq!(bodies(&read), ["one", "two"]);
    assert_eq!(read.logs(TimeRange::ALL), live.logs(TimeRange::ALL));
    assert_eq!(read.sequence(), 2);
}

#[test]
fn a_torn_end_is_counted_and_the_rest_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let live = store(dir.path());
    live.ingest(Signal::Logs, &Logs::of([log(1, "one")]), Some("application/json"), None, None, at(1)).unwrap();
    let path = dir.path().join("journal.bin");
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(&[200, 0, 0, 0, 1, 2, 3]).unwrap();
    let read = Store::open_read_only(dir.path()).unwrap();
    assert_eq!(bodies(&read), ["one"]);
    assert_eq!(read.stats().torn_bytes, 7);
}

#[test]
fn a_moved_store_opens_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("here");
    let live = store(&home);
    live.ingest(Signal::Logs, &Logs::of([log(1, "one")]), Some("application/json"), None, None, at(1)).unwrap();
    live.seal().unwrap();
    drop(live);
    let moved = dir.path().join("there");
    std::fs::rename(&home, &moved).unwrap();
    let before = files(&moved);
    let read = Store::open_read_only(&moved).unwrap();
    assert_eq!(bodies(&read), ["one"]);
    assert!(matches!(read.seal(), Err(StoreError::ReadOnly)));
    let refused = read.ingest(Signal::Logs, b"", None, None, None, at(2));
    assert!(matches!(refused, Err(IngestError::Store(StoreError::ReadOnly))));
    assert_eq!(files(&moved), before);
}

#[test]
fn a_journal_that_was_cut_after_sealing_is_not_taken_for_whole() {
    let dir = tempfile::tempdir().unwrap();
    let live = store(dir.path());
    live.ingest(Signal::Logs, &Logs::of([log(1, "one")]), Some("application/json"), None, None, at(1)).unwrap();
    live.seal().unwrap();
    let path = dir.path().join("journal.bin");
    let length = std::fs::metadata(&path).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 1).unwrap();
    assert!(matches!(Store::open_read_only(dir.path()), Err(StoreError::Shortened { .. })));
}

#[test]
fn a_folder_without_a_store_is_named() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Store::open_read_only(dir.path()), Err(StoreError::Missing(_))));
    std::fs::write(dir.path().join("journal.bin"), "something else, and longer than the beginning").unwrap();
    assert!(matches!(Store::open_read_only(dir.path()), Err(StoreError::NotAJournal(_))));
}

#[test]
fn refused_requests_are_counted_also_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let live = store(dir.path());
    let send =
        |body: &[u8], kind: &str, encoding: Option<&str>| live.ingest(Signal::Logs, body, Some(kind), encoding, None, at(1));
    assert!(matches!(send(b"\xff\xff", "application/x-protobuf", None), Err(IngestError::Malformed { .. })));
    assert!(matches!(send(b"{", "application/json", None), Err(IngestError::Malformed { .. })));
    assert!(matches!(send(b"", "text/plain", None), Err(IngestError::ContentType(_))));
    assert!(matches!(send(b"x", "application/json", Some("br")), Err(IngestError::ContentEncoding(_))));
    assert!(matches!(send(b"x", "application/json", Some("gzip")), Err(IngestError::Gzip(_))));
    let rejected = live.stats().rejected;
    assert_eq!(rejected.get("malformed"), Some(&2));
    assert_eq!(rejected.values().sum::<u64>(), 5);
    assert_eq!(Store::open_read_only(dir.path()).unwrap().stats().rejected, rejected);
}

#[test]
fn a_body_that_unpacks_to_more_than_the_limit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { max_body_bytes: 1000, sync: SyncPolicy::EveryRequest };
    let live = Store::create(dir.path(), options).unwrap();
    let packed = otlp::gzip(&vec![b' '; 5000]);
    let refused = live.ingest(Signal::Logs, &packed, Some("application/json"), Some("gzip"), None, at(1));
    assert!(matches!(refused, Err(IngestError::TooLarge { limit: 1000 })));
}

#[test]
fn empty_bodies_and_resources_without_metrics_are_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let live = store(dir.path());
    for signal in [Signal::Logs, Signal::Metrics, Signal::Traces] {
        for (kind, encoding) in [(None, None), (Some("application/json"), None), (Some("application/x-protobuf"), Some("gzip"))] {
            assert_eq!(live.ingest(signal, b"", kind, encoding, None, at(1)).unwrap().stored, 0);
        }
    }
    let bare = br#"{"resourceMetrics":[{"resource":{"attributes":[]}}]}"#;
    assert_eq!(live.ingest(Signal::Metrics, bare, Some("application/json; charset=utf-8"), None, None, at(1)).unwrap().stored, 0);
    assert_eq!(live.stats().requests, 10);
}

#[test]
fn gzip_is_unpacked_now_and_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let live = store(dir.path());
    let packed = otlp::gzip(&Logs::of([log(1, "one")]));
    live.ingest(Signal::Logs, &packed, Some("application/json"), Some("gzip"), None, at(1)).unwrap();
    assert_eq!(bodies(&live), ["one"]);
    assert_eq!(bodies(&Store::open_read_only(dir.path()).unwrap()), ["one"]);
}

#[test]
fn senders_at_the_same_time_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let live = store(dir.path());
    std::thread::scope(|scope| {
        for sender in 0..8 {
            let live = &live;
            scope.spawn(move || {
                for n in 0..25 {
                    let body = Logs::of([log(n + 1, &format!("{sender}-{n}"))]);
                    live.ingest(Signal::Logs, &body, Some("application/json"), None, None, at(1)).unwrap();
                }
            });
        }
    });
    let mut seqs: Vec<u64> = live.logs_past(0).iter().map(|log| log.seq).collect();
    assert_eq!(seqs, (1..=200).collect::<Vec<_>>());
    seqs.dedup();
    assert_eq!(seqs.len(), 200);
    let read = Store::open_read_only(dir.path()).unwrap();
    assert_eq!(read.logs(TimeRange::ALL), live.logs(TimeRange::ALL));
}

#[test]
fn who_waits_is_told_of_new_rows() {
    let dir = tempfile::tempdir().unwrap();
    let live = store(dir.path());
    let (tell, told) = std::sync::mpsc::channel();
    live.subscribe(move |seq| tell.send(seq).unwrap());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| live.wait_past(1, Duration::from_secs(60)));
        live.ingest(Signal::Logs, &Logs::of([log(1, "one"), log(2, "two")]), Some("application/json"), None, None, at(1))
            .unwrap();
        assert_eq!(waiter.join().unwrap(), 2);
    });
    assert_eq!(told.recv().unwrap(), 2);
    assert_eq!(live.wait_past(2, Duration::ZERO), 2);
    assert_eq!(live.logs_past(1).len(), 1);
}

#[test]
fn a_row_that_contradicts_its_address_is_kept_and_counted_for_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let live = store(dir.path());
    let polecat = "alice/polecats/furiosa";
    let own = Logs::from_resource(&[("gt.role", "alice/furiosa")], [log(1, "own")]);
    let foreign = Logs::from_resource(&[("gt.role", "mayor")], [log(2, "foreign")]);
    let nobody = Logs::from_resource(&[("gt.actor", "mayor")], [log(3, "actor")]);
    for body in [&own, &foreign, &nobody] {
        live.ingest(Signal::Logs, body, Some("application/json"), None, Some(polecat), at(1)).unwrap();
    }
    let logs = live.logs(TimeRange::ALL);
    let counted: Vec<Option<&str>> = logs.iter().map(|log| log.counted_for()).collect();
    assert_eq!(counted, [Some(polecat), None, None]);
    assert_eq!(logs[1].contradicted.as_deref(), Some("mayor"));
    assert_eq!(live.stats().contradicted, 2);
}

#[test]
fn rows_by_an_address_without_its_token_are_kept_and_counted_for_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let live = store(dir.path());
    let body = Logs::from_resource(&[("gt.role", "alice/furiosa")], [log(1, "one")]);
    live.ingest(Signal::Logs, &body, Some("application/json"), None, Address::Claimed("mayor"), at(1)).unwrap();
    for store in [live, Store::open_read_only(dir.path()).unwrap()] {
        let logs = store.logs(TimeRange::ALL);
        assert_eq!((logs[0].agent.as_deref(), logs[0].contradicted.as_deref()), (None, Some("mayor")));
        assert_eq!((logs[0].counted_for(), store.stats().contradicted), (None, 1));
    }
}

#[test]
fn a_sealed_store_has_plain_parquet_tables_and_a_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let live = store(dir.path());
    live.ingest(Signal::Logs, &Logs::of([log(5, "one")]), Some("application/json"), None, Some("mayor"), at(9)).unwrap();
    let points = metrics("gastown.nudge.total", "", &sum(2, true, &[(1, 5, 3.0, &[("status", "ok")])]));
    live.ingest(Signal::Metrics, &points, Some("application/json"), None, None, at(9)).unwrap();
    live.seal().unwrap();
    live.seal().unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.path().join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["schema"], 1);
    assert_eq!(manifest["journal_bytes"], std::fs::metadata(dir.path().join("journal.bin")).unwrap().len());
    let rows: Vec<u64> = manifest["segments"].as_array().unwrap().iter().map(|one| one["rows"].as_u64().unwrap()).collect();
    assert_eq!(rows, [1, 1, 0]);
    let names: Vec<String> = files(dir.path()).into_iter().map(|file| file.0).collect();
    assert_eq!(names, ["journal.bin", "logs.parquet", "manifest.json", "metrics.parquet", "spans.parquet"]);
    assert_eq!(otlp::parquet_texts(&dir.path().join("logs.parquet"), "body"), ["one"]);
    assert_eq!(otlp::parquet_texts(&dir.path().join("logs.parquet"), "proctor.agent"), ["mayor"]);
    assert_eq!(otlp::parquet_texts(&dir.path().join("metrics.parquet"), "attributes"), [r#"{"status":"ok"}"#]);
}

#[test]
fn json_is_read_by_otlps_rules() {
    let dir = tempfile::tempdir().unwrap();
    let live = store(dir.path());
    let body = br#"{"resourceLogs":[{"unknown":1,"resource":null,"scopeLogs":[{"logRecords":[{
        "timeUnixNano":"1795330303000000001","severityNumber":"SEVERITY_NUMBER_ERROR","traceId":"5B8EFFF798038103D269B633813FC60C",
        "spanId":"eee19b7ec3c1b174","body":{"stringValue":"x"},"flags":1,"attributes":[
            {"key":"n","value":{"intValue":"-7"}},{"key":"m","value":{"intValue":8}},{"key":"d","value":{"doubleValue":"NaN"}},
            {"key":"b","value":{"boolValue":true}},{"key":"raw","value":{"bytesValue":"AQI="}},
            {"key":"list","value":{"arrayValue":{"values":[{"intValue":1},{"stringValue":"two"}]}}},
            {"key":"map","value":{"kvlistValue":{"values":[{"key":"in","value":{"stringValue":"deep"}}]}}}]}]}]}]}"#;
    live.ingest(Signal::Logs, body, Some("application/json"), None, None, at(1)).unwrap();
    let log = live.logs(TimeRange::ALL).remove(0);
    assert_eq!(proctor_store::time_to_nanos(log.time), 1_795_330_303_000_000_001);
    assert_eq!((log.severity_number, log.level().as_str()), (17, "error"));
    assert_eq!(log.trace_id, "5b8efff798038103d269b633813fc60c");
    let text = |name: &str| log.attributes.text(name).unwrap();
    let texts = ["n", "m", "d", "b", "raw", "list", "map.in"].map(text);
    assert_eq!(texts, ["-7", "8", "NaN", "true", r#""AQI=""#, r#"[1,"two"]"#, "deep"]);
}

#[test]
fn a_record_without_a_time_has_the_time_it_was_seen() {
    let dir = tempfile::tempdir().unwrap();
    let live = store(dir.path());
    let observed = Logs::of([r#"{"observedTimeUnixNano":"7000000000","body":{"stringValue":"observed"}}"#.to_owned()]);
    let neither = Logs::of([r#"{"body":{"stringValue":"neither"}}"#.to_owned()]);
    live.ingest(Signal::Logs, &observed, Some("application/json"), None, None, at(9)).unwrap();
    live.ingest(Signal::Logs, &neither, Some("application/json"), None, None, at(9)).unwrap();
    let times: Vec<_> = live.logs(TimeRange::ALL).iter().map(|log| log.time).collect();
    assert_eq!(times, [at(7), at(9)]);
}
