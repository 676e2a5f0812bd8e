//! What a command is given and what it gives back.
//!
//! Everything a command may know of its surroundings is in a [`Call`]: arguments, environment, working directory, standard
//! input, time and randomness.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::Telemetry;
use crate::caller::Caller;
use crate::emission::Outlet;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Makes the ids of sessions (`GT_RUN`): unique strings, UUIDs in production.
pub type RunIds = Arc<dyn Fn() -> String + Send + Sync>;

/// One command line with everything around it.
pub struct Call {
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// The environment of the calling process.
    pub env: BTreeMap<String, String>,
    /// Its working directory, absolute.
    pub cwd: PathBuf,
    /// Its standard input; read only by commands that say so (`--stdin`, `prime --hook`).
    pub stdin: Box<dyn Read + Send>,
    /// The time.
    pub clock: Clock,
    /// Randomness: ids of sessions. Ids of beads come from `PROCTOR_SEED` instead, so that runs repeat.
    pub run_ids: RunIds,
    /// Where events and measurements go.
    pub telemetry: Telemetry,
}

impl Call {
    pub(crate) fn caller(&self) -> Caller {
        Caller {
            env: self.env.clone(),
            cwd: self.cwd.clone(),
            clock: Arc::clone(&self.clock),
            run_ids: Arc::clone(&self.run_ids),
            telemetry: Outlet::Own(self.telemetry.clone()),
            merge_token: None,
            daemon: None,
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("args", &self.args).field("cwd", &self.cwd).finish_non_exhaustive()
    }
}

/// What a command wants printed, and its exit code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// For standard output, with its final newline.
    pub stdout: String,
    /// For standard error, with its final newline.
    pub stderr: String,
    /// Exit code: 0 success, 1 failure.
    pub code: u8,
}
