//! A disk that an agent filled: whose files they are, and room made again, so that the run goes on and is judged by the work.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use proctor_judge::evidence::AgentId;
use walkdir::WalkDir;

use crate::base::RUN_ID;
use crate::fence::AGENTS;
use crate::linux;

/// Bytes below which nobody filled a disk.
const LEAST: u64 = 4 << 20;
/// Bytes of a block, as the kernel counts what a file takes (stat(2)).
const BLOCK: u64 = 512;

/// An agent that filled the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filler {
    /// The agent.
    pub(crate) agent: AgentId,
    /// What its own folders take.
    pub(crate) bytes: u64,
    /// Its home and temporary folder.
    folder: PathBuf,
}

impl Filler {
    /// The agent whose own folders take more than everything else of the run together.
    pub(crate) fn of(base: &Path) -> Option<Self> {
        let folders = fs::read_dir(base.join(AGENTS)).ok()?.flatten();
        let fillers = folders.filter_map(|entry| {
            let agent = entry.file_name().to_str()?.replace('+', "/");
            let bytes = size(&entry.path()) + worktree(base, &agent).map_or(0, |worktree| size(&worktree));
            Some(Self { agent, bytes, folder: entry.path() })
        });
        let most = fillers.max_by_key(|filler| filler.bytes).filter(|filler| filler.bytes >= LEAST)?;
        (most.bytes * 2 > size(base)).then_some(most)
    }

    /// Ends the agent's processes and removes what lies in its home and its temporary folder: a file that is open takes room until
    /// whoever opened it ends. The work in its worktree stays.
    pub(crate) fn end(&self, run: &str) {
        let is_its = |pid: u32| {
            let env = linux::environment(pid);
            env.get(RUN_ID).is_some_and(|id| id == run) && env.get("GT_ROLE").is_some_and(|role| *role == self.agent)
        };
        let all = linux::processes();
        let own = all.iter().map(|process| process.pid).filter(|pid| is_its(*pid)).collect();
        for pid in linux::descendants(&all, &own).into_iter().chain(own) {
            linux::end(pid, true);
        }
        for folder in ["tmp", "home", "rt"].map(|name| self.folder.join(name)) {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                // What cannot be removed still takes room; the next look says so.
                _ = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            }
        }
    }

    /// `35.2 MB`.
    pub(crate) fn shown(&self) -> String {
        format!("{:.1} MB", self.bytes as f64 / 1e6)
    }
}

/// The worktree of a worker of the built-in town.
fn worktree(base: &Path, agent: &str) -> Option<PathBuf> {
    let (rig, name) = agent.split_once("/polecats/")?;
    Some(base.join("town").join(rig).join("polecats").join(name))
}

/// What a folder takes on its disk.
fn size(folder: &Path) -> u64 {
    let files = WalkDir::new(folder).into_iter().flatten().filter_map(|entry| entry.metadata().ok());
    files.map(|about| about.blocks() * BLOCK).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn who_filled_the_disk_is_known_by_the_folders_that_only_it_writes_to() {
        let base = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: usize| {
            let path = base.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![b'x'; bytes]).unwrap();
        };
        write("agents/north+polecats+rust/tmp/a", 3 << 20);
        write("agents/south+polecats+nux/tmp/a", 3 << 20);
        write("town/north/polecats/rust/north/letter.txt", 9);
        assert_eq!(Filler::of(base.path()), None, "each has its share");
        write("agents/north+polecats+rust/tmp/b", 8 << 20);
        let filler = Filler::of(base.path()).unwrap();
        assert_eq!(filler.agent, "north/polecats/rust");
        filler.end("none");
        assert_eq!(Filler::of(base.path()), None);
        assert!(base.path().join("town/north/polecats/rust/north/letter.txt").exists(), "its work stays");
    }
}
