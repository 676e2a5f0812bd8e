//! What a fence lets through.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a program and everything that it starts may do. Its JSON form is stated in `docs/seams.md`.
///
/// A fence inside a fence allows what both allow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fence {
    /// Whether it is enforced.
    pub mode: Mode,
    /// Folders and files that may be read and executed, folders with all below them. What does not exist is passed over.
    pub read: Vec<PathBuf>,
    /// Folders and files that may be read, executed and changed, folders with all below them. They must exist.
    pub write: Vec<PathBuf>,
    /// Devices that may be read and written; absent: [`Fence::DEVICES`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<PathBuf>>,
    /// TCP ports that may be connected to, on any address.
    pub connect: Vec<u16>,
    /// TCP ports that may be bound; 0 is a port of the kernel's choice.
    pub bind: Vec<u16>,
    /// Whether datagrams may be sent and received, to any address: what resolving names needs. Landlock cannot limit them.
    pub udp: bool,
    /// Which processes may be signalled.
    #[serde(skip_serializing_if = "Signals::is_inside")]
    pub signals: Signals,
    /// What may be used up.
    pub limits: Limits,
    /// The namespaces that are tried for; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Namespaces>,
    /// The file that the parent outside appends what was refused to, one JSON line each; absent: nobody observes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusals: Option<PathBuf>,
    /// The agent that refusals are attributed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// Whether a fence is enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is.
    #[default]
    On,
    /// It is not; what it would have refused is recorded.
    Warn,
    /// It is not, and nothing is recorded.
    Off,
}

/// Which processes may be signalled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signals {
    /// Those inside this fence.
    #[default]
    Inside,
    /// Those that a fence around this one allows, else all of this user's.
    Open,
}

impl Signals {
    fn is_inside(&self) -> bool {
        *self == Self::Inside
    }
}

/// What a program may use up. Absent: as much as its parent. As limits of the kernel they hold for each process by itself
/// and cannot be raised inside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of memory that a process may write to (`RLIMIT_DATA`). The limit of address space is not used: Node, Go and
    /// Java reserve far more of that than they ever touch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Processes below the fence together; threads are not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// Open descriptors of a process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Bytes of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_size: Option<u64>,
    /// Seconds of processor time of a process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<u64>,
}

/// Namespaces of mounts and of System V IPC. With them `/tmp`, `/var/tmp`, `/dev/shm` and `/run` are empty folders of the
/// fence's own, and everything outside `write` is mounted read-only, so that modes, owners and times cannot be changed.
/// What `read` and `write` list below a hidden folder is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Namespaces {
    /// Folders that look empty besides, such as the operator's home; what `read` and `write` list below them is kept.
    pub hide: Vec<PathBuf>,
    /// Folders and files that are seen at another place besides. They need not be listed in `read` or `write`.
    pub bind: Vec<Bind>,
    /// Whether the program gets a PID namespace: it sees no process but its own, and all of them end with it.
    pub processes: bool,
    /// Whether it gets a network namespace: it reaches no address at all, its own included.
    pub network: bool,
}

/// A folder or file that is seen at another place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bind {
    /// What it is outside.
    pub source: PathBuf,
    /// Where it is inside: below `/tmp`, `/var/tmp`, `/dev/shm` or a hidden folder, where its place is made, or an existing path.
    pub target: PathBuf,
    /// Whether it may be changed.
    #[serde(default)]
    pub write: bool,
}

impl Fence {
    /// The devices that ordinary programs need.
    pub const DEVICES: [&str; 8] =
        ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts"];

    /// Reads a fence.
    ///
    /// # Errors
    /// When the text is no JSON of this form.
    pub fn from_json(text: &str) -> Result<Self, FenceError> {
        serde_json::from_str(text).map_err(|error| FenceError::Form(error.to_string()))
    }

    /// The fence as JSON, on one line.
    ///
    /// # Errors
    /// When a path is not UTF-8, which JSON cannot say.
    pub fn to_json(&self) -> Result<String, FenceError> {
        serde_json::to_string(self).map_err(|error| FenceError::Form(error.to_string()))
    }

    /// The devices that may be used.
    pub fn devices(&self) -> Vec<PathBuf> {
        self.devices.clone().unwrap_or_else(|| Self::DEVICES.map(PathBuf::from).to_vec())
    }
}

/// Why a program cannot be run inside a fence.
#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    /// The fence cannot be read.
    #[error("the fence is not of the form that is expected: {0}")]
    Form(String),
    /// A path that must exist cannot be opened.
    #[error("the fence lists {path} in `{key}`, which cannot be opened: {reason}")]
    Path {
        /// The key.
        key: &'static str,
        /// The path.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A step that every kernel can do failed.
    #[error("cannot set up the fence: {step}: {reason}")]
    Step {
        /// What was tried.
        step: String,
        /// Why it failed.
        reason: String,
    },
    /// The program cannot be started.
    #[error("cannot start {program}: {reason}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        reason: String,
    },
    /// A process with several threads cannot fork and go on.
    #[error("this process has {0} threads; a fence is set up by a process with one")]
    Threads(usize),
}

impl FenceError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Form(_) => Some("the form is stated in docs/seams.md, \"Fence\""),
            Self::Path { .. } => Some("make it before, or take it out of the list"),
            Self::Start { .. } => Some("the fence must list the program, its interpreter and its libraries in `read`"),
            Self::Step { .. } | Self::Threads(_) => None,
        }
    }

    pub(crate) fn step(step: impl Into<String>, reason: impl ToString) -> Self {
        Self::Step { step: step.into(), reason: reason.to_string() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_is_left_out_lets_nothing_through() {
        let fence = Fence::from_json("{}").unwrap();
        assert_eq!(fence, Fence::default());
        assert_eq!(fence.mode, Mode::On);
        assert!(fence.read.is_empty() && fence.connect.is_empty() && fence.devices().len() == 8);
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = Fence::from_json(r#"{"reed":["/usr"]}"#).unwrap_err().to_string();
        assert!(error.contains("reed"), "{error}");
    }

    #[test]
    fn a_fence_survives_being_written_down() {
        let text = r#"{"mode":"warn","read":["/usr"],"write":["/tmp/x"],"connect":[80],"limits":{"memory":1},"namespaces":{"hide":["/home/a"]}}"#;
        let fence = Fence::from_json(text).unwrap();
        assert_eq!(Fence::from_json(&fence.to_json().unwrap()).unwrap(), fence);
    }
}
