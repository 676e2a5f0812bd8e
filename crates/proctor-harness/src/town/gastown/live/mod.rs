//! A town that is there already: the seed's `~/gt`.
//!
//! Nothing is installed, ended or reset in it; only its mayor is stopped and started, so that it reports to the run, and is left as it was
//! found. What the run is judged by is what came since: see [`before`].

mod before;
mod found;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use proctor_judge::evidence::SkippedRow;
use tokio::sync::Mutex;

use self::before::Before;
use super::calls::Calls;
use super::mayor::{self, Mayor};
use super::state::StateReader;
use super::state::panes::{self, Panes};
use super::tend::Tending;
use super::{collect, events, probe, programs, state, stop, tmux};
use crate::file_lock::FileLock;
use crate::halt::Halt;
use crate::linux;
use crate::tmux_variables;
use crate::town::{Program, Site, Snapshot, Tempo, Town, TownEvent, new_events};

/// How often the mayor is started when a daemon was faster, which starts it without telemetry.
const STARTS: u32 = 3;
/// What an agent of the town must have in its environment to report to the run.
const LOGS: &str = "GT_OTEL_LOGS_URL";

/// A town of somebody's own, for the time of one run.
pub struct LiveTown {
    site: Site,
    town: PathBuf,
    port: u16,
    /// Name and path of the tmux socket.
    socket: (String, PathBuf),
    calls: Arc<Calls>,
    tending: Tending,
    programs: BTreeMap<String, Program>,
    /// The town's tmux server, once the mayor runs.
    server: Arc<OnceLock<u32>>,
    /// Since the town was prepared.
    found: OnceLock<Found>,
    telemetry: StdMutex<Vec<(String, String)>>,
    /// Whether the mayor was stopped for the run.
    is_taken: AtomicBool,
    _lock: FileLock,
}

/// How the town was found.
struct Found {
    before: Before,
    /// Whether the mayor ran.
    mayor: bool,
    /// How long the file of events was.
    events: u64,
    /// Leaves out what cannot be the run's.
    reader: Mutex<StateReader>,
    /// What was read last, and what of it is the run's.
    seen: StdMutex<Option<(Arc<Snapshot>, Arc<Snapshot>)>>,
}

impl Found {
    async fn state(&self) -> Result<Arc<Snapshot>, Halt> {
        Ok(self.own(self.reader.lock().await.read().await?))
    }

    /// What of a state is the run's.
    fn own(&self, state: Arc<Snapshot>) -> Arc<Snapshot> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, own)) = seen.as_ref().filter(|(of, _)| Arc::ptr_eq(of, &state)) {
            return Arc::clone(own);
        }
        let own = Arc::new(self.before.without(Snapshot::clone(&state)));
        *seen = Some((state, Arc::clone(&own)));
        own
    }
}

impl LiveTown {
    /// The town at `path`. Nothing of it is touched yet.
    ///
    /// # Errors
    /// When there is no town, a program is missing, or another run is in it.
    pub async fn new(site: Site, path: &Path) -> Result<Self, Halt> {
        let town = found::root(path)?;
        let found = programs::find(&site.user, &site.base.path("home")).await?;
        let rows: Vec<_> = programs::named_folder(&site.user).into_iter().chain(programs::judge(&found)).collect();
        programs::accept(&rows)?;
        let programs = found.into_iter().filter_map(|f| Some((f.name, (f.path?.display().to_string(), f.said)))).collect();
        let env = found::environment(&site.user, &town);
        let port = found::port(&town, &env);
        let name = tmux::socket_name(&town);
        let lock = found::lock(&site.cache, &name, &town)?;
        let (ledger, clock) = (site.ledger.clone(), Arc::clone(&site.clock));
        let calls = Arc::new(Calls::new(site.base.root(), env, &site.raw, ledger, clock).in_town(&town));
        let socket = (name.clone(), tmux::socket_path(Path::new("/tmp"), &name));
        let server = Arc::new(OnceLock::new());
        let (telemetry, is_taken) = (StdMutex::default(), AtomicBool::new(false));
        let tending = Tending::default();
        Ok(Self {
            site,
            town,
            port,
            socket,
            calls,
            tending,
            programs,
            server,
            found: OnceLock::new(),
            telemetry,
            is_taken,
            _lock: lock,
        })
    }

    fn mayor(&self) -> Mayor<'_> {
        Mayor { calls: &self.calls, socket: &self.socket.0, listens: mayor::shows_an_empty_input }
    }

    fn link_programs(&self) -> Result<(), Halt> {
        let now = (self.site.clock)();
        self.programs.iter().try_for_each(|(name, (path, _))| self.site.base.link(&format!("bin/{name}"), Path::new(path), now))
    }

    /// A rig of a name that the scenario needs would make the mayor's work fail, or be taken for it.
    fn has_room(&self, rigs: &[String]) -> Result<(), Halt> {
        let taken: Vec<&str> =
            self.site.spec.rig.iter().map(|rig| rig.name.as_str()).filter(|name| rigs.iter().any(|r| r == name)).collect();
        if taken.is_empty() {
            return Ok(());
        }
        let message = format!("the town {} has rigs already that the scenario makes: {}", self.town.display(), taken.join(", "));
        let remove: Vec<String> = taken.iter().map(|rig| format!("gt rig remove {rig} --force && rm -r {rig}")).collect();
        Err(Halt::environment(message)
            .hint(format!("if they are of an earlier run, in the town's folder: {}", remove.join(" && "))))
    }

    async fn mayor_runs(&self) -> Result<bool, Halt> {
        Ok(self.calls.gt(&["mayor", "status", "--running"]).await?.out().trim() == "true")
    }

    async fn stop_mayor(&self) -> Result<(), Halt> {
        self.calls.run(self.calls.program("gt", &["mayor", "stop"])).await.map(drop)
    }

    /// Stops the mayor and starts it with telemetry.
    async fn restart_mayor(&self, limit: Duration) -> Result<(), Halt> {
        self.is_taken.store(true, Ordering::Relaxed);
        let telemetry = self.telemetry.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.stop_mayor().await?;
        tmux_variables::set(&self.site.base, &self.site.clock, &self.socket.1, &telemetry)?;
        for _ in 0..STARTS {
            let mut program = self.calls.program("gt", &["mayor", "start"]).timeout(limit);
            program.env.extend(telemetry.clone());
            let started = self.calls.run(program).await?;
            if self.reports().await {
                return Ok(());
            }
            if !started.ok() && !started.said().contains("already running") {
                let message = format!("`gt mayor start` failed ({}): {}", started.how(), started.said());
                return Err(
                    Halt::environment(message).hint("start it by hand first, and end it again: the town's own agent plays it")
                );
            }
            if !self.mayor_runs().await? {
                let halt = Halt::environment("`gt mayor start` succeeded, but the mayor does not run");
                return Err(halt.hint("`gt mayor attach` in the town shows what its program says"));
            }
            self.stop_mayor().await?;
        }
        let message = "the mayor does not report to the run: something starts it without telemetry as soon as it is stopped";
        Err(Halt::environment(message).hint("end the town's daemon for the time of the run: `gt daemon stop`"))
    }

    /// Whether the mayor's process has the addresses of this run.
    async fn reports(&self) -> bool {
        let Some(pid) = tmux::pane_process(&self.calls, &self.socket.0, mayor::SESSION).await else { return false };
        let wanted = self.telemetry.lock().unwrap_or_else(PoisonError::into_inner).iter().find(|(key, _)| key == LOGS).cloned();
        wanted.is_none_or(|(key, value)| linux::environment(pid).get(&key) == Some(&value))
    }

    fn daemon_runs(&self) -> bool {
        stop::daemon_process(&self.town).is_some()
    }

    /// Leaves the mayor as it was found: running without telemetry, or not at all.
    async fn give_back(&self) -> Result<(), Halt> {
        if !self.is_taken.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        tmux_variables::put_back(self.site.base.root());
        self.stop_mayor().await?;
        if self.found.get().is_some_and(|found| found.mayor) {
            self.calls.gt(&["mayor", "start"]).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Town for LiveTown {
    /// Whoever plays in it is its own affair.
    fn roles(&self) -> &'static [&'static str] {
        &[]
    }

    fn tempo(&self) -> Tempo {
        Tempo { receipt: Duration::from_secs(300), ..state::TEMPO }
    }

    fn programs(&self) -> BTreeMap<String, Program> {
        self.programs.clone()
    }

    fn environment(&self) -> BTreeMap<String, String> {
        self.calls.environment()
    }

    /// Only the mayor gets it: the calls of the harness are no part of the run.
    fn add_environment(&self, more: BTreeMap<String, String>) {
        self.telemetry
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(more.into_iter().filter(|(key, _)| key.starts_with("GT_OTEL_")));
    }

    async fn prepare(&self) -> Result<Vec<(String, String)>, Halt> {
        self.link_programs()?;
        let rigs = found::rigs(&self.town);
        self.has_room(&rigs)?;
        let said = self.calls.gt(&["status", "--json", "--fast"]).await?.out();
        let stated = probe::socket(&said);
        if Path::new(&stated) != self.socket.1 {
            let message = format!("the town's tmux socket is {stated}, not {}", self.socket.1.display());
            return Err(Halt::environment(message)
                .hint("Proctor derives it from the town's path, as gt does unless GT_TMUX_SOCKET says otherwise"));
        }
        let except: BTreeSet<String> = rigs.iter().cloned().collect();
        let panes_before = match tmux::server_process(&self.calls, &self.socket.0).await {
            Some(server) => panes::of_server(server).iter().map(|p| (p.pid, p.started)).collect(),
            None => BTreeSet::new(),
        };
        let panes = Panes::new(Arc::clone(&self.server), panes_before);
        let clock = Arc::clone(&self.site.clock);
        let mut reader = StateReader::of_live_town(&self.town, self.port, panes, except).with_clock(move || clock());
        let state = reader.read().await.map_err(|halt| {
            Halt::environment(halt.message)
                .hint(format!("start the town first: `gt up` (or `gt dolt start`) in {}", self.town.display()))
        })?;
        let before = Before::new(&state, &rigs);
        let mayor = self.mayor_runs().await?;
        let events = std::fs::metadata(self.events_file()).map_or(0, |file| file.len());
        let found = Found { before, mayor, events, reader: Mutex::new(reader), seen: StdMutex::default() };
        if self.found.set(found).is_err() {
            return Err(Halt::harness("the town was prepared twice"));
        }
        let daemon = if self.daemon_runs() { "runs, the town's own" } else { "does not run" };
        Ok(vec![
            ("town".into(), format!("{}, live: nothing is installed or reset", self.town.display())),
            ("mayor".into(), if mayor { "runs" } else { "does not run" }.into()),
            ("rigs left alone".into(), if rigs.is_empty() { "none".into() } else { rigs.join(", ") }),
            ("daemon".into(), daemon.into()),
            ("dolt".into(), format!("127.0.0.1:{}", self.port)),
            ("tmux".into(), format!("tmux -L {}", self.socket.0)),
        ])
    }

    async fn start(&self, limit: Duration) -> Result<(), Halt> {
        self.restart_mayor(limit).await?;
        match tmux::server_process(&self.calls, &self.socket.0).await {
            // Set once; a server that is replaced during the run takes every agent with it.
            Some(server) => _ = self.server.set(server),
            None => return Err(Halt::environment("the town's tmux server ended when the mayor was started")),
        }
        Ok(())
    }

    async fn deliver(&self, text: &str, again: u32) -> Result<(), Halt> {
        self.mayor().deliver(text, again).await
    }

    async fn screen(&self) -> Option<String> {
        self.mayor().screen().await
    }

    async fn observe(&self) -> Result<Arc<Snapshot>, Halt> {
        self.found.get().ok_or_else(|| Halt::harness("the town was not prepared"))?.state().await
    }

    fn tend(&self, state: &Snapshot) -> Result<(), Halt> {
        self.tending.look(state, &self.calls, &self.town, self.daemon_runs())
    }

    fn events_file(&self) -> PathBuf {
        self.town.join(state::EVENTS)
    }

    fn tells(&self) -> Vec<PathBuf> {
        state::tells(&self.town)
    }

    fn new_events(&self, offset: &mut u64) -> Vec<TownEvent> {
        let Some(found) = self.found.get() else { return Vec::new() };
        *offset = (*offset).max(found.events);
        let events = new_events(&self.events_file(), offset).into_iter().map(events::completed).collect();
        found.before.without_events(events)
    }

    fn merge_repository(&self, rig: &str) -> Option<PathBuf> {
        crate::town::repository_of(&self.town, rig)
    }

    async fn quiet(&self, state: &Snapshot) -> bool {
        let worker_works = state.agents.iter().any(|agent| agent.role == "polecat" && agent.state == "working");
        let is_queue_empty = state.merge_requests.iter().all(|request| request.status != "open");
        let screen = self.screen().await.unwrap_or_default();
        !worker_works && is_queue_empty && self.tending.rests() && mayor::shows_an_empty_input(&screen)
    }

    /// Nothing of a town of somebody's own is ended: what its terminals show is kept.
    async fn stop(&self) -> Result<(), Halt> {
        self.tending.end();
        if self.found.get().is_none() {
            return Ok(());
        }
        let state = self.observe().await.unwrap_or_default();
        let own: BTreeSet<String> = state.sessions.iter().map(|session| session.session.clone()).collect();
        stop::keep_panes(&self.calls, &self.socket.0, &self.site.raw, |session| own.contains(session)).await
    }

    async fn reading_cost(&self) -> Option<String> {
        Some(self.found.get()?.reader.lock().await.cost().to_string())
    }

    /// Of the town's own files nothing is copied, and of its databases only those of rigs that the run made: the rest is its owner's.
    async fn collect(&self, transcripts: &Path) -> Result<Vec<SkippedRow>, Halt> {
        let Some(found) = self.found.get() else { return Ok(Vec::new()) };
        let sessions = self.observe().await.map(|state| state.sessions.clone()).unwrap_or_default();
        let skipped = collect::transcripts(&self.site, "transcripts", sessions, transcripts).await?;
        let mut except = found.before.rigs().clone();
        except.insert("hq".to_owned());
        found.reader.lock().await.dump_but(&self.site.raw, &except).await?;
        Ok(skipped)
    }

    async fn end(&self) -> Result<(), Halt> {
        self.give_back().await
    }
}
