//! What a machine has of what a run needs, looked at before anything starts.
//!
//! Every line says what was looked at, what was found, and what a person can do. Nothing is changed, nothing is started but
//! programs that say their version, and `true` in a namespace.

mod fence;
mod machine;
mod programs;
mod sockets;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::clean::{self, Left};
use crate::halt::Halt;
use crate::town::TownKind;

/// How a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As a run needs it.
    Good,
    /// A run works, and this is worth knowing.
    Doubtful,
    /// A run ends as an environment error.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What it belongs to: `programs`, `machine`, `leftovers`.
    pub group: &'static str,
    /// What was looked at: `bd`, `disk of the reports`.
    pub what: String,
    /// How it stands.
    pub state: State,
    /// What was found, and why it will not do.
    pub found: String,
    /// What a person can do; empty when there is nothing to do.
    #[serde(rename = "do")]
    pub advice: String,
}

impl Line {
    fn new(group: &'static str, what: impl Into<String>, state: State, found: impl Into<String>) -> Self {
        Self { group, what: what.into(), state, found: found.into(), advice: String::new() }
    }

    fn advice(mut self, text: impl Into<String>) -> Self {
        self.advice = text.into();
        self
    }
}

/// Where to look.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// Proctor's folder in the user's cache.
    pub cache: &'a Path,
    /// The folder of the runs' folders.
    pub reports: &'a Path,
    /// An empty folder that programs get as their home.
    pub home: &'a Path,
    /// The user's environment.
    pub environment: &'a BTreeMap<String, String>,
}

/// Looks at everything that a run on this town needs.
///
/// # Errors
/// When `home` cannot be written or the cache not be read.
pub async fn examine(town: TownKind, places: Places<'_>) -> Result<Vec<Line>, Halt> {
    let real = town == TownKind::Gastown;
    let mut lines = programs::lines(real, places).await?;
    lines.extend(machine::disks(places));
    lines.extend(machine::ports(real));
    lines.push(machine::watches());
    lines.push(sockets::length(places.cache));
    if real {
        lines.push(sockets::tmux());
    }
    lines.push(machine::namespaces(places.environment).await);
    lines.extend(fence::lines(&proctor_fence::support()));
    lines.extend(leftovers(&clean::find(places.cache)?.left));
    if real {
        lines.extend(sockets::breakers());
    }
    Ok(lines)
}

/// Whether a run can be made.
pub fn fit(lines: &[Line]) -> bool {
    lines.iter().all(|line| line.state != State::Missing)
}

fn leftovers(left: &[Left]) -> Vec<Line> {
    if left.is_empty() {
        return vec![Line::new("leftovers", "earlier runs", State::Good, "nothing is left of them")];
    }
    left.iter().map(leftover).collect()
}

fn leftover(left: &Left) -> Line {
    let what = format!("run {}", left.id);
    if left.in_progress {
        return Line::new("leftovers", what, State::Good, "is in progress");
    }
    let processes = match left.processes.len() {
        0 => "no process".to_owned(),
        1 => "1 process".to_owned(),
        n => format!("{n} processes"),
    };
    let found = format!("{processes} and {:.1} MB in {}", left.bytes as f64 / 1e6, left.base.display());
    Line::new("leftovers", what, State::Doubtful, found).advice(format!("proctor clean {}", left.id))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::clean::LeftProcess;

    fn left(in_progress: bool, processes: usize) -> Left {
        let process = |pid| LeftProcess { pid, started: 1, command: "sleep 9".into(), agent: None };
        Left {
            id: "7k3f".into(),
            base: "/base".into(),
            in_progress,
            processes: (0..processes as u32).map(process).collect(),
            bytes: 2_500_000,
        }
    }

    #[test]
    fn what_a_run_left_is_said_with_the_command_that_removes_it() {
        let line = leftover(&left(false, 2));
        assert_eq!((line.state, line.advice.as_str()), (State::Doubtful, "proctor clean 7k3f"));
        assert_eq!(line.found, "2 processes and 2.5 MB in /base");
        assert_eq!(leftover(&left(true, 9)).state, State::Good);
        assert_eq!(leftovers(&[])[0].state, State::Good);
    }

    #[test]
    fn one_thing_missing_is_enough() {
        let line = |state| Line::new("programs", "x", state, "y");
        assert!(fit(&[line(State::Good), line(State::Doubtful)]));
        assert!(!fit(&[line(State::Good), line(State::Missing)]));
    }

    #[tokio::test]
    async fn without_any_program_every_missing_one_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let environment = BTreeMap::from([("PATH".to_owned(), folder.path().display().to_string())]);
        let places = Places { cache: folder.path(), reports: folder.path(), home: folder.path(), environment: &environment };
        let lines = examine(TownKind::Gastown, places).await.unwrap();
        for name in ["git", "python3", "gt", "bd", "dolt", "tmux"] {
            let line = lines.iter().find(|line| line.what == name).unwrap_or_else(|| panic!("{name} in {lines:?}"));
            assert_eq!((line.state, line.advice.is_empty()), (State::Missing, false), "{line:?}");
        }
        assert!(!fit(&lines));
        let builtin = examine(TownKind::Builtin, places).await.unwrap();
        assert!(!builtin.iter().any(|line| ["gt", "bd", "dolt", "tmux"].contains(&line.what.as_str())), "{builtin:?}");
    }
}
