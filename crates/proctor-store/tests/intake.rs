//! One bad record costs that record only, and what could not be taken as it came is counted and told.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod otlp;

use otlp::{at, gauge, gzip, log, metrics};
use proctor_store::{Ingested, Loss, LossKind, Options, PointValue, Signal, Store, TimeRange};
use serde_json::json;

/// A store that takes in as if it were the second 100.
struct Intake {
    dir: tempfile::TempDir,
    store: Store,
}

impl Intake {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(&dir.path().join("store"), Options::default()).unwrap();
        Self { dir, store }
    }

    fn take(&self, signal: Signal, kind: &str, body: &[u8]) -> Ingested {
        self.store.ingest(signal, body, Some(kind), None, Some("mayor"), at(100)).unwrap_or_else(|error| {
            panic!("{error}: {}", String::from_utf8_lossy(body));
        })
    }

    fn json(&self, signal: Signal, body: &[u8]) -> Ingested {
        self.take(signal, "application/json", body)
    }

    fn bodies(&self) -> Vec<String> {
        self.store.logs(TimeRange::ALL).iter().map(|log| log.body.clone()).collect()
    }

    fn losses(&self, kind: LossKind) -> Vec<(String, u64, String)> {
        let of = |loss: &Loss| loss.kind == kind;
        let losses = self.store.losses().into_iter().filter(of);
        losses.map(|loss| (loss.reason, loss.count, loss.example)).collect()
    }

    /// Whether another process reads the same from the journal.
    fn assert_reads_again(&self) {
        let again = Store::open_read_only(&self.dir.path().join("store")).unwrap();
        assert_eq!(again.logs(TimeRange::ALL), self.store.logs(TimeRange::ALL));
        assert_eq!(again.spans(TimeRange::ALL), self.store.spans(TimeRange::ALL));
        assert_eq!(again.points(TimeRange::ALL).len(), self.store.points(TimeRange::ALL).len());
        assert_eq!(again.losses(), self.store.losses());
        assert_eq!(again.stats(), self.store.stats());
    }
}

fn logs_of(records: &[&str]) -> Vec<u8> {
    format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#, records.join(",")).into_bytes()
}

#[test]
fn text_that_is_no_unicode_is_replaced_and_its_record_kept() {
    for bad in [
        &br#"{"timeUnixNano":"90000000000","body":{"stringValue":"a\ud800b"}}"#[..],
        br#"{"timeUnixNano":"90000000000","body":{"stringValue":"a\udc00b"}}"#,
        b"{\"timeUnixNano\":\"90000000000\",\"body\":{\"stringValue\":\"a\xffb\"}}",
        b"{\"timeUnixNano\":\"90000000000\",\"body\":{\"stringValue\":\"a\xed\xa0\x80b\"}}",
    ] {
        let intake = Intake::new();
        let mut body = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":["#.to_vec();
        body.extend_from_slice(log(89, "before").as_bytes());
        body.push(b',');
        body.extend_from_slice(bad);
        body.push(b',');
        body.extend_from_slice(log(91, "after").as_bytes());
        body.extend_from_slice(b"]}]}]}");
        let taken = intake.json(Signal::Logs, &body);
        assert_eq!((taken.stored, taken.rejected, taken.repaired), (3, 0, 1));
        let bodies = intake.bodies();
        assert!(bodies[1].starts_with("a\u{fffd}") && bodies[1].ends_with('b'), "{bodies:?}");
        let repaired = intake.losses(LossKind::Repaired);
        assert_eq!((repaired[0].0.as_str(), repaired[0].1), ("text that is not Unicode", 1));
        intake.assert_reads_again();
    }
}

#[test]
fn a_record_that_cannot_be_read_is_rejected_and_the_others_are_taken() {
    for bad in [r#""no object""#, "5", "null", r#"{"body" 1}"#, "{body:{}}", "@", "[]"] {
        let intake = Intake::new();
        let taken = intake.json(Signal::Logs, &logs_of(&[&log(89, "before"), bad, &log(91, "after")]));
        assert_eq!((taken.stored, taken.rejected), (2, 1), "{bad}");
        assert_eq!(intake.bodies(), ["before", "after"]);
        assert_eq!(intake.losses(LossKind::Rejected).len(), 1);
        assert_eq!(intake.store.stats().records_rejected, 1);
        intake.assert_reads_again();
    }
}

#[test]
fn a_value_that_cannot_be_read_costs_that_value() {
    let with = |value: &str| {
        let attribute = format!(r#"{{"key":"bad","value":{value}}},{{"key":"good","value":{{"stringValue":"kept"}}}}"#);
        format!(r#"{{"timeUnixNano":"90000000000","body":{{"stringValue":"x"}},"attributes":[{attribute}]}}"#)
    };
    for (value, kept) in [
        (r#"{"intValue":"abc"}"#, "abc"),
        (r#"{"intValue":9223372036854775808}"#, "9223372036854775808"),
        (r#"{"intValue":1.5}"#, "1.5"),
        (r#"{"doubleValue":"fast"}"#, "fast"),
        (r#"{"doubleValue":1e999}"#, "1e999"),
        (r#"{"boolValue":"yes"}"#, "yes"),
        (r#"{"bytesValue":"*"}"#, "*"),
        (r#"{"stringValue":5}"#, "5"),
        (r#"{"doubleValue":undefined}"#, "undefined"),
        (r#""plain""#, "plain"),
    ] {
        let intake = Intake::new();
        let taken = intake.json(Signal::Logs, &logs_of(&[&with(value)]));
        assert_eq!((taken.stored, taken.rejected), (1, 0), "{value}");
        assert!(taken.repaired > 0, "{value}");
        let record = intake.store.logs(TimeRange::ALL).remove(0);
        assert_eq!(
            (record.attribute("bad").as_deref(), record.attribute("good").as_deref()),
            (Some(kept), Some("kept")),
            "{value}"
        );
    }
}

#[test]
fn every_form_of_the_json_mapping_is_taken_as_it_is_meant() {
    for (value, read) in [
        (r#"{"intValue":5}"#, "5"),
        (r#"{"intValue":"5"}"#, "5"),
        (r#"{"intValue":"5e2"}"#, "500"),
        (r#"{"intValue":5.0}"#, "5"),
        (r#"{"int_value":"-9223372036854775808"}"#, "-9223372036854775808"),
        (r#"{"doubleValue":"NaN"}"#, "NaN"),
        (r#"{"doubleValue":"Infinity"}"#, "inf"),
        (r#"{"double_value":"-Infinity"}"#, "-inf"),
        (r#"{"doubleValue":"2.5"}"#, "2.5"),
        (r#"{"doubleValue":25e-1}"#, "2.5"),
        (r#"{"bytesValue":"+/8="}"#, "\"+/8=\""),
        (r#"{"bytesValue":"+/8"}"#, "\"+/8=\""),
        (r#"{"bytesValue":"-_8"}"#, "\"+/8=\""),
        (r#"{"bytes_value":"-_8="}"#, "\"+/8=\""),
        (r#"{"boolValue":true}"#, "true"),
        (r#"{"stringValue":"é😀"}"#, "é😀"),
        (r#"{"stringValue":"\u00e9\ud83d\ude00"}"#, "é😀"),
        (r#"{"stringValue":null,"intValue":7}"#, "7"),
    ] {
        let intake = Intake::new();
        let record = format!(
            r#"{{"time_unix_nano":9e10,"severityNumber":"SEVERITY_NUMBER_WARN","droppedAttributesCount":"2","traceId":"0AF7651916CD43DD8448EB211C80319C",
                "span_id":"b7ad6b7169203331","body":null,"attributes":[{{"key":"v","value":{value}}}]}}"#
        );
        let taken = intake.json(Signal::Logs, &logs_of(&[&record]));
        assert_eq!((taken.stored, taken.rejected, taken.repaired), (1, 0, 0), "{value}: {:?}", intake.store.losses());
        let record = intake.store.logs(TimeRange::ALL).remove(0);
        assert_eq!(record.attribute("v").as_deref(), Some(read), "{value}");
        assert_eq!((record.time, record.severity_number), (at(90), 13));
        assert_eq!(record.trace_id, "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(intake.store.stats().dropped_by_senders, 2);
    }
    for severity in ["17", r#""17""#, r#""SEVERITY_NUMBER_ERROR""#, "1.7e1"] {
        let intake = Intake::new();
        intake.json(Signal::Logs, &logs_of(&[&format!(r#"{{"severity_number":{severity}}}"#)]));
        assert_eq!(intake.store.logs(TimeRange::ALL)[0].severity_number, 17, "{severity}");
    }
}

#[test]
fn an_id_that_is_not_hex_is_left_out_and_told() {
    for id in [r#""Cvdld5Fs1D3YRI6yEcgDGcAxnA==""#, r#""0af""#, "5", r#""0af7""#] {
        let intake = Intake::new();
        let taken = intake.json(Signal::Logs, &logs_of(&[&format!(r#"{{"body":{{"stringValue":"x"}},"traceId":{id}}}"#)]));
        assert_eq!((taken.stored, taken.repaired), (1, 1), "{id}");
    }
}

#[test]
fn points_and_spans_have_the_same_rights() {
    let intake = Intake::new();
    let point = |value: &str| format!(r#"{{"timeUnixNano":"90000000000",{value}}}"#);
    let points = [
        r#""asInt":"12""#,
        r#""asInt":"abc""#,
        r#""asDouble":"NaN""#,
        r#""asDouble":"Infinity""#,
        r#""as_int":1e2"#,
        r#""asInt":7,"flags":"0""#,
    ];
    let points: Vec<String> = points.iter().map(|value| point(value)).collect();
    let body = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"m","gauge":{{"dataPoints":[{}]}}}}]}}]}}]}}"#,
        points.join(",")
    );
    let taken = intake.json(Signal::Metrics, body.as_bytes());
    assert_eq!((taken.stored, taken.rejected), (5, 1));
    assert_eq!(intake.store.points(TimeRange::ALL)[3].value, PointValue::Int(100));
    let span = |name: &str, start: &str| format!(r#"{{"name":{name},"startTimeUnixNano":{start},"kind":"SPAN_KIND_CLIENT"}}"#);
    let spans = [span(r#""one""#, "\"90000000000\""), span(r#""a\ud800""#, "9e10"), span(r#""two""#, "\"soon\""), "7".into()];
    let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(","));
    let taken = intake.json(Signal::Traces, body.as_bytes());
    assert_eq!((taken.stored, taken.rejected, taken.repaired), (3, 1, 2));
    intake.assert_reads_again();
}

#[test]
fn a_histogram_whose_numbers_cannot_be_is_not_taken_for_one() {
    let with = |fields: &str| {
        let intake = Intake::new();
        let point = format!(r#"{{"timeUnixNano":"90000000000",{fields}}}"#);
        let body = format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"h","histogram":{{"aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA",
                "dataPoints":[{point}]}}}}]}}]}}]}}"#
        );
        let taken = intake.json(Signal::Metrics, body.as_bytes());
        (taken.stored, taken.rejected, taken.repaired)
    };
    assert_eq!(with(r#""count":"3","sum":1,"bucketCounts":["1",2,"3e0"],"explicitBounds":[1,"2"]"#), (1, 0, 0));
    assert_eq!(with(r#""count":"-3","sum":1"#), (0, 1, 0), "a negative count");
    assert_eq!(with(r#""count":3,"bucketCounts":["1","x"],"explicitBounds":[1]"#), (0, 1, 0));
    assert_eq!(with(r#""count":3,"bucketCounts":["3"],"explicitBounds":[1]"#), (1, 0, 1), "one bound too many");
    assert_eq!(with(r#""count":3,"bucketCounts":["1","1","1"],"explicitBounds":[2,1]"#), (1, 0, 1), "bounds that fall");
    assert_eq!(with(r#""count":3,"bucketCounts":["1","1","1"],"explicitBounds":["NaN",1]"#), (1, 0, 1));
}

#[test]
fn a_body_that_breaks_off_counts_up_to_there() {
    let whole = logs_of(&[&log(89, "one"), &log(90, "two"), &log(91, "three")]);
    let cut = &whole[..whole.len() - 60];
    let intake = Intake::new();
    let taken = intake.json(Signal::Logs, cut);
    assert_eq!((taken.stored, taken.rejected), (2, 1));
    let packed = gzip(&whole.repeat(1));
    let intake = Intake::new();
    let cut = &packed[..packed.len() - 12];
    let taken = intake.store.ingest(Signal::Logs, cut, Some("application/json"), Some("gzip"), None, at(100));
    assert!(taken.as_ref().is_ok_and(|taken| taken.stored > 0) || taken.is_err());
    intake.assert_reads_again();
    for nothing in [&b"{"[..], b"", b"nonsense", b"[]", b"\"x\"", b"{\"resourceLogs\":[{"] {
        let intake = Intake::new();
        let taken = intake.store.ingest(Signal::Logs, nothing, Some("application/json"), None, Some("mayor"), at(100));
        assert_eq!(taken.is_ok(), nothing.is_empty(), "{}", String::from_utf8_lossy(nothing));
        let refused = intake.losses(LossKind::Refused);
        assert_eq!(refused.len(), usize::from(!nothing.is_empty()));
        intake.assert_reads_again();
    }
}

/// A field of protobuf with a length.
fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut all = vec![tag << 3 | 2, u8::try_from(bytes.len()).unwrap()];
    all.extend_from_slice(bytes);
    all
}

fn record_with(body: &[u8], more: &[u8]) -> Vec<u8> {
    let mut record = vec![1 << 3 | 1];
    record.extend_from_slice(&90_000_000_000_u64.to_le_bytes());
    record.extend_from_slice(&field(5, &field(1, body)));
    record.extend_from_slice(more);
    field(2, &record)
}

fn protobuf(records: &[Vec<u8>]) -> Vec<u8> {
    field(1, &field(2, &records.concat()))
}

#[test]
fn protobuf_has_the_same_rights() {
    let take = |records: &[Vec<u8>]| {
        let intake = Intake::new();
        let taken = intake.take(Signal::Logs, "application/x-protobuf", &protobuf(records));
        intake.assert_reads_again();
        ((taken.stored, taken.rejected, taken.repaired), intake.bodies())
    };
    let good = |text: &str| record_with(text.as_bytes(), b"");
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(take(&[good("a"), record_with(b"x\xffy", b""), good("b")]), ((3, 0, 1), texts(&["a", "x\u{fffd}y", "b"])));
    assert_eq!(take(&[good("a"), field(2, b"\x0f\xff\xff"), good("b")]), ((2, 1, 0), texts(&["a", "b"])), "no fields");
    assert_eq!(
        take(&[good("a"), record_with(b"x", b"\x32\x7fab"), good("b")]).0,
        (2, 1, 0),
        "an attribute longer than its record"
    );
    let attribute = [field(1, b"k"), field(2, &[3 << 3])].concat();
    assert_eq!(take(&[good("a"), record_with(b"x", &field(6, &attribute)), good("b")]).0, (3, 0, 1), "a number without its end");
    assert_eq!(take(&[good("a"), record_with(b"x", b"\x0d\x01\x02\x03\x04"), good("b")]).0, (3, 0, 1), "a field of another type");
    assert_eq!(take(&[good("a"), record_with(b"x", b"\x9b\x06\x08\x01\x9c\x06"), good("b")]).0, (3, 0, 0), "an unknown group");
    let body = protobuf(&[good("a"), good("b"), good("c")]);
    let intake = Intake::new();
    let taken = intake.take(Signal::Logs, "application/x-protobuf", &body[..body.len() - 2]);
    assert_eq!((taken.stored, taken.rejected), (2, 1), "a body that breaks off");
    let json = intake.store.ingest(Signal::Logs, b"{\"resourceLogs\":[]}", Some("application/x-protobuf"), None, None, at(100));
    assert!(json.unwrap_err().to_string().contains("it is JSON"));
}

#[test]
fn without_a_content_type_a_body_is_what_it_looks_like() {
    let intake = Intake::new();
    for body in [logs_of(&[&log(90, "json")]), protobuf(&[record_with(b"protobuf", b"")])] {
        intake.store.ingest(Signal::Logs, &body, None, None, None, at(100)).unwrap();
    }
    assert_eq!(intake.bodies(), ["json", "protobuf"]);
}

#[test]
fn names_that_are_empty_or_given_twice_are_told() {
    let attribute = |key: &str, text: &str| json!({"key": key, "value": {"stringValue": text}});
    let record = json!({"body": {"stringValue": "x"}, "attributes": [attribute("", "nameless"), attribute("a", "1"), attribute("a", "2")]});
    let intake = Intake::new();
    intake.json(Signal::Logs, &logs_of(&[&record.to_string()]));
    let record = intake.store.logs(TimeRange::ALL).remove(0);
    assert_eq!((record.attribute("(empty)").as_deref(), record.attribute("a").as_deref()), (Some("nameless"), Some("2")));
    assert_eq!(intake.losses(LossKind::Repaired).len(), 2);
    intake.json(Signal::Metrics, &metrics("", "", &gauge(&[(0, 90, 1.0, &[])])));
    assert!(intake.losses(LossKind::Repaired).iter().any(|(reason, _, _)| reason == "a metric without a name"));
}

#[test]
fn losses_are_told_by_sender_and_reason_with_the_first() {
    let intake = Intake::new();
    for agent in ["mayor", "alice/polecats/furiosa", "mayor"] {
        let refused = intake.store.ingest(Signal::Logs, b"x", Some("text/plain"), None, Some(agent), at(100));
        assert!(refused.is_err());
    }
    let losses: Vec<_> = intake.store.losses().into_iter().map(|loss| (loss.agent.unwrap(), loss.count, loss.reason)).collect();
    let reason = || "content type".to_owned();
    assert_eq!(losses, [("alice/polecats/furiosa".to_owned(), 1, reason()), ("mayor".to_owned(), 2, reason())]);
    assert!(intake.store.losses()[0].example.contains("text/plain"));
    intake.assert_reads_again();
}
