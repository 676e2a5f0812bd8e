//! One fresh town of the real programs: made, started, spoken to, read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use proctor_judge::evidence::SkippedRow;
use tokio::sync::Mutex;

use super::calls::{Calls, LONG_CALL};
use super::mayor::{self, Mayor};
use super::ports::Port;
use super::programs::{self, Version};
use super::state::StateReader;
use super::tend::Tending;
use super::workarounds::{self, Ground, Workaround};
use super::{collect, events, probe, process_names, settings, state, stop, tmux};
use crate::base::town_environment;
use crate::halt::Halt;
use crate::keeper::Keeper;
use crate::launch::{AgentTable, ROLES};
use crate::scenario::RigsBy;
use crate::town::{Program, Site, Snapshot, Tempo, Town, TownEvent, new_events};
use crate::untrusted;

/// Folder in the base directory for what sessions print.
const TRANSCRIPTS: &str = "transcripts";

/// The real town of one run.
pub struct Gastown {
    pub(super) site: Site,
    pub(super) calls: Arc<Calls>,
    pub(super) port: Port,
    /// Name and path of the tmux socket.
    pub(super) socket: (String, PathBuf),
    pub(super) reader: Mutex<StateReader>,
    pub(super) tending: Tending,
    programs: BTreeMap<String, Program>,
    rows: Vec<&'static Workaround>,
}

impl Gastown {
    /// A town of that site, not yet made. Takes its port.
    ///
    /// # Errors
    /// When a program is missing or has a version that does not work with the others, when no port is free, or when the scenario
    /// wants what Proctor cannot give.
    pub async fn new(site: Site) -> Result<Self, Halt> {
        if site.spec.daemon {
            site.namespace.must_be_own()?;
        }
        let found = programs::find(&site.user, &site.base.path("home")).await?;
        let rows: Vec<_> = programs::named_folder(&site.user).into_iter().chain(programs::judge(&found)).collect();
        programs::accept(&rows)?;
        let versions: BTreeMap<String, Version> = found.iter().filter_map(|f| Some((f.name.clone(), f.version()?))).collect();
        let rows = workarounds::applying(&versions);
        let programs = found.into_iter().filter_map(|f| Some((f.name, (f.path?.display().to_string(), f.said)))).collect();
        let port = Port::take(&site.cache, &site.id)?;
        let root = site.base.root();
        let mut env = town_environment(root, &site.id, site.seed);
        env.extend(workarounds::environment(&rows, port.number));
        // The common temporary folder is out of reach inside a fence.
        let sockets = site.base.path("rt");
        env.insert("TMUX_TMPDIR".into(), sockets.display().to_string());
        let calls = Arc::new(Calls::new(root, env, &site.raw, site.ledger.clone(), Arc::clone(&site.clock)));
        let name = tmux::socket_name(&site.town());
        let socket = (name.clone(), tmux::socket_path(&sockets, &name));
        let reader = Mutex::new(new_reader(&site, port.number));
        Ok(Self { tending: Tending::default(), reader, socket, port, calls, programs, rows, site })
    }

    fn home(&self) -> PathBuf {
        self.site.base.path("home")
    }

    fn outside(&self) -> Vec<PathBuf> {
        let (home, town) = (self.home(), self.site.town());
        workarounds::outside(&self.rows, &Ground { home: &home, town: &town, port: self.port.number, socket: &self.socket.1 })
    }

    /// Enters what will lie outside the base directory, and what is found by its environment only.
    fn register(&self) -> Result<(), Halt> {
        let now = (self.site.clock)();
        let base = &self.site.base;
        base.note("port", &self.port.number.to_string(), now)?;
        base.note("tmux_socket", &self.socket.1.display().to_string(), now)?;
        self.outside().iter().try_for_each(|file| base.note("file", &file.display().to_string(), now))?;
        base.note("process", "gt install: the town's dolt", now)
    }

    fn link_programs(&self) -> Result<(), Halt> {
        let now = (self.site.clock)();
        let mut own = self.programs.iter().filter(|(name, _)| name.as_str() != "git");
        own.try_for_each(|(name, (path, _))| self.site.base.link(&format!("bin/{name}"), Path::new(path), now))
    }

    async fn install(&self) -> Result<(), Halt> {
        let (town, port) = (self.site.town().display().to_string(), self.port.number.to_string());
        let args = ["install", &town, "--name", &self.site.spec.name, "--dolt-port", &port];
        self.calls.must(self.calls.program("gt", &args).timeout(LONG_CALL)).await.map(drop)
    }

    async fn prepare_rigs(&self) -> Result<(), Halt> {
        for rig in &self.site.spec.rig {
            let args = self.site.seed_rig(rig).await?;
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            self.calls.must(self.calls.program("gt", &args).timeout(LONG_CALL)).await?;
        }
        Ok(())
    }

    /// Lets gt recognise agents.
    fn name_processes(&self) -> Result<(), Halt> {
        let table = AgentTable::read(&self.site.base.path("agents.json")).map_err(|error| Halt::harness(error.to_string()))?;
        settings::write_process_names(&self.site.town(), &self.site.base.path("bin/agent-launch"), &process_names::of(&table))
    }

    fn mayor(&self) -> Mayor<'_> {
        Mayor { calls: &self.calls, socket: &self.socket.0, listens: mayor::waits }
    }
}

fn daemon_fact(runs: bool) -> &'static str {
    if runs { "runs, in a PID namespace of this run's own" } else { "does not run" }
}

fn new_reader(site: &Site, port: u16) -> StateReader {
    let clock = Arc::clone(&site.clock);
    StateReader::new(site.base.root(), port).with_clock(move || clock())
}

#[async_trait]
impl Town for Gastown {
    fn roles(&self) -> &'static [&'static str] {
        &ROLES
    }

    fn tempo(&self) -> Tempo {
        state::TEMPO
    }

    fn programs(&self) -> BTreeMap<String, Program> {
        self.programs.clone()
    }

    fn environment(&self) -> BTreeMap<String, String> {
        self.calls.environment()
    }

    fn enter(&self, keeper: Keeper) {
        self.calls.enter(keeper);
    }

    fn ports(&self) -> Vec<u16> {
        vec![self.port.number]
    }

    fn add_environment(&self, more: BTreeMap<String, String>) {
        self.calls.add_environment(more);
    }

    async fn prepare(&self) -> Result<Vec<(String, String)>, Halt> {
        self.register()?;
        stop::remove_files(&self.outside())?;
        self.site.base.folder(TRANSCRIPTS, (self.site.clock)())?;
        self.link_programs()?;
        let (home, town) = (self.home(), self.site.town());
        let ground = Ground { home: &home, town: &town, port: self.port.number, socket: &self.socket.1 };
        workarounds::before_install(&self.rows, &ground)?;
        self.install().await?;
        let spec = &self.site.spec;
        settings::write_town_settings(&town, &self.site.base.path("bin/agent-launch"), spec.daemon)?;
        workarounds::after_install(&self.rows, &ground, settings::patrols_that_stay(spec.daemon, spec.merge))?;
        for args in workarounds::bd_calls(&self.rows) {
            self.calls.must(self.calls.program("bd", args)).await?;
        }
        probe::town(&self.calls).await?;
        let prepared = spec.rigs == RigsBy::Prepared;
        if prepared {
            self.prepare_rigs().await?;
        }
        let by = if prepared { "made before the mayor starts" } else { "made by the mayor" };
        Ok(vec![
            ("town".into(), town.display().to_string()),
            ("rigs".into(), by.into()),
            ("merging".into(), spec.merge.word().into()),
            ("daemon".into(), daemon_fact(spec.daemon).into()),
            ("dolt".into(), format!("127.0.0.1:{}", self.port.number)),
            ("tmux".into(), format!("tmux -L {}", self.socket.0)),
            ("workarounds".into(), self.rows.iter().map(|row| row.name).collect::<Vec<_>>().join(", ")),
        ])
    }

    async fn start(&self, limit: Duration) -> Result<(), Halt> {
        self.name_processes()?;
        self.calls.must(self.calls.program("gt", &["mayor", "start"]).timeout(limit)).await?;
        if !self.socket.1.exists() {
            let said = self.calls.gt(&["status", "--json", "--fast"]).await?.out();
            let message = format!("the town's tmux server is not where it must be ({})", self.socket.1.display());
            return Err(Halt::harness(format!("{message}; `gt status` says {}", probe::socket(&said))));
        }
        tmux::record_sessions(&self.calls, &self.socket.0, &self.site.base.path(TRANSCRIPTS)).await?;
        // Its first act is to start a mayor where there is none: two at the same time would be one too many.
        if self.site.spec.daemon {
            self.calls.gt(&["daemon", "start"]).await?;
        }
        Ok(())
    }

    async fn deliver(&self, text: &str, again: u32) -> Result<(), Halt> {
        self.mayor().deliver(text, again).await
    }

    /// Types the text without the Enter that ends it.
    async fn lose(&self, text: &str, again: u32) -> Result<(), Halt> {
        if again > 0 {
            return Ok(());
        }
        self.mayor().lose(text).await
    }

    fn servers(&self) -> &'static [&'static str] {
        &["dolt", "tmux"]
    }

    fn server(&self, program: &str) -> Option<u32> {
        match program {
            "dolt" => stop::dolt_process(&self.site.town()),
            _ => tmux::server(self.site.base.root()),
        }
    }

    async fn mend(&self) -> Result<(), Halt> {
        if stop::dolt_process(&self.site.town()).is_some() {
            return Ok(());
        }
        // An open circuit breaker would make the first calls fail although the server is there again.
        let breakers: Vec<PathBuf> = self.outside().into_iter().filter(|file| *file != self.socket.1).collect();
        stop::remove_files(&breakers)?;
        self.calls.gt(&["dolt", "start"]).await.map(drop)
    }

    async fn screen(&self) -> Option<String> {
        self.mayor().screen().await
    }

    async fn observe(&self) -> Result<Arc<Snapshot>, Halt> {
        self.reader.lock().await.read().await
    }

    fn tend(&self, state: &Snapshot) -> Result<(), Halt> {
        self.tending.look(state, &self.calls, &self.site.town(), self.site.spec.daemon)
    }

    fn events_file(&self) -> PathBuf {
        self.site.town().join(state::EVENTS)
    }

    fn tells(&self) -> Vec<PathBuf> {
        state::tells(&self.site.town())
    }

    fn new_events(&self, offset: &mut u64) -> Vec<TownEvent> {
        new_events(&self.events_file(), offset).into_iter().map(events::completed).collect()
    }

    fn merge_repository(&self, rig: &str) -> Option<PathBuf> {
        crate::town::repository_of(&self.site.town(), rig)
    }

    /// Whether those who stay have a turn running the town does not know: their terminals are asked.
    async fn quiet(&self, state: &Snapshot) -> bool {
        let worker_works = state.agents.iter().any(|agent| agent.role == "polecat" && agent.state == "working");
        let is_queue_empty = state.merge_requests.iter().all(|request| request.status != "open");
        if worker_works || !is_queue_empty || !self.tending.rests() {
            return false;
        }
        for session in tmux::sessions(&self.calls, &self.socket.0).await {
            let screen = tmux::pane(&self.calls, &self.socket.0, &session, false).await.unwrap_or_default();
            if !mayor::waits(&screen) {
                return false;
            }
        }
        true
    }

    async fn stop(&self) -> Result<(), Halt> {
        self.tending.end();
        stop::keep_panes(&self.calls, &self.socket.0, &self.site.raw, |_| true).await?;
        stop::agents(&self.calls, &self.site.town(), &self.socket.0).await
    }

    async fn reading_cost(&self) -> Option<String> {
        Some(self.reader.lock().await.cost().to_string())
    }

    async fn collect(&self, transcripts: &Path) -> Result<Vec<SkippedRow>, Halt> {
        let mut reader = self.reader.lock().await;
        let sessions = reader.read().await.map(|state| state.sessions.clone()).unwrap_or_default();
        let mut skipped = collect::transcripts(&self.site, TRANSCRIPTS, sessions, transcripts).await?;
        skipped.extend(collect::files(self.site.town(), self.site.raw.clone()).await?);
        collect::answers(&self.calls, &self.site.raw).await?;
        reader.dump(&self.site.raw).await?;
        Ok(skipped)
    }

    async fn end(&self) -> Result<(), Halt> {
        // dolt waits for whoever is connected before it ends.
        *self.reader.lock().await = new_reader(&self.site, self.port.number);
        stop::dolt(&self.calls, &self.site.town()).await?;
        stop::remove_files(&self.outside())
    }
}

/// The text of a file that agents can write, empty when there is none.
pub(super) fn read(path: &Path) -> String {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return String::new() };
    let bytes = untrusted::read(folder, Path::new(name)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
