//! The run as it goes: its parts so far, the order of its phases, and how it ends in every case.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use proctor_judge::evidence::{DISK_FILLED_BY, Delivery, Exchange, Push, StopKind, Time};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::commands::{Command, Watching};
use super::disk::{self, Reserve};
use super::filler::Filler;
use super::live::Live;
use super::recorder::{Done, Recorder};
use super::reserve::Kept;
use super::stalled::StalledCollector;
use super::stranded::Activity;
use super::strikes::Strikes;
use super::sums::Sums;
use super::{Cancel, Request, Services};
use crate::base::{Base, RUN_ID, RUNS};
use crate::exercise::programs::Programs;
use crate::exercise::python::{self, Provided, Wanted};
use crate::halt::Halt;
use crate::keeper::Keeper;
use crate::landed::Landed;
use crate::landed::git::Git;
use crate::launch::AgentTable;
use crate::town::{Snapshot, Town};

/// A run in progress.
pub(crate) struct Run<S> {
    pub(crate) request: Request,
    pub(crate) services: Arc<S>,
    pub(crate) cancel: Cancel,
    pub(crate) rec: Recorder,
    pub(crate) base: Option<Arc<Base>>,
    pub(crate) git: Option<Git>,
    pub(crate) town: Option<Box<dyn Town>>,
    pub(crate) table: Option<AgentTable>,
    pub(crate) landed: Option<Landed>,
    pub(crate) live: Live,
    pub(crate) strikes: Strikes,
    /// The collector that a planned fault lets some agents report to.
    pub(crate) stalled: Option<StalledCollector>,
    pub(crate) exchanges: Option<UnboundedReceiver<Exchange>>,
    /// Base address of the served origins; absent where they are folders.
    pub(crate) origins: Option<String>,
    pub(crate) pushes: Option<UnboundedReceiver<Push>>,
    pub(crate) events_read: u64,
    pub(crate) activity: Activity,
    pub(crate) failed_looks: u32,
    /// When the live display was last brought up to date by itself.
    pub(crate) refreshed: Option<Instant>,
    pub(crate) state: Option<Arc<Snapshot>>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) runtime: RuntimeInTheMaking,
    pub(crate) commands: Option<Watching>,
    /// When the town began to be made, and when everything had landed.
    pub(crate) begun: Option<Time>,
    pub(crate) landed_at: Option<Time>,
    /// The commands that the landing waited for.
    pub(crate) critical: Vec<Command>,
    pub(crate) services_begun: bool,
    pub(crate) reserve: Option<Reserve>,
    /// The ports of the run's listeners, and of the servers of its town.
    pub(crate) ports: Vec<u16>,
    /// What starts everything of the town inside the town's fence.
    pub(crate) keeper: Option<Keeper>,
    /// Descriptors and watches for what comes later.
    pub(crate) kept: Kept,
    /// What deliverables need besides the runtime.
    pub(crate) needed: Programs,
    /// Of the programs that take part.
    pub(crate) sums: Sums,
    /// Whether phase 7 went through, so that all of the evidence is entered.
    pub(crate) collected: bool,
    /// Name of a program, its path and version.
    pub(crate) programs: BTreeMap<String, (String, String)>,
}

impl<S: Services> Run<S> {
    pub(crate) fn new(request: Request, services: Arc<S>, cancel: Cancel, rec: Recorder) -> Self {
        let runtime = RuntimeInTheMaking::begin(&request);
        let reserve = Some(Reserve::take(&request.report));
        let version = request.versions.get("proctor").cloned().unwrap_or_default();
        let programs = BTreeMap::from([("proctor".to_owned(), (request.proctor.display().to_string(), version))]);
        Self {
            request,
            services,
            cancel,
            rec,
            base: None,
            git: None,
            town: None,
            table: None,
            landed: None,
            live: Live::default(),
            strikes: Strikes::default(),
            stalled: None,
            exchanges: None,
            origins: None,
            pushes: None,
            events_read: 0,
            activity: Activity::default(),
            failed_looks: 0,
            refreshed: None,
            state: None,
            deliveries: Vec::new(),
            runtime,
            commands: None,
            begun: None,
            landed_at: None,
            critical: Vec::new(),
            services_begun: false,
            reserve,
            ports: Vec::new(),
            keeper: None,
            kept: Kept::default(),
            needed: Programs::default(),
            sums: Sums::default(),
            collected: false,
            programs,
        }
    }

    pub(crate) fn root(&self) -> Result<PathBuf, Halt> {
        self.base.as_ref().map(|base| base.root().to_owned()).ok_or_else(|| Halt::harness("the run has no base directory"))
    }

    pub(crate) fn town(&self) -> Result<&dyn Town, Halt> {
        self.town.as_deref().ok_or_else(|| Halt::harness("the town was not prepared"))
    }

    /// How long the mayor may take to show that it has the prompt.
    pub(crate) fn receipt_limit(&self) -> Duration {
        let least = self.town.as_ref().map_or(Duration::ZERO, |town| town.tempo().receipt);
        self.request.scenario.spec.timeouts.receipt.0.max(least)
    }

    pub(crate) fn landing_limit(&self) -> Duration {
        self.request.landing_timeout.unwrap_or(self.request.scenario.spec.timeouts.landing.0)
    }

    /// Phases 1 to 6; ends at the first halt, and at once when a person asks.
    pub(crate) async fn until_landed(&mut self) -> Result<(), Halt> {
        let outcome = self.phases_or_cancelled().await.map_err(|halt| self.or_full_disk(halt));
        if let Err(halt) = &outcome {
            let provider = self.services.tracer_provider();
            self.rec.end(Err(halt), provider.as_ref())?;
        }
        outcome
    }

    async fn phases_or_cancelled(&mut self) -> Result<(), Halt> {
        self.rec.begin(1)?;
        let cancel = self.cancel.clone();
        tokio::select! {
            // Whoever asked before a phase began must not see it done.
            biased;
            () = cancel.reached(1) => Err(Halt::cancelled()),
            outcome = self.phases() => outcome,
        }
    }

    /// A full disk lets programs fail in ways that look like anybody's fault.
    pub(crate) fn or_full_disk(&self, halt: Halt) -> Halt {
        match halt.kind {
            StopKind::Cancelled | StopKind::Provider => halt,
            _ => self.full_disk().map(|full| self.filled().unwrap_or(full)).unwrap_or(halt),
        }
    }

    /// The halt for a full disk below the reports or the town.
    pub(crate) fn full_disk(&self) -> Option<Halt> {
        let base = self.base.as_ref().map_or(self.request.cache.as_path(), |base| base.root());
        disk::full(&[&self.request.report, base])
    }

    /// The halt for a disk that an agent filled: what did not land because of it is the agent's doing.
    fn filled(&self) -> Option<Halt> {
        let filler = Filler::of(self.base.as_ref()?.root())?;
        let message = format!("{} filled the disk: {} in its own folders", filler.agent, filler.shown());
        Some(Halt::new(StopKind::Timeout, message))
    }

    /// Whether an agent filled the disk: then it is ended, and room is made.
    pub(crate) fn made_room(&mut self) -> bool {
        let Some(filler) = self.base.as_ref().and_then(|base| Filler::of(base.root())) else { return false };
        filler.end(&self.request.id);
        self.rec.log(&format!("{} filled the disk with {} and was ended", filler.agent, filler.shown()));
        self.rec.record.notes.insert(DISK_FILLED_BY.to_owned(), format!("{} {}", filler.agent, filler.shown()));
        true
    }

    async fn phases(&mut self) -> Result<(), Halt> {
        let done = self.reset_telemetry()?;
        self.done(done)?;
        self.rec.begin(2)?;
        let done = self.reset_town().await?;
        self.done(done)?;
        self.rec.begin(3)?;
        let done = self.start_telemetry().await?;
        self.done(done)?;
        self.rec.begin(4)?;
        let done = self.start_town().await?;
        self.done(done)?;
        self.rec.begin(5)?;
        let done = self.inject_prompt().await?;
        self.done(done)?;
        self.rec.begin(6)?;
        let done = self.wait_for_landing().await?;
        self.done(done)
    }

    pub(crate) fn done(&mut self, done: Done) -> Result<(), Halt> {
        let provider = self.services.tracer_provider();
        self.rec.end(Ok(done), provider.as_ref())
    }
}

/// The runtime as whoever waits for it gets it.
type Making = Shared<BoxFuture<'static, Result<Arc<Provided>, Halt>>>;

/// The runtime of the deliverables, made beside phases 1 to 6 because making it the first time takes a while.
#[derive(Clone)]
pub(crate) struct RuntimeInTheMaking {
    making: Option<Making>,
    task: Option<AbortHandle>,
}

impl RuntimeInTheMaking {
    fn begin(request: &Request) -> Self {
        let spec = &request.scenario.spec;
        if !spec.needs_python() {
            return Self { making: None, task: None };
        }
        let wanted = Wanted {
            named: request.python.clone(),
            packages: spec.runtime.iter().flat_map(|runtime| runtime.packages.clone()).collect(),
            cache: request.cache.clone(),
            environment: making_environment(request),
        };
        let task = AbortOnDrop(tokio::spawn(async move { python::provide(&wanted).await.map(Arc::new) }));
        let abort = task.0.abort_handle();
        let making = async move { task.wait().await }.boxed().shared();
        Self { making: Some(making), task: Some(abort) }
    }

    /// Breaks the making off and waits until nothing of it runs.
    pub(crate) async fn break_off(&self) {
        if let Some(task) = &self.task {
            task.abort();
            // Whether it was made all the same is of no interest any more.
            _ = self.ready().await;
        }
    }

    /// The runtime; absent when the scenario needs none.
    pub(crate) async fn ready(&self) -> Result<Option<Arc<Provided>>, Halt> {
        match &self.making {
            Some(making) => making.clone().await.map(Some),
            None => Ok(None),
        }
    }

    /// Comes back only when the runtime cannot be made.
    pub(crate) async fn failed(&self) -> Halt {
        match self.ready().await {
            Err(halt) => halt,
            Ok(_) => std::future::pending().await,
        }
    }
}

/// The user's environment, and what `proctor clean` knows the run's own processes by.
fn making_environment(request: &Request) -> BTreeMap<String, String> {
    let mut environment = request.environment.clone();
    environment.insert(RUN_ID.into(), request.id.clone());
    environment.insert("PROCTOR_RUN_BASE".into(), request.cache.join(RUNS).join(&request.id).display().to_string());
    environment
}

/// A task that ends with whoever waits for it.
struct AbortOnDrop(tokio::task::JoinHandle<Result<Arc<Provided>, Halt>>);

impl AbortOnDrop {
    async fn wait(mut self) -> Result<Arc<Provided>, Halt> {
        (&mut self.0).await.map_err(|error| Halt::harness(format!("making the runtime broke off: {error}")))?
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
