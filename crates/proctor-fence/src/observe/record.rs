//! The file of refusals.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Different refusals that are written down; further ones are counted.
const MOST: usize = 1000;

/// One line of the file: something that was refused, or, in a fence that only warns, would be. The same refusal is written
/// once when it comes first and once more at the end, when it came again: whoever reads adds up `count`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// When.
    pub at: DateTime<Utc>,
    /// The process.
    pub pid: u32,
    /// The file of its program.
    pub program: String,
    /// What it tried.
    pub what: Tried,
    /// The path, address, process or system call. Of what is only counted: empty.
    pub target: String,
    /// How often.
    pub count: u64,
    /// Whether nothing is seen inside at the path: whether it was refused or is nowhere, whoever sees the path outside can tell.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unseen: bool,
    /// Of a signal, or of a look into a process: that process, and those that it descends from, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<u32>,
    /// The agent that it is attributed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// What a process tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tried {
    /// To change a file, or what is said about it.
    Write,
    /// To read or execute a file.
    Read,
    /// To connect to an address.
    Connect,
    /// To bind an address.
    Bind,
    /// To signal a process.
    Signal,
    /// The same, and the fence lets it through: it was for a process that is not one's own.
    Signalled,
    /// To start one more process than the limit.
    Process,
    /// A system call that is never allowed.
    Call,
    /// Something different: there were too many to name.
    More,
}

/// What a call wants and may not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) what: Tried,
    pub(crate) target: String,
    pub(crate) unseen: bool,
    pub(crate) to: Vec<u32>,
}

impl Refused {
    /// Something that is there, or is no path.
    pub(crate) fn new(what: Tried, target: impl Into<String>) -> Self {
        Self { what, target: target.into(), unseen: false, to: Vec::new() }
    }
}

/// Writes down what is refused, each once.
pub(crate) struct Record {
    file: Option<File>,
    agent: Option<String>,
    clock: fn() -> DateTime<Utc>,
    /// The refusals so far, and how often they came since they were written.
    seen: BTreeMap<(String, Tried, String), (Refusal, u64)>,
}

impl Record {
    /// Appends to this file. One that cannot be opened is not written.
    pub(crate) fn new(path: Option<&Path>, agent: Option<String>, clock: fn() -> DateTime<Utc>) -> Self {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        Self { file: path.and_then(|path| options.open(path).ok()), agent, clock, seen: BTreeMap::new() }
    }

    /// Writes down a refusal, if it is new.
    pub(crate) fn note(&mut self, pid: u32, program: String, refused: Refused) {
        let (program, refused) =
            if self.seen.len() < MOST { (program, refused) } else { (String::new(), Refused::new(Tried::More, "")) };
        let key = (program.clone(), refused.what, refused.target.clone());
        if let Some((_, again)) = self.seen.get_mut(&key) {
            *again += 1;
            return;
        }
        let Refused { what, target, unseen, to } = refused;
        let (at, agent) = ((self.clock)(), self.agent.clone());
        let refusal = Refusal { at, pid, program, what, target, count: 1, unseen, to, agent };
        write(self.file.as_mut(), &refusal);
        self.seen.insert(key, (refusal, 0));
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        for (refusal, again) in self.seen.values().filter(|(_, again)| *again > 0) {
            let again = Refusal { count: *again, at: (self.clock)(), ..refusal.clone() };
            write(self.file.as_mut(), &again);
        }
    }
}

/// Appends one line in one write, so that lines of several parents stay whole.
fn write(file: Option<&mut File>, refusal: &Refusal) {
    let Some(file) = file else { return };
    if let Ok(mut line) = serde_json::to_vec(refusal) {
        line.push(b'\n');
        // A full disk must not stop the program that asks.
        _ = file.write_all(&line);
    }
}
