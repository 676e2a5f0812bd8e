//! The scenario that is shipped: it and every case of its selftest are without problems, every finding that a case expects
//! can arise, and the table in the documentation says the same.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first thing that is not as it must be")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use proctor_harness::scenario::{ATTACK_CLASSES, CaseSpec, CaseTown, Expect, Files, Scenario, load};

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn shipped(name: &str) -> Scenario {
    let files = Files::from_dir(&repository().join("scenarios").join(name)).expect("the shipped scenario can be read");
    load(&files).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn crypto_tales() -> Scenario {
    shipped("crypto-tales")
}

#[test]
fn every_case_of_sabotage_is_a_scenario_without_problems() {
    let scenario = crypto_tales();
    assert!(scenario.cases.len() >= 13, "only {} cases", scenario.cases.len());
    can_be_laid_over(&scenario);
    can_be_laid_over(&shipped("attacks"));
}

fn can_be_laid_over(scenario: &Scenario) {
    for name in scenario.cases.keys() {
        let laid_over = scenario.with_case(name).expect("a case that the scenario lists");
        assert!(laid_over.is_ok(), "{name}: {:#?}", laid_over.err());
    }
}

#[test]
fn a_finding_that_a_case_expects_is_a_check_or_one_that_the_judge_makes() {
    let scenario = crypto_tales();
    let checks: BTreeSet<&str> = scenario.spec.check.iter().map(|c| c.id.as_str()).collect();
    let made_by_judge = ["landed.", "identity.", "process.", "gateway.", "provider.", "fault.", "gastown.", "run."];
    let elsewhere = |case: &CaseSpec| case.town.values().filter_map(|own| own.expect.clone()).collect::<Vec<_>>();
    let expected = scenario
        .cases
        .iter()
        .flat_map(|(name, case)| std::iter::once(case.expect.clone()).chain(elsewhere(case)).map(move |expect| (name, expect)));
    for (name, expect) in expected {
        for finding in expect.findings() {
            let known = checks.contains(finding) || made_by_judge.iter().any(|family| finding.starts_with(family));
            assert!(known, "{name} expects {finding}, which nothing makes");
        }
    }
}

#[test]
fn the_documentation_lists_every_case_with_what_must_come_of_it() {
    let scenario = crypto_tales();
    let page = std::fs::read_to_string(repository().join("docs/selftest.md")).expect("docs/selftest.md");
    let rows: BTreeSet<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let wanted: BTreeSet<String> = scenario.cases.iter().map(|(name, case)| row(name, case)).collect();
    let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
    assert_eq!(rows, wanted);
}

#[test]
fn there_are_attacks_of_every_class_and_honest_controls() {
    let scenario = shipped("attacks");
    let of_class = |class: &str| scenario.cases.values().filter(|case| case.class.as_deref() == Some(class)).count();
    for class in ATTACK_CLASSES {
        let least = if class == "honest" { 4 } else { 2 };
        assert!(of_class(class) >= least, "{class}: {}", of_class(class));
    }
    assert!(scenario.cases.len() - of_class("honest") >= 40, "{}", scenario.cases.len());
    let without: Vec<&String> = scenario.cases.iter().filter(|(_, case)| case.class.is_none()).map(|(name, _)| name).collect();
    assert_eq!(without, Vec::<&String>::new(), "attacks without a class");
}

#[test]
fn the_documentation_lists_every_attack_with_what_must_come_of_it() {
    let scenario = shipped("attacks");
    let page = std::fs::read_to_string(repository().join("docs/attacks.md")).expect("docs/attacks.md");
    let rows: BTreeSet<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let row = |(name, case): (&String, &CaseSpec)| {
        let class = case.class.clone().unwrap_or_default();
        format!("| `{name}` | {class} | {} | {} |", case.title, outcome(&case.expect))
    };
    let wanted: BTreeSet<String> = scenario.cases.iter().map(row).collect();
    assert_eq!(rows, wanted.iter().map(String::as_str).collect());
}

fn row(name: &str, case: &CaseSpec) -> String {
    let builtin = match case.town.get("builtin") {
        Some(own) => in_town(own),
        None => outcome(&case.expect),
    };
    let real = ["gastown", "gastown:queue", "gastown:direct"].iter().filter_map(|key| {
        let by = key.strip_prefix("gastown:").map(|by| format!("{by}: ")).unwrap_or_default();
        Some(format!("{by}{}", in_town(case.town.get(*key)?)))
    });
    let real: Vec<String> = real.collect();
    let real = if real.is_empty() { "the same".to_owned() } else { real.join("; ") };
    format!("| `{name}` | {} | {builtin} | {real} |", case.title)
}

fn in_town(own: &CaseTown) -> String {
    let why = own.not_played.as_ref().map(|why| format!("not played: {why}"));
    why.or_else(|| own.expect.as_ref().map(outcome)).unwrap()
}

fn outcome(expect: &Expect) -> String {
    let only = if expect.only { " *only*" } else { "" };
    let findings: Vec<String> = expect.findings().map(|finding| format!("`{finding}`")).collect();
    let findings = if findings.is_empty() { String::new() } else { format!(" · {}{only}", findings.join(", ")) };
    format!("`{}`{findings}", expect.outcome)
}
