//! What fences refused and what agents left behind, as the files of `B/refused` say it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proctor_fence::Tried;
use proctor_judge::evidence::{AgentId, Refusal};
use serde::de::DeserializeOwned;

use super::{LEFT, LeftBehind};
use crate::launch::SessionStart;

/// Bytes read of one file: a program that is refused without end must not fill the evidence.
const LIMIT: usize = 4 << 20;

/// What was left behind.
pub(crate) fn left(folder: &Path) -> Vec<LeftBehind> {
    lines(&folder.join(LEFT))
}

/// The launchers of agents, by their ids.
pub(crate) fn launchers(sessions: &Path) -> BTreeMap<u32, AgentId> {
    lines::<SessionStart>(sessions).into_iter().map(|start| (start.pid, start.agent)).collect()
}

/// What was refused, every refusal of one thing to one program of one agent in one row, in the order of the first. `launchers` tells whose
/// the processes are that signals were for.
pub(crate) fn read(folder: &Path, launchers: &BTreeMap<u32, AgentId>) -> Vec<Refusal> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut rows: BTreeMap<(Option<String>, String, String, String), Refusal> = BTreeMap::new();
    let said = files.filter(|file| !file.ends_with(LEFT)).flat_map(|file| lines::<proctor_fence::Refusal>(&file));
    for refusal in said.filter_map(|said| row(said, launchers)) {
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

/// The row of what a fence wrote down; absent where it concerns nobody: a path that is nowhere, a signal among an agent's own.
fn row(said: proctor_fence::Refusal, launchers: &BTreeMap<u32, AgentId>) -> Option<Refusal> {
    if said.unseen && !is_there(said.what, Path::new(&said.target)) {
        return None;
    }
    let whom = said.to.iter().find_map(|pid| launchers.get(pid)).cloned();
    let proctor_fence::Refusal { at, program, what, target, count, agent, .. } = said;
    let concerns_another = whom.is_some() && whom.as_deref() != agent.as_deref();
    (what != Tried::Signalled || concerns_another).then(|| Refusal {
        at,
        agent,
        program,
        tried: word(what).to_owned(),
        target,
        count,
        whom,
    })
}

/// Whether something is at a path that a fence hides, or, of what would be written, whether there is a place for it.
fn is_there(what: Tried, path: &Path) -> bool {
    path.exists() || (what != Tried::Read && path.parent().is_some_and(Path::exists))
}

fn word(tried: Tried) -> &'static str {
    match tried {
        Tried::Write => "write",
        Tried::Read => "read",
        Tried::Connect => "connect",
        Tried::Bind => "bind",
        Tried::Signal => proctor_judge::evidence::SIGNAL,
        Tried::Signalled => proctor_judge::evidence::SIGNALLED,
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
        let rows = read(folder.path(), &BTreeMap::new());
        let seen: Vec<_> = rows.iter().map(|row| (row.agent.as_deref().unwrap(), row.target.as_str(), row.count)).collect();
        assert_eq!(seen, [("b", "/x", 1), ("a", "/x", 2), ("a", "/y", 1)]);
        assert_eq!(left(folder.path()).len(), 1);
    }

    #[test]
    fn what_nothing_is_seen_of_inside_counts_where_it_is_there_outside() {
        let folder = tempfile::tempdir().unwrap();
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("evidence"), "x").unwrap();
        let row = |what: &str, name: &str| {
            let target = place.path().join(name).display().to_string();
            format!(
                r#"{{"at":"2026-01-02T03:04:05Z","agent":"a","pid":7,"program":"/bin/cat","what":"{what}","target":"{target}","count":1,"unseen":true}}"#
            )
        };
        let all = [
            row("read", "evidence"),
            row("read", "nowhere"),
            row("write", "evidence"),
            row("write", "new"),
            row("write", "no/place"),
        ];
        fs::write(folder.path().join("a.ndjson"), all.join("\n")).unwrap();
        let rows = read(folder.path(), &BTreeMap::new());
        let seen: Vec<(&str, &str)> =
            rows.iter().map(|row| (row.tried.as_str(), row.target.rsplit('/').next().unwrap())).collect();
        assert_eq!(seen, [("read", "evidence"), ("write", "evidence"), ("write", "new")]);
    }

    #[test]
    fn a_signal_names_the_agent_that_it_was_for() {
        let folder = tempfile::tempdir().unwrap();
        let row = |what: &str, agent: &str, to: &str| {
            format!(
                r#"{{"at":"2026-01-02T03:04:05Z","agent":"{agent}","pid":7,"program":"/bin/kill","what":"{what}","target":"SIGKILL to {to}","count":1,"to":[{to}]}}"#
            )
        };
        let all = [
            row("signal", "north/polecats/a", "31,30,1"),
            row("signal", "north/polecats/a", "99,1"),
            row("signalled", "north/polecats/a", "30,1"),
            row("signalled", "south/polecats/b", "31,30,1"),
            row("signalled", "north/polecats/a", "99,1"),
        ];
        fs::write(folder.path().join("a.ndjson"), all.join("\n")).unwrap();
        let launchers = BTreeMap::from([(30, "south/polecats/b".into())]);
        let rows = read(folder.path(), &launchers);
        let seen: Vec<_> = rows.iter().map(|row| (row.tried.as_str(), row.whom.as_deref())).collect();
        assert_eq!(seen, [("signal", Some("south/polecats/b")), ("signal", None), ("signalled", Some("south/polecats/b"))]);
    }
}
