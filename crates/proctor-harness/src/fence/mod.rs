//! Which process gets which fence: policy. How a fence is enforced is the crate `proctor-fence`'s.
//!
//! Everything of a town runs inside one fence (`town`), in which `agent-launch` starts each agent inside another one ([`agent`]).

pub mod agent;
pub(crate) mod programs;
pub(crate) mod record;
pub(crate) mod refusals;
pub(crate) mod town;

use std::path::{Path, PathBuf};

use proctor_fence::{Limits, Mode};
use proctor_judge::evidence::FenceMode;

use serde::{Deserialize, Serialize};

use crate::scenario::spec;

/// Folder of a base directory with a folder for each agent that has its own.
pub const AGENTS: &str = "agents";
/// Folder of a base directory where what was refused is recorded.
pub const REFUSED: &str = "refused";
/// The file in it with what agents left behind when they ended.
pub const LEFT: &str = "left.ndjson";

/// A process that outlived its agent and was ended by `agent-launch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftBehind {
    /// The agent.
    pub agent: String,
    /// The process.
    pub pid: u32,
    /// Its command line.
    pub command: String,
}

/// What every program needs to read.
const SYSTEM: [&str; 12] =
    ["/usr", "/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/etc", "/opt", "/proc", "/sys", "/dev"];

fn system() -> impl Iterator<Item = PathBuf> {
    SYSTEM.iter().map(PathBuf::from).filter(|path| path.exists())
}

/// Whether a folder can stay unread: one that holds what every program needs cannot.
pub(crate) fn can_be_kept(folder: &Path) -> bool {
    system().all(|path| !path.starts_with(folder) && !folder.starts_with(path))
}

fn mode(mode: FenceMode) -> Mode {
    match mode {
        FenceMode::On => Mode::On,
        FenceMode::Warn => Mode::Warn,
        FenceMode::Off => Mode::Off,
    }
}

/// A scenario's limits, as a fence states them.
pub fn limits(limits: &spec::Limits) -> Limits {
    Limits {
        memory: Some(limits.memory.0),
        processes: Some(limits.processes),
        open_files: Some(limits.open_files),
        file_size: Some(limits.file_size.0),
        cpu_seconds: Some(limits.cpu_time.0.as_secs().max(1)),
    }
}

/// The folder of an agent's own below a base directory.
pub fn own_folder(base: &Path, agent: &str) -> PathBuf {
    base.join(AGENTS).join(agent.replace('/', "+"))
}
