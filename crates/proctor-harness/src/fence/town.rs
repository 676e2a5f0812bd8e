//! The fence around a whole town: its daemon, its database and terminals, and the harness's own calls of its programs.

use std::path::{Path, PathBuf};

use proctor_fence::{Fence, Mode, Namespaces};

use super::{AGENTS, LEFT, REFUSED, limits, programs, system};
use crate::launch::{AGENT_TABLE, SESSIONS_FILE};
use crate::scenario::Spec;

/// What a town's fence is made from.
#[derive(Clone, Debug)]
pub(crate) struct Ground<'a> {
    /// The run's base directory.
    pub(crate) base: &'a Path,
    /// The scenario.
    pub(crate) spec: &'a Spec,
    /// Proctor's own program.
    pub(crate) proctor: &'a Path,
    /// The other programs that take part: the town's, the agents'.
    pub(crate) programs: &'a [PathBuf],
    /// Folders of the operator's that stay unread: the home, the cache, the reports.
    pub(crate) kept: &'a [PathBuf],
    /// The ports of the run's listeners and of the town's own servers.
    pub(crate) connect: &'a [u16],
    /// The ports that the town's own servers listen on.
    pub(crate) bind: &'a [u16],
    /// Folders besides that the town writes to.
    pub(crate) write: &'a [PathBuf],
}

/// What a town writes to; everything is made before the fence is.
const WRITTEN: [&str; 6] = ["town", "home", "tmp", "rt", AGENTS, REFUSED];
/// What a town reads besides, as far as it is there.
const READ: [&str; 3] = ["bin", "scenario", AGENT_TABLE];

/// The folders and files that must be there before the fence is made.
pub(crate) fn written() -> (Vec<String>, Vec<String>) {
    let files = [AGENT_TABLE.to_owned(), SESSIONS_FILE.to_owned(), format!("{REFUSED}/{LEFT}")];
    (WRITTEN.map(str::to_owned).to_vec(), files.to_vec())
}

/// The fence. What is refused inside it is not recorded here: only one parent of a process can be asked about it, and that is the one of
/// an agent's own fence.
pub(crate) fn fence(ground: &Ground<'_>) -> Fence {
    let below = |name: &str| ground.base.join(name);
    let mut read: Vec<PathBuf> = system().collect();
    read.extend(READ.map(below));
    read.push(ground.proctor.to_owned());
    read.extend(ground.programs.iter().flat_map(|program| programs::readable(program, ground.kept)));
    let mut write: Vec<PathBuf> = WRITTEN.map(below).to_vec();
    write.push(below(SESSIONS_FILE));
    write.extend(ground.write.iter().cloned());
    let mut connect = ground.connect.to_vec();
    connect.extend(ground.spec.network.allow.iter().map(|port| port.0));
    Fence {
        mode: Mode::On,
        read,
        write,
        connect,
        bind: ground.bind.to_vec(),
        limits: limits(&ground.spec.limits),
        namespaces: Some(Namespaces { hide: ground.kept.to_vec(), ..Namespaces::default() }),
        ..Fence::default()
    }
}
