//! Phases 1 to 7 of a run, in order.
//!
//! The telemetry environment is fixed in phase 3, before anything of the town starts; delivery of the prompt is proven by
//! receipt; whatever must be executed for judging is executed in phase 7. `run.json` exists however the run ends.

mod agents;
mod collect;
mod commands;
mod critical_path;
mod disk;
mod fencing;
mod filler;
mod live;
mod lock;
mod origins;
mod progress;
mod receipt;
mod recorder;
mod reserve;
mod run;
mod services;
mod setup;
mod stalled;
mod stranded;
mod strikes;
mod sums;
mod ticks;
mod wait;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use proctor_judge::evidence::{FenceMode, RunRecord, SCHEMA_VERSION, Time, path};
use proctor_judge::seal::Seal;

pub use progress::{AgentLive, Cancel, ClauseLive, Happening, Progress, Totals};
pub use recorder::PHASES;
pub use services::{AgentCounts, GatewaySpec, Prompted, Services, ServicesEnd, TelemetryAddresses};

use crate::halt::Halt;
use crate::launch::Override;
use crate::ledger::Ledger;
use crate::namespace::Namespace;
use crate::scenario::Scenario;
use crate::town::TownKind;
use crate::{clean, linux, process};
use recorder::Recorder;
use run::Run;

/// The number of the phase after the harness's own.
const JUDGE: u8 = 8;
/// The gateway's folder below `evidence/`.
const GATEWAY: &str = "gateway";

/// Gives the time of day.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// Everything that a run is made from.
#[derive(Clone)]
pub struct Request {
    /// Short id, such as `7k3f` (see [`crate::base::short_id`]).
    pub id: String,
    /// Value of `proctor.run.id`: unique among all runs of all machines.
    pub run_id: String,
    /// What the tokens of the run's agents are made with (see [`crate::launch::token`]): random, and never shown.
    pub secret: String,
    /// What is played.
    pub scenario: Scenario,
    /// The orchestrator under test.
    pub town: TownKind,
    /// Seed of the town's ids.
    pub seed: u64,
    /// The command line that repeats the run.
    pub command: String,
    /// How the provider is played: `script`.
    pub models: String,
    /// The run's folder below `reports/`; made by the run.
    pub report: PathBuf,
    /// Proctor's folder in the user's cache: `~/.cache/proctor`.
    pub cache: PathBuf,
    /// The running executable, which `B/bin` links to.
    pub proctor: PathBuf,
    /// Programs that play roles, over the scenario's own.
    pub agents: Vec<Override>,
    /// A Python interpreter that already has the packages; without it a virtual environment is made.
    pub python: Option<PathBuf>,
    /// The root of a town that is there already, played in instead of a fresh one: nothing of it is ended or removed.
    pub live_town: Option<PathBuf>,
    /// Which processes the run shares with others.
    pub namespace: Namespace,
    /// The fence around what agents start.
    pub fence: FenceMode,
    /// Leaves the town alive after phase 7; the edge removes it with [`crate::clean::remove`] when it is not wanted after all.
    pub keep_town: bool,
    /// Replaces the scenario's landing time limit.
    pub landing_timeout: Option<Duration>,
    /// The user's environment: `PATH` finds programs, and the package installer gets all of it. Nothing of it reaches the town.
    pub environment: BTreeMap<String, String>,
    /// Versions that the edge knows: `proctor`, …
    pub versions: BTreeMap<String, String>,
    /// The time of day.
    pub clock: Clock,
}

/// How a run ended, before judging.
#[derive(Clone, Debug)]
pub struct RunEnd {
    /// The record as it stands in `evidence/run.json`.
    pub record: RunRecord,
    /// The run's folder.
    pub report: PathBuf,
    /// Whether `evidence/` holds enough to be judged; `false` only when the run's folder could not be written.
    pub evidence: bool,
    /// What the run wrote as evidence.
    pub ledger: Ledger,
    /// The seal over it, as it was written to `evidence/sealed.json` or should have been.
    pub seal: Seal,
    /// The base directory, when the town was left alive, or when a live town has rigs whose origins lie there.
    pub kept: Option<PathBuf>,
}

impl RunEnd {
    /// Writes down that a person ended the run while it was judged, and seals the evidence anew; a run that had stopped before keeps
    /// its reason.
    ///
    /// # Errors
    /// When `run.json` or the seal cannot be replaced.
    pub fn cancelled_while_judged(&mut self) -> Result<(), Halt> {
        if self.record.stopped.is_some() {
            return Ok(());
        }
        self.record.stopped = Some(Halt::cancelled().stopped(JUDGE));
        self.ledger.write_json(&self.report.join("evidence").join(path::RUN), &self.record)?;
        self.seal = self.ledger.seal(&self.record.run_id)?;
        Ok(())
    }
}

/// Runs phases 1 to 7. It always returns; what went wrong stands in the record.
pub async fn run<S: Services>(
    request: Request,
    services: Arc<S>,
    progress: impl Fn(Progress) + Send + Sync + 'static,
    cancel: Cancel,
) -> RunEnd {
    let report = request.report.clone();
    let record = first_record(&request);
    let rec = match Recorder::create(&report, record.clone(), Arc::clone(&request.clock), Arc::new(progress)) {
        Ok(rec) => rec,
        Err(halt) => {
            let record = RunRecord { stopped: Some(halt.stopped(1)), ended_at: Some((request.clock)()), ..record };
            let ledger = Ledger::new(&report);
            let seal = ledger.list(&record.run_id);
            return RunEnd { record, report, evidence: false, ledger, seal, kept: None };
        }
    };
    let _reaping = Reaping::begin();
    let mut run = Run::new(request, services, cancel, rec);
    let mut ended = run.until_landed().await;
    let collected = run.collect_or_break_off(&ended).await;
    // What ended the run first is its reason; a failure of collecting counts only where nothing failed before.
    if ended.is_ok() {
        ended = collected;
    }
    run.finish(ended).await
}

fn first_record(request: &Request) -> RunRecord {
    let mut versions = linux::machine();
    versions.extend(request.versions.clone());
    RunRecord {
        schema: SCHEMA_VERSION,
        id: request.id.clone(),
        run_id: request.run_id.clone(),
        scenario: request.scenario.spec.name.clone(),
        title: request.scenario.spec.title.clone(),
        town: request.town.word().into(),
        models: request.models.clone(),
        seed: request.seed,
        command: request.command.clone(),
        started_at: (request.clock)(),
        ended_at: None,
        phases: Vec::new(),
        stopped: None,
        delivery: None,
        leftovers: Vec::new(),
        fence: None,
        losses: Vec::new(),
        signals: Vec::new(),
        versions,
        notes: BTreeMap::new(),
        seals: true,
    }
}

impl<S: Services> Run<S> {
    /// Phase 7, until a person asks a second time.
    async fn collect_or_break_off(&mut self, ended: &Result<(), Halt>) -> Result<(), Halt> {
        self.rec.begin(7)?;
        self.kept.give_all();
        if ended.is_err() {
            self.runtime.break_off().await;
        }
        let second = self.cancel.clone();
        let outcome = tokio::select! {
            biased;
            () = second.reached(2) => Err(Halt::cancelled()),
            outcome = self.collect(ended.as_ref().copied()) => outcome,
        };
        // A request to end during phase 7 ends the run as cancelled even though collecting went on as far as it could.
        let outcome = if ended.is_ok() && self.cancel.level() > 0 { Err(Halt::cancelled()) } else { outcome };
        let provider = self.services.tracer_provider();
        match outcome {
            Ok(done) => self.rec.end(Ok(done), provider.as_ref()),
            Err(halt) => {
                self.rec.end(Err(&halt), provider.as_ref())?;
                Err(halt)
            }
        }
    }

    async fn finish(mut self, ended: Result<(), Halt>) -> RunEnd {
        let phase = ended.as_ref().err().map(|_| self.phase_of_the_end());
        self.rec.record.stopped = ended.err().map(|halt| halt.stopped(phase.unwrap_or(7)));
        self.rec.record.ended_at = Some(self.rec.now());
        self.rec.record.signals = self.cancel.take_refused();
        if let Some(stopped) = self.rec.record.stopped.clone() {
            self.rec.log(&format!("stopped in phase {}: {}", stopped.phase, stopped.message));
        }
        self.rec.end_spans();
        if self.services_begun {
            let stopped = self.services.stop().await;
            stopped.written.into_iter().for_each(|file| self.rec.ledger.enter(file));
            if let Some(halt) = stopped.failure {
                self.rec.log(&format!("telemetry was not closed well: {halt}"));
                self.rec.record.stopped.get_or_insert(halt.stopped(7));
            }
        }
        if !self.collected {
            // What was collected before it was broken off.
            let folders = [path::GIT, path::RAW, path::TRANSCRIPTS, path::EXERCISE, path::TELEMETRY, GATEWAY];
            _ = self.enter_kept(&folders).await;
        }
        let kept = self.let_go().await;
        drop(self.reserve.take());
        self.rec.note_cpu();
        let saved = self.rec.save();
        let (record, ledger) = (self.rec.record, self.rec.ledger);
        // A seal that cannot be written is missed by the judge, which is given what should stand in it.
        let seal = ledger.seal(&record.run_id).unwrap_or_else(|_| ledger.list(&record.run_id));
        RunEnd { record, report: self.request.report, evidence: saved.is_ok(), ledger, seal, kept }
    }

    /// The first phase that did not do what it is for.
    fn phase_of_the_end(&self) -> u8 {
        self.rec.record.phases.iter().find(|phase| !phase.ok).map_or(self.rec.phase(), |phase| phase.number)
    }

    /// Ends what is left and removes the base directory, unless the town is kept.
    async fn let_go(&mut self) -> Option<PathBuf> {
        let root = self.base.take()?.root().to_owned();
        // A live town goes on with the rigs that its mayor made, and their origins lie here.
        let is_in_use = self.request.live_town.is_some() && self.rec.record.delivery.is_some();
        if self.request.keep_town || is_in_use {
            return Some(root);
        }
        let at_once = self.cancel.level() > 1;
        let remove = move || if at_once { clean::remove_at_once(&root) } else { clean::remove(&root) };
        let removed = tokio::task::spawn_blocking(remove).await;
        if let Ok(Err(halt)) = removed {
            self.rec.log(&format!("not removed: {halt}"));
            self.rec.record.notes.insert("not_removed".into(), halt.message);
        }
        None
    }
}

/// Collects orphans that this process was given, for as long as the run lasts.
struct Reaping(tokio::task::JoinHandle<()>);

impl Reaping {
    fn begin() -> Self {
        // Without it orphans of the town go to the system's first process; the scan of the environment finds them all the same.
        _ = linux::become_subreaper();
        Self(tokio::spawn(async {
            let mut reaper = linux::Reaper::default();
            loop {
                ticks::tick().await;
                reaper.collect(&process::own());
            }
        }))
    }
}

impl Drop for Reaping {
    fn drop(&mut self) {
        self.0.abort();
    }
}
