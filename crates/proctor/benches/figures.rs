//! The figures Proctor promises, measured on whole runs of the release binary and printed as a Markdown table.
//!
//! `cargo bench -p proctor --bench figures [-- RUNS]`. One run is not counted: it makes the Python environment. Everything else is
//! as a user meets it: a fresh town, a fresh store, real processes. `docs/benchmarks.md` holds the last table.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    reason = "a benchmark prints its table and stops at the first surprise"
)]
#![allow(missing_docs, reason = "a benchmark has no readers of its interface")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::Value;

/// What one run showed.
struct Sample {
    phases_1_to_5_s: f64,
    whole_run_s: f64,
    notice_ms: f64,
    memory_mib: f64,
    store_open_ms: f64,
    records: u64,
}

fn main() {
    // `cargo bench` adds `--bench`; the only argument of ours is a number.
    let runs: usize = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(5);
    let scratch = tempfile::tempdir().expect("a temporary folder");
    eprintln!("one run that is not counted …");
    measure(scratch.path());
    let samples: Vec<Sample> = (1..=runs)
        .map(|number| {
            eprintln!("run {number} of {runs} …");
            measure(scratch.path())
        })
        .collect();
    print_table(&samples);
}

fn measure(scratch: &Path) -> Sample {
    let reports = scratch.join("reports");
    let mut run = Command::new(env!("CARGO_BIN_EXE_proctor"))
        .args(["run", "crypto-tales", "--reports"])
        .arg(&reports)
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the binary starts");
    let memory_mib = watch_memory(&mut run);
    let status = run.wait().expect("the run ends");
    assert!(status.success(), "the run did not pass: {status}");
    let folder = fs::canonicalize(reports.join("latest")).expect("reports/latest");
    let (store_open_ms, records) = open_store(&folder);
    let summary: Value = read_json(&folder.join("summary.json"));
    Sample {
        phases_1_to_5_s: phases_1_to_5(&summary),
        whole_run_s: summary["run"]["duration_s"].as_f64().expect("duration"),
        notice_ms: notice(&folder, &summary),
        memory_mib,
        store_open_ms,
        records,
    }
}

/// Seconds from the beginning of phase 1 to the end of phase 5.
fn phases_1_to_5(summary: &Value) -> f64 {
    let phases = summary["phases"].as_array().expect("phases");
    let begin = time(&phases[0]["started_at"]);
    let fifth = phases.iter().find(|phase| phase["number"] == 5).expect("phase 5");
    let last = time(&fifth["started_at"]);
    (last - begin).as_seconds_f64() + fifth["duration_s"].as_f64().expect("duration")
}

/// Milliseconds from the last change in the town or in git that landing needed to the moment all clauses were seen to hold.
fn notice(folder: &Path, summary: &Value) -> f64 {
    let noticed =
        summary["landed"].as_array().expect("clauses").iter().map(|clause| time(&clause["first_true"])).max().expect("a clause");
    let closed =
        rows(&folder.join("evidence/town/convoys.ndjson")).iter().map(|row| time(&row["closed_at"])).max().expect("a convoy");
    let idle = rows(&folder.join("evidence/town/sessions.ndjson"))
        .iter()
        .filter(|row| row["role"] == "polecat" && !row["ended_at"].is_null())
        .map(|row| time(&row["ended_at"]))
        .filter(|ended| *ended <= noticed)
        .max();
    let truth = idle.map_or(closed, |idle| idle.max(closed));
    (noticed - truth).as_seconds_f64() * 1000.0
}

fn open_store(folder: &Path) -> (f64, u64) {
    let begin = Instant::now();
    let store = proctor_store::Store::open_read_only(&folder.join("evidence/telemetry")).expect("the store opens");
    let opened = begin.elapsed().as_secs_f64() * 1000.0;
    let stats = store.stats();
    (opened, stats.logs + stats.points + stats.spans)
}

/// Largest sum of proportional memory of Proctor's own processes, agents not counted, sampled until the run ends.
fn watch_memory(run: &mut Child) -> f64 {
    let mut most = 0;
    while run.try_wait().expect("the run can be waited for").is_none() {
        most = most.max(own_memory_kib(run.id()));
        std::thread::sleep(Duration::from_millis(20));
    }
    most as f64 / 1024.0
}

fn own_memory_kib(run: u32) -> u64 {
    let own = fs::canonicalize(env!("CARGO_BIN_EXE_proctor")).expect("the binary");
    processes().filter(|pid| *pid == run || is_own(*pid, &own)).filter_map(proctor_harness::linux::proportional_memory_kib).sum()
}

/// Whether a process is Proctor under one of its names and not an agent.
fn is_own(pid: u32, own: &Path) -> bool {
    let runs_us = fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == own);
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let name = command.split(|byte| *byte == 0).next().map(|first| PathBuf::from(String::from_utf8_lossy(first).into_owned()));
    runs_us && !name.is_some_and(|name| name.ends_with("proctor-agent"))
}

fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").expect("/proc").flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn print_table(samples: &[Sample]) {
    let figures: BTreeMap<u8, (&str, f64, Vec<f64>)> = BTreeMap::from([
        (1, ("phases 1 to 5 together, s", 0.5, samples.iter().map(|s| s.phases_1_to_5_s).collect())),
        (2, ("landing noticed after the last change, ms", 50.0, samples.iter().map(|s| s.notice_ms).collect())),
        (3, ("whole run, exercises included, s", 10.0, samples.iter().map(|s| s.whole_run_s).collect())),
        (4, ("PSS of Proctor's own processes at its peak, MiB", 60.0, samples.iter().map(|s| s.memory_mib).collect())),
        (5, ("store of the run opened, ms", 100.0, samples.iter().map(|s| s.store_open_ms).collect())),
    ]);
    println!("| figure ({} runs) | limit | min | median | max | reached |", samples.len());
    println!("|---|---|---|---|---|---|");
    for (name, limit, values) in figures.into_values() {
        let (min, median, max) = spread(values);
        println!(
            "| {name} | {limit} | {min:.2} | {median:.2} | {max:.2} | {} |",
            if max <= limit {
                "yes"
            } else if median <= limit {
                "median only"
            } else {
                "no"
            }
        );
    }
    println!("\nrecords in the store opened: {}", samples.first().map_or(0, |sample| sample.records));
}

fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[0], values[values.len() / 2], values[values.len() - 1])
}

fn rows(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("evidence");
    text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

fn read_json(file: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(file).expect("a file")).expect("JSON")
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().expect("a time").parse().expect("RFC 3339")
}
