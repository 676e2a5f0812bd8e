//! The fence of a run: how it was asked for and what there is of it, what the town and its agents are let through to, and what they
//! were refused.

use std::path::{Path, PathBuf};

use proctor_judge::evidence::{FenceMode, Leftover, path};

use super::Services;
use super::disk;
use super::recorder::write_rows;
use super::run::Run;
use crate::fence::agent::AgentFence;
use crate::fence::{self, LeftBehind, programs, record, refusals};
use crate::halt::Halt;
use crate::launch::AgentTable;

/// The part of the free disk that one file may take, as a divisor.
const SHARE: u64 = 4;

impl<S: Services> Run<S> {
    /// How the fence is enforced: a town that was there before is started by its owner, outside of any.
    pub(crate) fn fence_mode(&self) -> FenceMode {
        if self.request.live_town.is_some() { FenceMode::Off } else { self.request.fence }
    }

    /// Writes down what this kernel gives.
    pub(crate) fn record_fence(&mut self) {
        let wanted = record::Wanted {
            mode: self.request.fence,
            spec: &self.request.scenario.spec,
            namespace: &self.request.namespace,
            is_live: self.request.live_town.is_some(),
            is_private: self.request.town.has_private_agents(),
        };
        self.rec.record.fence = Some(record::record(wanted, &proctor_fence::support()));
    }

    /// What agents' fences are made from; absent where nothing of them is wanted.
    pub(crate) fn agents_fence(&self, table: &AgentTable, connect: &[u16]) -> Option<AgentFence> {
        let mode = self.fence_mode();
        let spec = &self.request.scenario.spec;
        let mut programs = self.programs_of_the_town();
        programs.extend(table.roles.values().flat_map(|entry| named(&entry.command)));
        let kept = self.kept_unread();
        let mut read: Vec<PathBuf> = programs.iter().flat_map(|program| programs::readable(program, &kept)).collect();
        read.sort();
        read.dedup();
        let allowed = spec.network.allow.iter().map(|port| port.0);
        Some(AgentFence {
            mode,
            private: self.request.town.has_private_agents() && mode != FenceMode::Off,
            folders: self.has_folders(),
            read,
            connect: connect.iter().copied().chain(allowed).collect(),
            limits: self.limits(),
        })
        .filter(|_| self.request.live_town.is_none())
    }

    /// The scenario's limits; no file may take more than a part of what the disk has, so that one alone does not fill it.
    fn limits(&self) -> proctor_fence::Limits {
        let limits = fence::limits(&self.request.scenario.spec.limits);
        let free = self.base.as_ref().and_then(|base| disk::free(base.root())).map(|free| free / SHARE);
        proctor_fence::Limits { file_size: limits.file_size.map(|most| free.map_or(most, |free| most.min(free))), ..limits }
    }

    /// Proctor's own program and those of the town.
    fn programs_of_the_town(&self) -> Vec<PathBuf> {
        let found = self.programs.values().map(|(path, _)| PathBuf::from(path));
        std::iter::once(self.request.proctor.clone()).chain(found).collect()
    }

    /// Folders of the operator's that agents never read, whatever program lies beside them.
    pub(crate) fn kept_unread(&self) -> Vec<PathBuf> {
        let home = self.request.environment.get("HOME").map(PathBuf::from);
        let reports = self.request.report.parent().map(Path::to_owned);
        let all = home.into_iter().chain(reports).chain([self.request.cache.clone()]);
        all.filter_map(|folder| folder.canonicalize().ok()).filter(|folder| fence::can_be_kept(folder)).collect()
    }

    /// Brings what was refused, and what agents left behind, into the evidence.
    pub(crate) fn take_refusals(&mut self) -> Result<(), Halt> {
        let Some(base) = &self.base else { return Ok(()) };
        let folder = base.path(fence::REFUSED);
        for LeftBehind { agent, pid, command } in refusals::left(&folder) {
            if self.rec.record.leftovers.iter().all(|known| known.pid != pid) {
                self.rec.record.leftovers.push(Leftover { pid, command, agent: Some(agent), ended: true });
            }
        }
        let rows = refusals::read(&folder);
        if rows.is_empty() { Ok(()) } else { write_rows(&self.rec.evidence.join(path::REFUSALS), &rows) }
    }
}

/// The files that a command line names by their whole path.
fn named(command: &[String]) -> impl Iterator<Item = PathBuf> {
    command.iter().map(PathBuf::from).filter(|path| path.is_absolute() && path.is_file())
}
