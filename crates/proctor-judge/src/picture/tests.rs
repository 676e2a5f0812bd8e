//! What must hold of the picture.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use crate::evidence::{FaultRow, Sign};
use crate::lanes::Material;
use crate::lanes::tests::{at, exchange, log, session, town};

fn picture(material: &Material) -> String {
    timeline_svg(&Lanes::of(material), &Options { width: 800.0, dark: None })
}

#[test]
fn a_small_run_is_drawn_the_same_way_every_time() {
    let mut material = town();
    material.exchanges = vec![exchange(1, "mayor", 1.0, 500.0, 5)];
    material.logs = vec![log("mayor", 1.9, "sling", &[("bead", "al-1"), ("target", "alice")])];
    let svg = picture(&material);
    let start = svg.find("</style>").unwrap();
    let golden = include_str!("golden.svg");
    assert_eq!(
        svg[start..].trim(),
        golden.trim(),
        "the picture has changed; if it should, this is the new one:\n{}",
        &svg[start..]
    );
}

#[test]
fn a_fault_that_fired_is_a_flag_and_one_that_did_not_is_none() {
    let fault =
        |name: &str, fired_at| FaultRow { name: name.into(), what: "kills Bob's worker".into(), fired_at, ..FaultRow::default() };
    let mut material = town();
    material.faults = vec![fault("worker-killed", Some(at(5.0))), fault("too-late", None)];
    let svg = picture(&material);
    assert!(svg.contains("<g class=\"fault\"><title>fault worker-killed +5 s (kills Bob's worker)</title>"), "{svg}");
    assert!(!svg.contains("too-late"));
}

#[test]
fn the_count_of_clauses_does_not_touch_the_first_lane() {
    let sign = Sign {
        clause: "pushed".into(),
        value: false,
        now: "0/3".into(),
        first_seen: at(0.0),
        last_seen: at(1.0),
        source: "git".into(),
        detail: String::new(),
    };
    let material = Material { signs: vec![sign], ..town() };
    let svg = picture(&material);
    let y = |from: &str| -> f64 {
        let before = &svg[..svg.find(from).unwrap()];
        let y = &before[before.rfind(" y=\"").unwrap() + 4..];
        y[..y.find('"').unwrap()].parse().unwrap()
    };
    assert!(y(">landed 0/1") + 15.0 < y(">mayor</text>"), "{svg}");
}

#[test]
fn texts_are_escaped() {
    let material = Material { sessions: vec![session("eve/<b>&\"x", "s", 0.0, None, None)], ..Material::default() };
    let svg = picture(&material);
    assert!(svg.contains("eve/&lt;b&gt;&amp;&quot;x") && !svg.contains("<b>"));
}

#[test]
fn many_events_on_the_same_pixels_are_one_shape() {
    let few = Material { exchanges: (1..100).map(|n| exchange(n, "mayor", n as f64 / 10.0, 80.0, 1)).collect(), ..town() };
    let many = Material { exchanges: (1..20_000).map(|n| exchange(n, "mayor", n as f64 / 2000.0, 0.4, 1)).collect(), ..town() };
    assert!(picture(&many).len() < picture(&few).len() + 60_000);
    assert!(picture(&many).contains("19999 model"), "the count is whole");
}

#[test]
fn an_empty_run_is_a_picture_too() {
    let svg = picture(&Material::default());
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("inf"));
}

#[test]
fn ticks_are_few_and_round() {
    for (span, most, step) in [(8.4, 10.0, 1.0), (0.05, 10.0, 0.005), (3600.0, 10.0, 600.0), (40.0, 10.0, 5.0)] {
        assert!((tick_step(span, most) - step).abs() < 1e-9, "{span}: {}", tick_step(span, most));
    }
}

#[test]
fn lengths_have_their_unit() {
    let texts: Vec<String> = [0.0, 0.04, 12.314, 200.0, 3840.0].into_iter().map(time_text).collect();
    assert_eq!(texts, ["0 s", "40 ms", "12.31 s", "3 min 20 s", "1 h 04 min"]);
}

#[test]
fn agents_that_only_stand_by_share_one_line() {
    let by = |rig: &str, role: &str| {
        let mut session = session(&format!("{rig}/{role}"), &format!("{rig}-{role}"), 0.0, None, None);
        session.role = role.into();
        session
    };
    let with = |number: usize| {
        let all = [by("alice", "witness"), by("alice", "refinery"), by("bob", "witness"), by("bob", "refinery")];
        let mut material = town();
        material.sessions.extend(all.into_iter().take(number));
        picture(&material)
    };
    assert_eq!(with(2).matches("<g class=\"lane\">").count(), with(0).matches("<g class=\"lane\">").count() + 2);
    let svg = with(4);
    assert_eq!(svg.matches("<g class=\"lane\">").count(), with(0).matches("<g class=\"lane\">").count());
    assert!(svg.contains("4 more asked no model and called no tool: alice/"), "{svg}");
}
