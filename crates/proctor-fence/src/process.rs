//! A program to start inside a fence, and how it ended.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Missing;

/// A program to start. It has the standard streams, the process group and the session of its parent.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program; one without a slash is looked for in its own `PATH`.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub env: BTreeMap<OsString, OsString>,
    /// Its working directory; absent: the parent's.
    pub cwd: Option<PathBuf>,
    /// How long what is left when it has ended may take to end after SIGTERM, before SIGKILL.
    pub grace: Duration,
    /// What states the time of a refusal.
    pub clock: fn() -> DateTime<Utc>,
}

/// How a program ended. As JSON it is what `proctor-fence --report FILE` writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How its main process ended.
    pub status: Status,
    /// What it had started and was still there then, now ended.
    pub leftovers: Vec<Leftover>,
    /// What the kernel did not give.
    pub missing: Vec<Missing>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// A process that outlived the program that it stems from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// Its id.
    pub pid: u32,
    /// When it began, in clock ticks since boot: with the id, names one process for ever.
    pub started: u64,
    /// Its command line, words separated by spaces; its name in brackets when it has none.
    pub command: String,
}
