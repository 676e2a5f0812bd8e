//! The fence of a run: how it was asked for and what there is of it, what the town and its agents are let through to, and what they
//! were refused.

use std::collections::BTreeMap;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use proctor_judge::evidence::{FenceMode, Leftover, path};

use super::run::Run;
use super::{Services, agents, disk};
use crate::base::Base;
use crate::fence::agent::AgentFence;
use crate::fence::town::Ground;
use crate::fence::{self, LeftBehind, programs, record, refusals};
use crate::halt::Halt;
use crate::keeper::Keeper;
use crate::launch::{AgentTable, SESSIONS_FILE};
use crate::town::{Town, TownKind};

/// Folder of a base directory that a real town's terminals are written to.
const TRANSCRIPTS: &str = "transcripts";
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
        programs.extend(table.roles.values().flat_map(|entry| named_files(&entry.command)));
        let kept = self.kept_unread();
        // Nothing that lies beside Proctor's own program is needed.
        let mut read = vec![self.request.proctor.clone()];
        read.extend(programs.iter().flat_map(|program| programs::readable(program, &kept)));
        read.sort();
        read.dedup();
        let allowed = spec.network.allow.iter().map(|port| port.0);
        Some(AgentFence {
            mode,
            private: self.request.town.has_private_agents() && mode != FenceMode::Off,
            folders: self.has_folders(),
            read,
            write: self.common_tmp().into_iter().collect(),
            connect: connect.iter().copied().chain(allowed).collect(),
            limits: self.limits(),
        })
        .filter(|_| self.request.live_town.is_none())
    }

    /// The scenario's limits; no file may take more than a part of what the disk has, so that one alone does not fill it.
    pub(crate) fn limits(&self) -> proctor_fence::Limits {
        let limits = fence::limits(&self.request.scenario.spec.limits);
        let free = self.base.as_ref().and_then(|base| disk::free(base.root())).map(|free| free / SHARE);
        proctor_fence::Limits { file_size: limits.file_size.map(|most| free.map_or(most, |free| most.min(free))), ..limits }
    }

    /// The programs of the town.
    fn programs_of_the_town(&self) -> Vec<PathBuf> {
        let own = self.programs.iter().filter(|(name, _)| name.as_str() != "proctor");
        own.map(|(_, (path, _))| PathBuf::from(path)).collect()
    }

    /// Folders of the operator's that agents never read, whatever program lies beside them.
    pub(crate) fn kept_unread(&self) -> Vec<PathBuf> {
        let home = self.request.environment.get("HOME").map(PathBuf::from);
        let reports = self.request.report.parent().map(Path::to_owned);
        let all = home.into_iter().chain(reports).chain([self.request.cache.clone()]);
        all.filter_map(|folder| folder.canonicalize().ok()).filter(|folder| fence::can_be_kept(folder)).collect()
    }

    /// Starts the process that everything of the town is started by, inside the town's fence.
    pub(crate) async fn enter_fence(&mut self, town: &dyn Town) -> Result<(), Halt> {
        let Some(base) = self.base.clone().filter(|_| self.fence_mode() == FenceMode::On) else { return Ok(()) };
        self.make_written(&base)?;
        let (programs, kept) = (self.programs_with_agents(base.root()), self.kept_unread());
        let mut fence = fence::town::fence(&Ground {
            base: base.root(),
            spec: &self.request.scenario.spec,
            proctor: &self.request.proctor,
            programs: &programs,
            kept: &kept,
            connect: &self.ports,
            bind: &town.ports(),
            write: &self.written_besides(),
        });
        // Whoever counts processes is the one that is asked, and then an agent's own fence has nobody to tell what it refused.
        fence.limits = proctor_fence::Limits { processes: None, ..self.limits() };
        let failed = |error: std::io::Error| {
            Halt::environment(format!("the fence around the town cannot be made: {error}"))
                .hint("`proctor doctor` says what this machine has of it; --fence off plays without")
        };
        base.note("process", "proctor-fence: the keeper of the town", self.rec.now())?;
        let keeper = Keeper::start(&base.path("bin/proctor-fence"), &fence, &town.environment()).await.map_err(failed)?;
        if self.request.keep_town {
            keeper.stay().map_err(failed)?;
        }
        town.enter(keeper.clone());
        self.keeper = Some(keeper);
        Ok(())
    }

    fn make_written(&self, base: &Base) -> Result<(), Halt> {
        let now = self.rec.now();
        let (folders, files) = fence::town::written();
        folders.iter().try_for_each(|folder| base.folder(folder, now).map(drop))?;
        if self.request.town == TownKind::Gastown {
            base.folder(TRANSCRIPTS, now)?;
        }
        files.iter().map(|file| base.path(file)).try_for_each(|file| {
            let made = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&file);
            made.map(drop).map_err(|error| Halt::io("make", &file, &error))
        })
    }

    /// What this town writes to besides: origins that are files, and what a real town's programs put into the common temporary folder where it
    /// cannot be one of the run's own.
    fn written_besides(&self) -> Vec<PathBuf> {
        let Some(base) = &self.base else { return Vec::new() };
        let own = Some(base.path(TRANSCRIPTS)).into_iter().chain(self.shared_origins()).filter(|folder| folder.is_dir());
        let has_own_tmp = proctor_fence::support().namespaces;
        let common = (!has_own_tmp && self.request.town == TownKind::Gastown).then(|| PathBuf::from("/tmp"));
        own.chain(common).collect()
    }

    /// The temporary folder of everything in a real town: `gt` and `bd` leave there what they tell one another of its database. Only where the
    /// run has one of its own, and where nothing of the run lies below it: whoever may write to a folder may read what is mounted in it.
    fn common_tmp(&self) -> Option<PathBuf> {
        const TMP: &str = "/tmp";
        let is_real = self.request.town == TownKind::Gastown && self.fence_mode() != FenceMode::Off;
        let is_apart =
            self.base.as_ref().and_then(|base| base.root().canonicalize().ok()).is_some_and(|root| !root.starts_with(TMP));
        (is_real && is_apart && proctor_fence::support().namespaces).then(|| PathBuf::from(TMP))
    }

    /// Origins that are files, which everybody pushes to; absent where they are served.
    fn shared_origins(&self) -> Option<PathBuf> {
        self.base.as_ref().filter(|_| self.origins.is_none()).map(|base| base.path("origins"))
    }

    fn programs_with_agents(&self, base: &Path) -> Vec<PathBuf> {
        let path = self.request.environment.get("PATH").cloned().unwrap_or_default();
        let named = agents::programs(&self.request.scenario.spec, &self.request.agents, base, &path);
        self.programs_of_the_town().into_iter().chain(named.iter().flat_map(|command| named_files(command))).collect()
    }

    /// Ends everything that is left of the town, and names it.
    pub(crate) async fn end_keeper(&mut self) -> Result<(), Halt> {
        let Some(keeper) = self.keeper.take().filter(|_| !self.request.keep_town) else { return Ok(()) };
        let left = match keeper.end().await {
            Ok(left) => left,
            // Whoever ended it ended everything below it as well.
            Err(error) => {
                self.rec.log(&format!("the keeper of the town's fence: {error}"));
                return Ok(());
            }
        };
        for process in left {
            self.rec.note("leftover", format!("ended {} {}", process.pid, process.command), BTreeMap::new())?;
            self.rec.record.leftovers.push(Leftover { pid: process.pid, command: process.command, agent: None, ended: true });
        }
        Ok(())
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
        let rows = refusals::read(&folder, &refusals::launchers(&base.path(SESSIONS_FILE)));
        let file = self.rec.evidence.join(path::REFUSALS);
        if rows.is_empty() { Ok(()) } else { self.rec.ledger.write_rows(&file, &rows) }
    }
}

/// The files that a command line names by their whole path.
fn named_files(command: &[String]) -> impl Iterator<Item = PathBuf> {
    command.iter().map(PathBuf::from).filter(|path| path.is_absolute() && path.is_file())
}
