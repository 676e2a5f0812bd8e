//! Numbers that are none, labels that collide, series of several forms: nothing disappears, and answers are those of Prometheus.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod otlp;

use otlp::{at, attributes, histogram, metrics, metrics_from, sum};
use proctor_store::promql::Answer;
use proctor_store::{Options, Signal, Store, http};
use serde_json::{Value, json};

fn filled(bodies: &[Vec<u8>]) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), Options::default()).unwrap();
    for body in bodies {
        store.ingest(Signal::Metrics, body, Some("application/json"), None, None, at(100)).unwrap();
    }
    (dir, store)
}

/// Gauges `g{n="…"}` with values as OTLP's JSON writes them.
fn gauges(values: &[(&str, &str)]) -> Vec<u8> {
    let point = |(n, value): &(&str, &str)| json!({"timeUnixNano": "90000000000", "asDouble": value, "attributes": attributes(&[("n", n)])});
    let points: Vec<Value> = values.iter().map(point).collect();
    metrics("g", "", &json!({"gauge": {"dataPoints": points}}))
}

/// `n=value` of every element, in the answer's order; without `n` the value alone.
fn instant(store: &Store, query: &str) -> String {
    let answer = store.promql_instant(query, at(100)).unwrap_or_else(|error| panic!("{query}: {error}"));
    let body: Value = serde_json::from_str(&http::prometheus_answer(&answer)).unwrap();
    let Some(all) = body["data"]["result"].as_array().filter(|_| matches!(answer, Answer::Vector(_))) else {
        return body["data"]["result"][1].as_str().unwrap().to_owned();
    };
    let shown = all.iter().map(|one| {
        let value = one["value"][1].as_str().unwrap();
        one["metric"]["n"].as_str().map_or_else(|| value.to_owned(), |n| format!("{n}={value}"))
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn nan_is_neither_the_largest_nor_the_smallest() {
    let (_dir, store) = filled(&[gauges(&[("a", "3"), ("b", "NaN"), ("c", "1"), ("d", "2")])]);
    for (query, expected) in [
        ("sort(g)", "c=1 d=2 a=3 b=NaN"),
        ("sort_desc(g)", "a=3 d=2 c=1 b=NaN"),
        ("topk(2, g)", "a=3 d=2"),
        ("bottomk(2, g)", "c=1 d=2"),
        ("topk(4, g)", "a=3 d=2 c=1 b=NaN"),
        ("bottomk(4, g)", "c=1 d=2 a=3 b=NaN"),
        ("min(g)", "1"),
        ("max(g)", "3"),
        ("quantile(1, g)", "3"),
        ("quantile(0.9, g)", "2.7"),
        ("quantile(0, g)", "NaN"),
        ("count(g)", "4"),
        ("sum(g)", "NaN"),
        ("g > 1", "a=3 d=2"),
        ("g != g", "b=NaN"),
        ("clamp_min(g, 2)", "a=3 b=NaN c=2 d=2"),
        ("clamp_max(g, 2)", "a=2 b=NaN c=1 d=2"),
        ("clamp(g, 0, 2)", "a=2 b=NaN c=1 d=2"),
        ("max_over_time(g[1m])", "a=3 b=NaN c=1 d=2"),
        ("changes(g[1m])", "a=0 b=0 c=0 d=0"),
    ] {
        assert_eq!(instant(&store, query), expected, "{query}");
    }
}

#[test]
fn infinities_are_numbers_and_are_written_as_prometheus_writes_them() {
    let (_dir, store) = filled(&[gauges(&[("a", "Infinity"), ("b", "-Infinity"), ("c", "1"), ("d", "NaN")])]);
    for (query, expected) in [
        ("sort(g)", "b=-Inf c=1 a=+Inf d=NaN"),
        ("max(g)", "+Inf"),
        ("min(g)", "-Inf"),
        ("topk(1, g)", "a=+Inf"),
        ("quantile(1, g)", "+Inf"),
        ("histogram_quantile(1.5, g)", ""),
    ] {
        assert_eq!(instant(&store, query), expected, "{query}");
    }
    let Answer::Vector(counted) = store.promql_instant("count_values(\"v\", g)", at(100)).unwrap() else { panic!() };
    let values: Vec<&str> = counted.iter().map(|one| one.labels["v"].as_str()).collect();
    assert_eq!(values, ["+Inf", "-Inf", "1", "NaN"]);
}

#[test]
fn one_sum_that_is_no_number_does_not_poison_a_counter() {
    let point = |time: u64, value: &str| json!({"startTimeUnixNano": "50000000000", "timeUnixNano": format!("{time}000000000"), "asDouble": value});
    for (temporality, expected) in [(1, "12"), (2, "7")] {
        let points = [point(60, "5"), point(70, "NaN"), point(75, "Infinity"), point(80, "7")];
        let body =
            metrics("c", "", &json!({"sum": {"isMonotonic": true, "aggregationTemporality": temporality, "dataPoints": points}}));
        let (_dir, store) = filled(&[body]);
        assert_eq!(instant(&store, "c_total"), expected);
    }
    let negative = metrics("c", "", &sum(1, true, &[(50, 60, 5.0, &[]), (60, 70, -3.0, &[]), (70, 80, 1.0, &[])]));
    let (_dir, store) = filled(&[negative]);
    assert_eq!(instant(&store, "c_total"), "6", "a sum that never falls");
    assert_eq!(store.stats().repaired, 1);
    let histograms = [
        histogram(1, &[1.0], &[(50, 60, &[1, 1], 3.0)]),
        json!({"histogram": {"aggregationTemporality": 1, "dataPoints": [
        {"startTimeUnixNano": "60000000000", "timeUnixNano": "70000000000", "count": 1, "sum": "NaN", "bucketCounts": [1, 0], "explicitBounds": [1]}]}}),
    ];
    let (_dir, store) = filled(&histograms.map(|data| metrics("h", "", &data)));
    assert_eq!((instant(&store, "h_sum"), instant(&store, "h_count")), ("3".into(), "3".into()));
}

fn labels(store: &Store, query: &str) -> Vec<(String, String)> {
    let Answer::Vector(all) = store.promql_instant(query, at(100)).unwrap() else { panic!() };
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].labels.iter().map(|(name, text)| (name.clone(), text.clone())).collect()
}

#[test]
fn attributes_whose_labels_are_one_are_joined() {
    let one = |pairs: &[(&str, &str)], resource: &[(&str, &str)]| {
        let points =
            json!({"gauge": {"dataPoints": [{"timeUnixNano": "90000000000", "asInt": 1, "attributes": attributes(pairs)}]}});
        let (_dir, store) = filled(&[metrics_from(resource, "g", "", &points)]);
        let found = labels(&store, "g").into_iter().filter(|(name, _)| name != "__name__");
        found.map(|(name, text)| format!("{name}={text}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(one(&[("a.b", "dot"), ("a_b", "line")], &[]), "a_b=dot;line");
    assert_eq!(one(&[("a_b", "line"), ("a.b", "dot"), ("a-b", "dash")], &[]), "a_b=dash;dot;line");
    assert_eq!(one(&[("a_b", "point")], &[("a.b", "resource")]), "a_b=resource;point");
    assert_eq!(one(&[("a.b", "point")], &[("a.b", "resource")]), "a_b=point", "the same name: the point's own");
    assert_eq!(one(&[("a.b", ""), ("a_b", "line")], &[]), "a_b=line");
    assert_eq!(one(&[("job", "mine")], &[("service.name", "s")]), "exported_job=mine job=s service_name=s");
    assert_eq!(one(&[("proctor.agent", "mayor")], &[]), "exported_proctor_agent=mayor", "nobody gives himself an address");
    assert_eq!(one(&[("__name__", "x")], &[]), "exported___name__=x");
}

#[test]
fn a_label_that_a_histogram_needs_does_not_hide_the_sender_s() {
    let mut point = histogram(2, &[1.0], &[(50, 60, &[1, 1], 3.0)]);
    point["histogram"]["dataPoints"][0]["attributes"] = attributes(&[("le", "mine")]);
    let (_dir, store) = filled(&[metrics("h", "", &point)]);
    assert!(labels(&store, "h_bucket{le=\"1\"}").contains(&("exported_le".to_owned(), "mine".to_owned())));
}

#[test]
fn points_of_one_name_in_two_forms_are_two_series() {
    let gauge = metrics("x", "", &otlp::gauge(&[(0, 60, 1.0, &[])]));
    let distribution = metrics("x", "", &histogram(2, &[1.0], &[(50, 60, &[1, 1], 3.0)]));
    let (_dir, store) = filled(&[gauge, distribution]);
    assert_eq!((instant(&store, "x"), instant(&store, "x_count")), ("1".into(), "2".into()));
}

#[test]
fn temporalities_may_change_within_a_series() {
    let (_dir, store) = filled(&[
        metrics("c", "", &sum(1, true, &[(50, 60, 5.0, &[])])),
        metrics("c", "", &sum(2, true, &[(60, 70, 3.0, &[]), (60, 80, 4.0, &[])])),
        metrics("c", "", &sum(1, true, &[(80, 90, 2.0, &[])])),
    ]);
    assert_eq!(instant(&store, "c_total"), "11");
}
