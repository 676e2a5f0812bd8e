//! Decodes every captured request of real programs and compares with what the captures say they hold.
//!
//! The captures lie outside the repository, at `PROCTOR_FIXTURES` or `../shared/fixtures` from the repository's root.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test stops at the first surprise, and says what it skipped")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proctor_store::{Loss, LossKind, Options, Signal, Store, Time, TimeRange};
use regex::Regex;

/// Names of what a request holds, and how often.
type Counts = BTreeMap<String, usize>;

fn fixtures() -> Option<PathBuf> {
    let given = std::env::var_os("PROCTOR_FIXTURES").map(PathBuf::from);
    let dir = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"));
    let found = Some(dir.join("otlp")).filter(|dir| dir.is_dir());
    if found.is_none() {
        println!("skipped: fixtures not found");
    }
    found
}

fn signal(path: &Path) -> Signal {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    [Signal::Logs, Signal::Metrics, Signal::Traces].into_iter().find(|signal| name.contains(signal.name())).unwrap()
}

fn header(path: &Path, wanted: &str) -> Option<String> {
    let text = std::fs::read(path.with_extension("json")).ok()?;
    let about: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let headers = about["headers"].as_array().unwrap().clone();
    let found = headers.into_iter().find(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case(wanted))?;
    Some(found[1].as_str().unwrap().to_owned())
}

fn bodies(dir: &Path) -> Vec<PathBuf> {
    let mut bodies: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    bodies.retain(|path| path.extension().is_some_and(|extension| extension == "bin"));
    bodies.sort();
    bodies
}

fn take_in(store: &Store, path: &Path, agent: Option<&str>) {
    let (kind, encoding) = (header(path, "content-type"), header(path, "content-encoding"));
    let body = std::fs::read(path).unwrap();
    let taken = store.ingest(signal(path), &body, kind.as_deref(), encoding.as_deref(), agent, Time::UNIX_EPOCH);
    taken.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn store_of(paths: &[PathBuf]) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), Options::default()).unwrap();
    paths.iter().for_each(|path| take_in(&store, path, None));
    (dir, store)
}

fn count(names: impl Iterator<Item = String>) -> Counts {
    names.fold(Counts::new(), |mut counts, name| {
        *counts.entry(name).or_default() += 1;
        counts
    })
}

/// `name*2, other*1` or `name:2, other:1`; nothing for a resource without any metric.
fn listed(text: &str) -> Counts {
    let pair = Regex::new(r"([\w.]+)[*:](\d+)").unwrap();
    pair.captures_iter(text).map(|found| (found[1].to_owned(), found[2].parse().unwrap())).collect()
}

/// Compares every body of `program` with its line of `index.txt`, whose last column but `after` holds the names.
fn check_index(program: &str, separator: &str, column: usize, name_of_log: fn(&proctor_store::LogRecord) -> String) {
    let Some(dir) = fixtures().map(|dir| dir.join(program)) else { return };
    let index = std::fs::read_to_string(dir.join("index.txt")).unwrap();
    let mut checked = 0;
    for line in index.lines().filter(|line| line.contains(".bin")) {
        let cells: Vec<&str> = line.split(separator).map(str::trim).collect();
        let path = dir.join(cells[0]);
        let (_dir, store) = store_of(std::slice::from_ref(&path));
        let logs = store.logs(TimeRange::ALL);
        let mut points = store.points(TimeRange::ALL);
        // The index counts metrics, not their points.
        points.sort_by_key(|point| std::sync::Arc::as_ptr(&point.metric));
        points.dedup_by_key(|point| std::sync::Arc::as_ptr(&point.metric));
        let strip = |name: &str| name.strip_prefix("claude_code.").unwrap_or(name).to_owned();
        let found = count(logs.iter().map(|log| name_of_log(log)).chain(points.iter().map(|point| strip(&point.metric.name))));
        assert_eq!(found, listed(cells[column]), "{program} {line}");
        checked += 1;
    }
    assert_eq!(checked, bodies(&dir).len(), "every body of {program} is in its index");
}

#[test]
fn bodies_of_gt_hold_what_their_index_says() {
    check_index("gt", "\t", 5, |log| log.body.clone());
}

#[test]
fn bodies_of_bd_hold_what_their_index_says() {
    check_index("bd", "\t", 5, |log| log.body.clone());
}

#[test]
fn bodies_of_claude_in_gt_hold_what_their_index_says() {
    check_index("claude-in-gt", "|", 5, |log| log.attributes.text("event.name").unwrap_or_else(|| log.body.clone()));
}

/// The numbers after `key` in the summary's section.
fn summed(summary: &str, section: &str, key: &str) -> usize {
    let key = Regex::new(&format!(r"^   \(.*?\) .*?{key}(\d+)")).unwrap();
    let lines = summary.lines().skip_while(|line| *line != section).skip(1).take_while(|line| line.starts_with(' '));
    lines.filter_map(|line| key.captures(line)).map(|found| found[1].parse::<usize>().unwrap()).sum()
}

#[test]
fn bodies_of_other_programs_hold_what_their_summaries_say() {
    let Some(dir) = fixtures() else { return };
    let mut checked = 0;
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(program) = name.strip_suffix(".summary.txt") else { continue };
        let summary = std::fs::read_to_string(&path).unwrap();
        let (_dir, store) = store_of(&bodies(&dir.join(program)));
        let stats = store.stats();
        let expected = (summed(&summary, "LOGS", "'n': "), summed(&summary, "METRICS", "pts="), summed(&summary, "SPANS", "n="));
        assert_eq!((stats.logs as usize, stats.points as usize, stats.spans as usize), expected, "{program}");
        checked += 1;
    }
    assert!(checked >= 8);
}

#[test]
fn every_capture_survives_sealing_and_reopening() {
    let Some(dir) = fixtures() else { return };
    let programs = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let all: Vec<PathBuf> = programs.flat_map(|program| bodies(&program)).collect();
    let (home, store) = store_of(&all);
    store.seal().unwrap();
    let again = Store::open_read_only(home.path()).unwrap();
    let stats = store.stats();
    // One of the programs gives the attribute `thread.id` twice.
    let is_known = |loss: &Loss| loss.kind == LossKind::Repaired && loss.example == "thread.id";
    let lost = |loss: &&Loss| matches!(loss.kind, LossKind::Refused | LossKind::Rejected | LossKind::Repaired) && !is_known(loss);
    assert_eq!(store.losses().iter().filter(lost).count(), 0, "{:?}", store.losses());
    assert_eq!(again.stats(), stats);
    assert_eq!(again.logs(TimeRange::ALL), store.logs(TimeRange::ALL));
    assert_eq!(again.points(TimeRange::ALL), store.points(TimeRange::ALL));
    assert_eq!(again.spans(TimeRange::ALL), store.spans(TimeRange::ALL));
}

#[test]
fn identities_of_real_rows_are_recognised() {
    let Some(dir) = fixtures().map(|dir| dir.join("gt")) else { return };
    let index = std::fs::read_to_string(dir.join("index.txt")).unwrap();
    let mut seen = 0;
    for line in index.lines().filter(|line| line.contains("from=") && !line.contains("from=-")) {
        let cells: Vec<&str> = line.split('\t').collect();
        let role = cells[4].trim_start_matches("from=");
        let home = tempfile::tempdir().unwrap();
        let store = Store::create(home.path(), Options::default()).unwrap();
        take_in(&store, &dir.join(cells[0]), Some(role));
        assert_eq!(store.stats().contradicted, 0, "{line}");
        take_in(&store, &dir.join(cells[0]), Some("nobody/polecats/here"));
        assert!(store.stats().contradicted > 0, "{line}");
        seen += 1;
    }
    assert!(seen > 10);
}

/// Programs that gt starts inside an agent say whose they are as gt does; nothing that was captured contradicts itself.
#[test]
fn no_real_row_contradicts_the_address_of_the_agent_that_it_names() {
    let Some(dir) = fixtures() else { return };
    let mut seen = BTreeMap::new();
    for path in ["gt", "gt/one-run", "bd", "claude-in-gt"].iter().flat_map(|folder| bodies(&dir.join(folder))) {
        let (_plain, store) = store_of(std::slice::from_ref(&path));
        let logs = store.logs(TimeRange::ALL);
        let points = store.points(TimeRange::ALL);
        let resources = logs.iter().map(|row| &row.resource).chain(points.iter().map(|point| &point.origin.resource));
        let Some(role) = resources.filter_map(|resource| resource.text("gt.role")).next() else { continue };
        let home = tempfile::tempdir().unwrap();
        let store = Store::create(home.path(), Options::default()).unwrap();
        take_in(&store, &path, Some(&role));
        assert_eq!(store.stats().contradicted, 0, "{} by the address of {role}", path.display());
        *seen.entry(role.rsplit('/').next().unwrap_or_default().to_owned()).or_insert(0) += 1;
    }
    for role in ["mayor", "refinery", "furiosa"] {
        assert!(seen.contains_key(role), "no row of a {role} was captured: {seen:?}");
    }
}
