//! Past runs of a reports folder: listing, finding one by name, pruning, and what a kept town is attached with.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use proctor_judge::evidence::{RunRecord, Time, path};
use serde_json::Value;

use crate::base::{ENVIRONMENT, RUNS};
use crate::clean;
use crate::scenario::problem::nearest;

/// The link to the newest run.
pub const LATEST: &str = "latest";

/// A past run.
#[derive(Clone, Debug, PartialEq)]
pub struct PastRun {
    /// Its folder.
    pub folder: PathBuf,
    /// Short id.
    pub id: String,
    /// When it began.
    pub started_at: Time,
    /// The scenario's name.
    pub scenario: String,
    /// The verdict in `summary.json`; `none` when it was never judged.
    pub outcome: String,
    /// From its begin to its end, in seconds; absent when it was killed.
    pub duration_s: Option<f64>,
}

/// The runs below a reports folder, newest first. A missing folder has none.
///
/// # Errors
/// When the folder cannot be read. Folders in it that are no runs are passed over.
pub fn list(reports: &Path) -> io::Result<Vec<PastRun>> {
    let entries = match fs::read_dir(reports) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut runs: Vec<PastRun> = folders.filter_map(|entry| past_run(&entry.path())).collect();
    runs.sort_by(|a, b| (b.started_at, &b.id).cmp(&(a.started_at, &a.id)));
    Ok(runs)
}

fn past_run(folder: &Path) -> Option<PastRun> {
    let record: RunRecord = serde_json::from_slice(&fs::read(folder.join("evidence").join(path::RUN)).ok()?).ok()?;
    let summary: Option<Value> = fs::read(folder.join("summary.json")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let outcome =
        summary.as_ref().and_then(|summary| summary.get("outcome")).and_then(Value::as_str).unwrap_or("none").to_owned();
    let duration_s = record.ended_at.map(|end| (end - record.started_at).as_seconds_f64());
    Some(PastRun {
        folder: folder.to_owned(),
        id: record.id,
        started_at: record.started_at,
        scenario: record.scenario,
        outcome,
        duration_s,
    })
}

/// The run that a person means: a folder, a short id, a folder's name, or `latest`.
///
/// # Errors
/// Not found, with the nearest id in the message.
pub fn find(reports: &Path, name: &str) -> io::Result<PathBuf> {
    let is_run = |folder: &Path| folder.join("evidence").is_dir();
    let as_path = Path::new(name);
    if is_run(as_path) {
        return Ok(as_path.to_owned());
    }
    let below = reports.join(name);
    if is_run(&below) {
        return below.canonicalize();
    }
    let runs = list(reports)?;
    if let Some(run) = runs.iter().find(|run| run.id == name) {
        return Ok(run.folder.clone());
    }
    let near = nearest(name, runs.iter().map(|run| run.id.as_str()).chain([LATEST]));
    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no run `{name}` in {}{near}", reports.display())))
}

/// Removes all but the newest `keep` runs; what was removed. `latest` goes when its run does.
///
/// # Errors
/// When a folder cannot be removed.
pub fn prune(reports: &Path, keep: usize) -> io::Result<Vec<PastRun>> {
    let old: Vec<PastRun> = list(reports)?.into_iter().skip(keep).collect();
    for run in &old {
        fs::remove_dir_all(&run.folder)?;
    }
    let latest = reports.join(LATEST);
    if latest.is_symlink() && !latest.exists() {
        fs::remove_file(latest)?;
    }
    Ok(old)
}

/// How to look at a town that was left alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attach {
    /// The base directory.
    pub base: PathBuf,
    /// The town's root.
    pub town: PathBuf,
    /// Whether any of its processes still runs.
    pub alive: bool,
    /// The environment to set, `KEY=VALUE`, so that `gt` and `bd` mean this town.
    pub environment: Vec<(String, String)>,
}

/// What a kept town of a run is attached with; absent when nothing of it is left.
pub fn attach(cache: &Path, id: &str) -> Option<Attach> {
    let left = clean::inspect(&cache.join(RUNS).join(id))?;
    let environment: BTreeMap<String, String> = serde_json::from_slice(&fs::read(left.base.join(ENVIRONMENT)).ok()?).ok()?;
    let town = left.base.join("town");
    Some(Attach { town, alive: !left.processes.is_empty(), base: left.base, environment: environment.into_iter().collect() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn put(reports: &Path, id: &str, second: i64) {
        let folder = reports.join(format!("{second}-{id}"));
        fs::create_dir_all(folder.join("evidence")).unwrap();
        let at = Time::from_timestamp(second, 0).unwrap();
        let record = serde_json::json!({"schema": 1, "id": id, "run_id": id, "scenario": "s", "title": "S", "town": "builtin", "models": "script",
            "seed": 42, "command": "", "started_at": at, "ended_at": at, "phases": [], "stopped": null, "delivery": null, "leftovers": [],
            "versions": {}, "notes": {}});
        fs::write(folder.join("evidence/run.json"), record.to_string()).unwrap();
    }

    #[test]
    fn runs_are_listed_newest_first_found_by_id_and_pruned() {
        let reports = tempfile::tempdir().unwrap();
        put(reports.path(), "aaaa", 10);
        put(reports.path(), "bbbb", 20);
        fs::create_dir(reports.path().join("something else")).unwrap();
        let ids: Vec<String> = list(reports.path()).unwrap().into_iter().map(|run| run.id).collect();
        assert_eq!(ids, ["bbbb", "aaaa"]);
        assert!(find(reports.path(), "aaaa").unwrap().ends_with("10-aaaa"));
        assert!(find(reports.path(), "aaab").unwrap_err().to_string().contains("did you mean `aaaa`?"));
        assert_eq!(prune(reports.path(), 1).unwrap()[0].id, "aaaa");
        assert_eq!(list(reports.path()).unwrap().len(), 1);
        assert!(reports.path().join("something else").exists(), "only runs are removed");
    }

    #[test]
    fn no_reports_folder_means_no_runs() {
        let nowhere = tempfile::tempdir().unwrap();
        assert_eq!(list(&nowhere.path().join("reports")).unwrap(), []);
    }
}
