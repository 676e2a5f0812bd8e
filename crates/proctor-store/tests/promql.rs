//! PromQL, golden cases: naming, repaired counters, evaluation, and the bodies of the HTTP API.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod otlp;

use std::time::Duration;

use otlp::{at, gauge, histogram, metrics, metrics_from, sum};
use proctor_store::promql::Answer;
use proctor_store::{Options, Signal, Store, TimeRange, http};

const OK: &[(&str, &str)] = &[("status", "ok")];
const ERROR: &[(&str, &str)] = &[("status", "error")];

fn filled(bodies: &[Vec<u8>]) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), Options::default()).unwrap();
    for body in bodies {
        store.ingest(Signal::Metrics, body, Some("application/json"), None, None, at(1)).unwrap();
    }
    (dir, store)
}

/// `{labels} value` of every element but `job` and `service_name`, which are the same everywhere.
fn instant(store: &Store, query: &str, seconds: i64) -> String {
    let answer = store.promql_instant(query, at(seconds));
    let samples = match answer.unwrap_or_else(|error| panic!("{query}\n{error}\n{}", error.caret(query))) {
        Answer::Scalar(_, value) => return value.to_string(),
        Answer::Vector(samples) => samples,
        other => panic!("{other:?}"),
    };
    let shown = samples.into_iter().map(|sample| {
        let labels = sample.labels.iter().filter(|(name, _)| !["job", "service_name"].contains(&name.as_str()));
        let labels: Vec<String> = labels.map(|(name, text)| format!("{name}={text}")).collect();
        format!("{{{}}} {}", labels.join(","), sample.value)
    });
    shown.collect::<Vec<_>>().join("; ")
}

/// Three processes of `gt`, one after the other and two at once, all under one resource.
fn short_lived() -> (tempfile::TempDir, Store) {
    let calls = |start, time, ok: f64, error: f64| {
        metrics("gastown.bd.calls.total", "", &sum(2, true, &[(start, time, ok, OK), (start, time, error, ERROR)]))
    };
    filled(&[calls(100, 101, 2.0, 0.0), calls(110, 112, 3.0, 1.0), calls(111, 112, 1.0, 0.0), calls(110, 113, 4.0, 1.0)])
}

#[test]
fn counters_of_short_lived_processes_add_up() {
    let (_dir, store) = short_lived();
    assert_eq!(
        instant(&store, "gastown_bd_calls_total", 120),
        "{__name__=gastown_bd_calls_total,status=error} 1; {__name__=gastown_bd_calls_total,status=ok} 7"
    );
    assert_eq!(instant(&store, "sum(gastown_bd_calls_total)", 105), "{} 2");
    assert_eq!(instant(&store, "sum by (status) (gastown_bd_calls_total)", 112), "{status=error} 1; {status=ok} 6");
    // A counter does not forget when its process has ended.
    assert_eq!(instant(&store, "sum(gastown_bd_calls_total)", 100_000), "{} 8");
    // The raw points are as they were.
    assert_eq!(store.points(TimeRange::ALL).len(), 8);
    // It began at zero, so that an increase counts the first process too.
    assert_eq!(instant(&store, "increase(gastown_bd_calls_total{status=\"ok\"}[14s])", 113), "{status=ok} 7");
}

#[test]
fn processes_that_differ_by_pid_only_are_one_series() {
    let body = |pid: &str, value| {
        let resource = [("service.name", "bd"), ("process.pid", pid), ("host.name", "h")];
        metrics_from(&resource, "bd.storage.operations", "", &sum(2, true, &[(10, 12, value, OK)]))
    };
    let (_dir, store) = filled(&[body("1", 2.0), body("2", 3.0)]);
    assert_eq!(instant(&store, "sum without (job, service_name) (bd_storage_operations_total)", 20), "{status=ok} 5");
    assert_eq!(store.series(&["bd_storage_operations_total"], TimeRange::ALL).unwrap().len(), 1);
}

#[test]
fn deltas_count_like_cumulative_sums_and_a_fall_is_a_restart() {
    let delta = metrics("claude_code.token.usage", "tokens", &sum(1, true, &[(0, 10, 5.0, OK), (10, 20, 7.0, OK)]));
    let restarted = metrics("x", "", &sum(2, true, &[(0, 10, 5.0, OK), (0, 20, 2.0, OK), (0, 30, 3.0, OK)]));
    let (_dir, store) = filled(&[delta, restarted]);
    assert_eq!(instant(&store, "sum(claude_code_token_usage_total)", 25), "{} 12");
    assert_eq!(instant(&store, "sum(claude_code_token_usage_tokens_total)", 15), "{} 5");
    assert_eq!(instant(&store, "sum(x_total)", 35), "{} 8");
}

#[test]
fn gauges_go_stale_and_end_when_the_sender_says_so() {
    let given = metrics("gastown.dolt.connections", "", &gauge(&[(0, 100, 4.0, &[])]));
    let ended = br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"y","gauge":{"dataPoints":[
        {"timeUnixNano":"100000000000","asInt":"1"},{"timeUnixNano":"110000000000","flags":1}]}}]}]}]}"#;
    let (_dir, store) = filled(&[given, ended.to_vec()]);
    assert_eq!(instant(&store, "gastown_dolt_connections", 399), "{__name__=gastown_dolt_connections} 4");
    assert_eq!(instant(&store, "gastown_dolt_connections", 400), "");
    assert_eq!(instant(&store, "y", 109), "{__name__=y} 1");
    assert_eq!(instant(&store, "y", 110), "");
}

#[test]
fn histograms_of_short_lived_processes_add_up() {
    let bounds = [10.0, 20.0];
    let body = |start, time, counts: &[u64], total| {
        metrics("bd.ai.request.duration", "ms", &histogram(2, &bounds, &[(start, time, counts, total)]))
    };
    let (_dir, store) = filled(&[body(1, 2, &[50, 20, 5], 900.0), body(3, 4, &[0, 20, 5], 600.0)]);
    // The seed's own form of the name.
    assert_eq!(instant(&store, "histogram_quantile(0.7, bd_ai_request_duration_ms_bucket)", 10), "{} 15");
    assert_eq!(instant(&store, "histogram_quantile(0.95, sum by (le) (bd_ai_request_duration_bucket))", 10), "{} 20");
    assert_eq!(instant(&store, "sum(bd_ai_request_duration_milliseconds_count)", 10), "{} 100");
    assert_eq!(instant(&store, "sum(bd_ai_request_duration_milliseconds_sum)", 10), "{} 1500");
}

#[test]
fn exponential_histograms_and_summaries_can_be_asked() {
    let body = br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"e","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"startTimeUnixNano":"1000000000",
            "timeUnixNano":"2000000000","count":"7","sum":20,"scale":0,"zeroCount":"1","positive":{"offset":0,"bucketCounts":["2","4"]}}]}},
        {"name":"s","summary":{"dataPoints":[{"timeUnixNano":"2000000000","count":"3","sum":9,
            "quantileValues":[{"quantile":0.5,"value":2.5}]}]}}]}]}]}"#;
    let (_dir, store) = filled(&[body.to_vec()]);
    assert_eq!(
        instant(&store, "e_bucket", 5),
        "{__name__=e_bucket,le=0} 1; {__name__=e_bucket,le=2} 3; {__name__=e_bucket,le=4} 7; {__name__=e_bucket,le=+Inf} 7"
    );
    assert_eq!(instant(&store, "s{quantile=\"0.5\"}", 5), "{__name__=s,quantile=0.5} 2.5");
    assert_eq!(instant(&store, "s_count", 5), "{__name__=s_count} 3");
}

/// Gauges `g{i}` at second 100: a=1, b=2, c=3; `h{i,k}`: a=10, b=20.
fn gauges() -> (tempfile::TempDir, Store) {
    let g = gauge(&[
        (0, 40, 7.0, &[("i", "a")]),
        (0, 100, 1.0, &[("i", "a")]),
        (0, 100, 2.0, &[("i", "b")]),
        (0, 100, 3.0, &[("i", "c")]),
    ]);
    let h = gauge(&[(0, 100, 10.0, &[("i", "a"), ("k", "x")]), (0, 100, 20.0, &[("i", "b"), ("k", "y")])]);
    filled(&[metrics("g", "", &g), metrics("h", "", &h)])
}

#[test]
fn expressions_give_what_they_should() {
    let (_dir, store) = gauges();
    for (query, expected) in [
        ("1 + 2 * 3 ^ 2", "19"),
        ("2 > bool 1", "1"),
        ("time()", "110"),
        ("scalar(g{i=\"b\"})", "2"),
        ("vector(3)", "{} 3"),
        ("nosuch", ""),
        ("sum(nosuch)", ""),
        ("g{i=~\"a|b\"}", "{__name__=g,i=a} 1; {__name__=g,i=b} 2"),
        ("g{i!~\"a|b\"}", "{__name__=g,i=c} 3"),
        ("g{i!=\"a\"} * 2", "{i=b} 4; {i=c} 6"),
        ("{__name__=~\"g|nothing\",i=\"a\"}", "{__name__=g,i=a} 1"),
        ("g{i=\"a\"} offset 1m", "{__name__=g,i=a} 7"),
        ("g{i=\"a\"} @ 45", "{__name__=g,i=a} 7"),
        ("-g{i=\"a\"}", "{i=a} -1"),
        ("g > 1", "{__name__=g,i=b} 2; {__name__=g,i=c} 3"),
        ("g > bool 1", "{i=a} 0; {i=b} 1; {i=c} 1"),
        ("2 < g", "{__name__=g,i=c} 3"),
        ("sum(g)", "{} 6"),
        ("avg(g)", "{} 2"),
        ("min(g)", "{} 1"),
        ("max by (job) (g) - 1", "{} 2"),
        ("count(g)", "{} 3"),
        ("stddev(g{i=~\"a|c\"})", "{} 1"),
        ("quantile(0.5, g)", "{} 2"),
        ("topk(2, g)", "{__name__=g,i=c} 3; {__name__=g,i=b} 2"),
        ("bottomk(1, g)", "{__name__=g,i=a} 1"),
        ("count_values(\"v\", g)", "{v=1} 1; {v=2} 1; {v=3} 1"),
        ("h / on (i) g", "{i=a} 10; {i=b} 10"),
        ("h / ignoring (k) g", "{i=a} 10; {i=b} 10"),
        ("g * on (i) group_left (k) h", "{i=a,k=x} 10; {i=b,k=y} 40"),
        ("g and on (i) h", "{__name__=g,i=a} 1; {__name__=g,i=b} 2"),
        ("g unless on (i) h", "{__name__=g,i=c} 3"),
        ("g{i=\"c\"} or on (i) h{i=\"a\"}", "{__name__=g,i=c} 3; {__name__=h,i=a,k=x} 10"),
        ("sort_desc(g)", "{__name__=g,i=c} 3; {__name__=g,i=b} 2; {__name__=g,i=a} 1"),
        ("abs(-g{i=\"a\"})", "{i=a} 1"),
        ("clamp(g, 1.5, 2.5)", "{i=a} 1.5; {i=b} 2; {i=c} 2.5"),
        ("round(g{i=\"c\"} / 2)", "{i=c} 2"),
        ("ceil(g{i=\"c\"} / 2) + floor(g{i=\"c\"} / 2)", "{i=c} 3"),
        ("absent(nosuch{a=\"b\"})", "{a=b} 1"),
        ("absent(g)", ""),
        ("label_replace(g{i=\"a\"}, \"j\", \"<$1>\", \"i\", \"(.*)\")", "{__name__=g,i=a,j=<a>} 1"),
        ("label_join(h{i=\"a\"}, \"j\", \"-\", \"i\", \"k\")", "{__name__=h,i=a,j=a-x,k=x} 10"),
        ("timestamp(g{i=\"a\"})", "{i=a} 100"),
        ("max_over_time(g{i=\"a\"}[2m])", "{i=a} 7"),
        ("idelta(g{i=\"a\"}[2m])", "{i=a} -6"),
        ("count_over_time(g[5m])", "{i=a} 2; {i=b} 1; {i=c} 1"),
        ("max_over_time(sum(g)[1m:30s])", "{} 7"),
        ("quantile_over_time(0.5, g{i=\"a\"}[2m])", "{i=a} 4"),
    ] {
        assert_eq!(instant(&store, query, 110), expected, "{query}");
    }
}

#[test]
fn an_error_points_at_its_place_and_says_what_is_not_there() {
    let (_dir, store) = gauges();
    for (query, column, part) in [
        ("1 + predict_linear(g[5m], 3)", 5, "`predict_linear` is not there yet"),
        ("g + on (job) h", 3, "several series"),
        ("g[5m", 5, "ends too early"),
        ("sum by i (g)", 8, "from here on"),
    ] {
        let error = store.promql_instant(query, at(110)).unwrap_err();
        assert_eq!(error.column, column, "{query}: {error}");
        assert!(error.message.contains(part), "{query}: {error}");
    }
    assert!(store.promql_range("g[5m]", at(0), at(10), Duration::from_secs(1)).is_err());
    assert!(store.promql_range("g", at(0), at(100_000), Duration::from_secs(1)).is_err());
    assert!(store.promql_range("g", at(0), at(10), Duration::ZERO).is_err());
}

#[test]
fn a_range_has_a_value_at_every_step() {
    let (_dir, store) = short_lived();
    let answer = store.promql_range("sum(gastown_bd_calls_total)", at(100), at(115), Duration::from_secs(5)).unwrap();
    let Answer::Matrix(series) = answer else { panic!("{answer:?}") };
    let values: Vec<f64> = series[0].values.iter().map(|value| value.1).collect();
    assert_eq!(values, [0.0, 2.0, 2.0, 8.0]);
}

#[test]
fn labels_and_series_can_be_listed() {
    let (_dir, store) = gauges();
    assert_eq!(store.label_names(&[], TimeRange::ALL).unwrap(), ["__name__", "i", "job", "k", "service_name"]);
    assert_eq!(store.label_values("__name__", &[], TimeRange::ALL).unwrap(), ["g", "h"]);
    assert_eq!(store.label_values("i", &["h"], TimeRange::ALL).unwrap(), ["a", "b"]);
    assert_eq!(store.series(&["g", "{i=\"a\"}"], TimeRange::ALL).unwrap().len(), 4);
    assert_eq!(store.series(&["g"], TimeRange::between(at(0), at(50))).unwrap().len(), 1);
    assert!(store.series(&["sum(g)"], TimeRange::ALL).is_err());
}

#[test]
fn bodies_are_as_prometheus_writes_them() {
    let (_dir, store) = gauges();
    let body = |query: &str| http::prometheus_answer(&store.promql_instant(query, at(110)).unwrap());
    assert_eq!(
        body("sum(g)"),
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[110,"6"]}]}}"#
    );
    assert_eq!(body("nosuch"), r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#);
    assert_eq!(body("1 / 0"), r#"{"status":"success","data":{"resultType":"scalar","result":[110,"+Inf"]}}"#);
    assert_eq!(body("\"x\""), r#"{"status":"success","data":{"resultType":"string","result":[110,"x"]}}"#);
    let matrix = store.promql_range("sum(g)", at(100), at(101), Duration::from_secs(1)).unwrap();
    assert_eq!(
        http::prometheus_answer(&matrix),
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[100,"6"],[101,"6"]]}]}}"#
    );
    assert_eq!(http::prometheus_names(&["a".into()]), r#"{"status":"success","data":["a"]}"#);
    let error = store.promql_instant("sum(", at(1)).unwrap_err();
    let shown: serde_json::Value = serde_json::from_str(&http::prometheus_error(&error)).unwrap();
    assert_eq!((&shown["status"], &shown["errorType"]), (&"error".into(), &"bad_data".into()));
}

#[test]
fn rows_of_a_contradicted_identity_can_be_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), Options::default()).unwrap();
    let body = metrics_from(&[("gt.role", "mayor")], "x", "", &sum(2, true, &[(1, 2, 1.0, &[])]));
    for agent in ["mayor", "bob/polecats/nux"] {
        store.ingest(Signal::Metrics, &body, Some("application/json"), None, Some(agent), at(1)).unwrap();
    }
    assert_eq!(
        instant(&store, "sum by (proctor_agent) (x_total{proctor_agent_contradicted=\"\"})", 5),
        "{proctor_agent=mayor} 1"
    );
}
