//! What fences refused and what agents left behind, as the files of `B/refused` say it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proctor_fence::Tried;
use proctor_judge::evidence::Refusal;
use serde::de::DeserializeOwned;

use super::{LEFT, LeftBehind};

/// Bytes read of one file: a program that is refused without end must not fill the evidence.
const LIMIT: usize = 4 << 20;

/// What was left behind.
pub(crate) fn left(folder: &Path) -> Vec<LeftBehind> {
    lines(&folder.join(LEFT))
}

/// What was refused, every refusal of one thing to one program of one agent in one row, in the order of the first.
pub(crate) fn read(folder: &Path) -> Vec<Refusal> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut rows: BTreeMap<(Option<String>, String, String, String), Refusal> = BTreeMap::new();
    for said in files.filter(|file| !file.ends_with(LEFT)).flat_map(|file| lines::<proctor_fence::Refusal>(&file)) {
        let refusal = row(said);
        let key = (refusal.agent.clone(), refusal.program.clone(), refusal.tried.clone(), refusal.target.clone());
        rows.entry(key)
            .and_modify(|row| {
                row.at = row.at.min(refusal.at);
                row.count += refusal.count;
            })
            .or_insert(refusal);
    }
    let mut rows: Vec<Refusal> = rows.into_values().collect();
    rows.sort_by_key(|row| row.at);
    rows
}

fn row(said: proctor_fence::Refusal) -> Refusal {
    let proctor_fence::Refusal { at, program, what, target, count, agent, .. } = said;
    Refusal { at, agent, program, tried: word(what).to_owned(), target, count }
}

fn word(tried: Tried) -> &'static str {
    match tried {
        Tried::Write => "write",
        Tried::Read => "read",
        Tried::Connect => "connect",
        Tried::Bind => "bind",
        Tried::Signal => "signal",
        Tried::Process => "process",
        Tried::Call => "call",
        Tried::More => "more",
    }
}

fn lines<T: DeserializeOwned>(file: &Path) -> Vec<T> {
    let bytes = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(bytes.get(..LIMIT).unwrap_or(&bytes)).into_owned();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn refusals_of_one_thing_are_one_row() {
        let folder = tempfile::tempdir().unwrap();
        let row = |at: u32, agent: &str, target: &str| {
            format!(
                r#"{{"at":"2026-01-02T03:04:{at:02}Z","agent":"{agent}","pid":7,"program":"/bin/cat","what":"read","target":"{target}","count":1}}"#
            )
        };
        let text = [row(7, "a", "/x"), row(5, "a", "/x"), row(6, "a", "/y"), "cut".into()].join("\n");
        fs::write(folder.path().join("a.ndjson"), text).unwrap();
        fs::write(folder.path().join("b.ndjson"), row(1, "b", "/x")).unwrap();
        fs::write(folder.path().join(LEFT), r#"{"agent":"a","pid":7,"command":"sleep 9"}"#).unwrap();
        let rows = read(folder.path());
        let seen: Vec<_> = rows.iter().map(|row| (row.agent.as_deref().unwrap(), row.target.as_str(), row.count)).collect();
        assert_eq!(seen, [("b", "/x", 1), ("a", "/x", 2), ("a", "/y", 1)]);
        assert_eq!(left(folder.path()).len(), 1);
    }
}
