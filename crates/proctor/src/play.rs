//! One run from its request to its reports: phases 1 to 7 by the harness, phase 8 by the judge.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proctor_harness::base::short_id;
use proctor_harness::cycle::{self, Cancel, Happening, Progress, Request, RunEnd};
use proctor_harness::launch::Override;
use proctor_harness::namespace::Namespace;
use proctor_harness::scenario::Scenario;
use proctor_harness::town::TownKind;
use proctor_judge::evidence::{FenceMode, Phase, StopKind, Time};
use proctor_judge::{Claims, Judgement, Options, Outcome};

use crate::failure::Failure;
use crate::personality::environment;
use crate::places;
use crate::services::{Ports, RunServices};
use crate::terminal::phases::RunDisplay;

/// What a person chose about a run.
#[derive(Clone)]
pub(crate) struct Choice {
    /// What is played.
    pub(crate) scenario: Scenario,
    /// The orchestrator under test.
    pub(crate) town: TownKind,
    /// The command line that repeats it.
    pub(crate) command: String,
    /// Folder of the runs' folders.
    pub(crate) reports: PathBuf,
    /// Seed of the town's ids.
    pub(crate) seed: u64,
    /// Programs that play roles.
    pub(crate) agents: Vec<Override>,
    /// An interpreter that already has the packages.
    pub(crate) python: Option<PathBuf>,
    /// The root of a town that is there already.
    pub(crate) live_town: Option<PathBuf>,
    /// Which processes the run shares with others.
    pub(crate) namespace: Namespace,
    /// The fence around what agents start.
    pub(crate) fence: FenceMode,
    /// Whether the town stays for a look.
    pub(crate) keep_town: bool,
    /// Replaces the scenario's landing time limit.
    pub(crate) timeout: Option<Duration>,
    /// Ports to listen on.
    pub(crate) ports: Ports,
    /// Whether `latest` is made to point at this run.
    pub(crate) is_latest: bool,
}

/// A run that was played and judged.
#[derive(Debug)]
pub(crate) struct Played {
    /// The verdict.
    pub(crate) judgement: Judgement,
    /// The run's folder.
    pub(crate) report: PathBuf,
    /// The base directory, when it was kept.
    pub(crate) kept: Option<PathBuf>,
    /// Short id.
    pub(crate) id: String,
}

/// A short id that neither the cache nor the reports have yet.
pub(crate) fn fresh_id(cache: &Path, reports: &Path) -> Result<String, Failure> {
    for _ in 0..64 {
        let random =
            getrandom::u32().map_err(|error| Failure::environment(format!("the system gives no random numbers: {error}")))?;
        let id = short_id(random);
        let is_known = proctor_harness::runs::find(reports, &id).is_ok();
        if !is_known && !cache.join("runs").join(&id).exists() {
            return Ok(id);
        }
    }
    Err(Failure::environment("no free short id was found in 64 tries").hint("proctor clean"))
}

/// What the tokens of a run's agents are made with: 64 random hexadecimal digits.
fn fresh_secret() -> Result<String, Failure> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| Failure::environment(format!("the system gives no random numbers: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Plays a run and judges it.
pub(crate) async fn play(choice: Choice, display: Arc<Mutex<RunDisplay>>, cancel: Cancel) -> Result<Played, Failure> {
    let request = request(choice.clone())?;
    let id = request.id.clone();
    header(&display, &request);
    let claims = if request.live_town.is_some() { Claims::Trusted } else { Claims::Ignored };
    let services = Arc::new(RunServices::new(choice.ports, request.run_id.clone(), request.secret.clone(), claims));
    let told = Arc::clone(&display);
    let link = choice.is_latest.then(|| Arc::new(LatestLink::of(&request.report)));
    let set = link.clone();
    let progress = move |event: Progress| {
        if let Some(link) = &set {
            link.set();
        }
        told.lock().unwrap_or_else(PoisonError::into_inner).event(event);
    };
    let mut end = cycle::run(request, Arc::clone(&services), progress, cancel.clone()).await;
    let judgement = judge(&mut end, &display, &cancel).await;
    display.lock().unwrap_or_else(PoisonError::into_inner).finish();
    let judgement = judgement?;
    if let Some(trouble) = link.and_then(|link| link.trouble()) {
        crate::terminal::complain(&format!("warning: {trouble}"));
    }
    Ok(Played { judgement, report: end.report, kept: end.kept, id })
}

fn request(choice: Choice) -> Result<Request, Failure> {
    let cache = places::cache()?;
    let id = fresh_id(&cache, &choice.reports)?;
    let proctor =
        std::env::current_exe().map_err(|error| Failure::environment(format!("cannot find the running program: {error}")))?;
    let now = chrono::Utc::now();
    let folder = format!("{}-{id}", now.format("%Y%m%dT%H%M%SZ"));
    let reports = std::path::absolute(&choice.reports)
        .map_err(|error| Failure::environment(format!("the current directory cannot be used: {error}")))?;
    Ok(Request {
        id,
        run_id: uuid::Uuid::new_v4().to_string(),
        secret: fresh_secret()?,
        scenario: choice.scenario,
        town: choice.town,
        seed: choice.seed,
        command: choice.command,
        models: if choice.live_town.is_some() { "live" } else { "script" }.to_owned(),
        report: reports.join(folder),
        cache,
        proctor,
        agents: choice.agents,
        python: choice.python,
        live_town: choice.live_town,
        namespace: choice.namespace,
        fence: choice.fence,
        keep_town: choice.keep_town,
        landing_timeout: choice.timeout,
        environment: environment(),
        versions: [("proctor".to_owned(), env!("CARGO_PKG_VERSION").to_owned())].into(),
        clock: Arc::new(chrono::Utc::now),
    })
}

fn header(display: &Mutex<RunDisplay>, request: &Request) {
    let run = format!("run {}", request.id);
    let town = match request.town {
        TownKind::Builtin => "built-in town",
        TownKind::Gastown => "Gas Town",
    };
    let (town, models) = match &request.live_town {
        Some(place) => (format!("the town {}", place.display()), "its own agents"),
        None => (town.to_owned(), "scripted models"),
    };
    let parts = [request.scenario.spec.name.as_str(), &town, models, &run];
    display.lock().unwrap_or_else(PoisonError::into_inner).header(&parts);
}

/// `latest`, which is set once the run's folder is there.
struct LatestLink {
    link: PathBuf,
    folder: PathBuf,
    /// How it went, once it was tried.
    done: Mutex<Option<std::io::Result<()>>>,
}

impl LatestLink {
    fn of(report: &Path) -> Self {
        Self { link: report.with_file_name(places::LATEST), folder: report.to_owned(), done: Mutex::default() }
    }

    /// A link that cannot be made costs a convenience, not the run.
    fn set(&self) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if done.is_some() || !self.folder.is_dir() {
            return;
        }
        let name = self.folder.file_name().unwrap_or_default();
        *done = Some(places::replace_link(&self.link, Path::new(name)));
    }

    /// Why it does not point at this run.
    fn trouble(&self) -> Option<String> {
        let (link, done) = (self.link.display(), self.done.lock().unwrap_or_else(PoisonError::into_inner));
        let points_here = std::fs::read_link(&self.link).is_ok();
        match &*done {
            Some(Err(error)) => Some(format!("{link} does not point at this run: {error}; remove what stands in its place")),
            Some(Ok(())) if !points_here => {
                Some(format!("{link} is no link any more: something took its place while the run went on"))
            }
            _ => None,
        }
    }
}

/// Phase 8: verdict and reports, with a row and its entries in the timeline. The judge is given the seal as the harness holds it in
/// memory, so that it judges what the harness saw. A request to end that arrives meanwhile makes the run a cancelled one, in its
/// evidence too.
async fn judge(end: &mut RunEnd, display: &Mutex<RunDisplay>, cancel: &Cancel) -> Result<Judgement, Failure> {
    if !end.evidence {
        return Err(no_evidence(end));
    }
    let started_at = chrono::Utc::now();
    let mut judgement = judge_and_write(end).await?;
    if cancel.level() > 0 && end.record.stopped.is_none() {
        end.cancelled_while_judged()?;
        judgement = judge_and_write(end).await?;
    }
    let phase = Phase {
        number: 8,
        name: "judge".to_owned(),
        started_at,
        ended_at: Some(chrono::Utc::now()),
        ok: true,
        detail: judgement.summary.judged(),
        facts: Vec::new(),
    };
    log_phase(&end.report, &phase)?;
    display.lock().unwrap_or_else(PoisonError::into_inner).ended(&phase);
    Ok(judgement)
}

async fn judge_and_write(end: &RunEnd) -> Result<Judgement, Failure> {
    let report = end.report.clone();
    let options = Options { seal: Some(end.seal.clone()), ..Options::default() };
    let judged = tokio::task::spawn_blocking(move || {
        let judgement = proctor_judge::judge(&report, &options)?;
        proctor_judge::write_reports(&report, &judgement)?;
        Ok::<Judgement, Failure>(judgement)
    });
    judged.await.map_err(|error| Failure::harness(format!("the judge failed: {error}")))?
}

/// The run's folder could not be written, so that there is nothing to judge: the harness says why.
fn no_evidence(end: &RunEnd) -> Failure {
    match &end.record.stopped {
        Some(stopped) => {
            let mut failure = Failure::environment(stopped.message.clone());
            failure.code = outcome(stopped.kind).exit_code();
            let hint = stopped.hint.clone();
            failure.maybe_hint(hint).maybe_hint(Some("name a folder that can be written: --reports DIR".to_owned()))
        }
        None => Failure::environment(format!("{} could not be written", end.report.display())),
    }
}

fn outcome(kind: StopKind) -> Outcome {
    match kind {
        StopKind::Environment => Outcome::EnvironmentError,
        StopKind::Provider => Outcome::ProviderError,
        StopKind::Harness => Outcome::HarnessError,
        StopKind::Cancelled => Outcome::Cancelled,
        StopKind::Timeout => Outcome::NotLanded,
        StopKind::Lost => Outcome::Unknown,
    }
}

/// Appends phase 8 to `timeline.ndjson` and `run.log`, which the harness wrote up to here.
fn log_phase(report: &Path, phase: &Phase) -> Result<(), Failure> {
    let entry = |kind: &str, at: Time, text: String| Happening {
        at,
        kind: kind.to_owned(),
        actor: String::new(),
        text,
        values: [("phase".to_owned(), 8.into())].into(),
        claimed: false,
    };
    let ended = phase.ended_at.unwrap_or(phase.started_at);
    let entries = [
        entry("phase_began", phase.started_at, "8 judge".to_owned()),
        entry("phase_ended", ended, format!("8 judge: {}", phase.detail)),
    ];
    let mut lines = String::new();
    let mut log = String::new();
    for entry in &entries {
        let line =
            serde_json::to_string(entry).map_err(|error| Failure::harness(format!("cannot encode a timeline entry: {error}")))?;
        lines.push_str(&line);
        lines.push('\n');
        log.push_str(&format!("{} {}\n", entry.at.format("%H:%M:%S%.3f"), entry.text));
    }
    append(&report.join("timeline.ndjson"), &lines)?;
    append(&report.join("run.log"), &log)
}

fn append(path: &Path, text: &str) -> Result<(), Failure> {
    let written = OpenOptions::new().create(true).append(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| crate::failure::file_error("cannot write", path, &error))
}
