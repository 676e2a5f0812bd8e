//! Phase 7: everything that judging needs, brought to disk in the order in which it comes to rest.
//!
//! Agents quiet, then telemetry flushed, then the end state, git, transcripts, exercises; the town stopped; leftovers looked for.
//! It is done as far as possible however the run ended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use proctor_judge::evidence::{Delivery, Leftover, Loss, RigGit, SkippedRow, StopKind, Time, path};
use tokio::time::{Instant, sleep};

use super::critical_path::critical_path;
use super::lock::Lock;
use super::recorder::{Done, Tell};
use super::run::Run;
use super::stalled::StalledCollector;
use super::{Progress, Services, agents};
use crate::clean;
use crate::exercise::python::Provided;
use crate::exercise::{self, Bench, Fencing, Ground};
use crate::halt::Halt;
use crate::landed::{TARGET, Wanted};
use crate::launch::telemetry_key;
use crate::ledger::Ledger;
use crate::linux;
use crate::process;
use crate::scenario::{Exercise, FaultKind};
use crate::town::{Snapshot, Tempo};
use crate::untrusted;

/// How long a process that outlived the town may take to end.
const LEFTOVER_GRACE: Duration = Duration::from_millis(500);

impl<S: Services> Run<S> {
    /// Phase 7. `ended` is how phases 1 to 6 ended.
    pub(crate) async fn collect(&mut self, ended: Result<(), &Halt>) -> Result<Done, Halt> {
        let mut first = None;
        if self.state.is_some() && ended.is_ok() {
            let quiet = self.wait_until_quiet().await.map_err(Halt::of_the_town);
            self.keep(&mut first, "waiting until no agent works", quiet);
        }
        if ended.is_err() {
            let held = self.hold_still().await.map_err(Halt::of_the_town);
            self.keep(&mut first, "stopping the town and reading its end state", held);
        }
        let kept = self.keep_git().await.map_err(Halt::of_the_town);
        self.keep(&mut first, "keeping what the origins hold", kept);
        let exercises = self.exercises(ended);
        let ground = self.ground(ended).await;
        self.keep(&mut first, "laying out the deliverables", ground.as_ref().map(drop).map_err(Clone::clone));
        let (done, stopped) = {
            let work = run_exercises(
                ground.ok().flatten(),
                exercises,
                self.rec.evidence.clone(),
                self.rec.ledger.clone(),
                self.cancel.clone(),
                self.rec.teller(),
            );
            tokio::join!(work, self.stop_and_read())
        };
        self.keep(&mut first, "stopping and reading the town", stopped);
        self.rec.record.leftovers.extend(self.state.iter().flat_map(|state| state.leftovers.clone()));
        let count = *done.as_ref().unwrap_or(&0);
        keep(&mut first, self.take_refusals());
        keep(&mut first, self.take_pushes());
        self.keep(&mut first, "running the deliverables", done.map(drop).map_err(Halt::of_the_town));
        keep(&mut first, self.write_rows());
        keep(&mut first, self.write_commands());
        keep(&mut first, self.write_requests());
        let leftovers = self.look_for_leftovers().await;
        keep(&mut first, leftovers);
        keep(&mut first, self.write_lock().await);
        keep(&mut first, self.enter_kept(&[path::RAW, path::TRANSCRIPTS]).await);
        self.collected = true;
        first.map_or_else(|| Ok(self.summed_up(count)), Err)
    }

    fn summed_up(&self, exercises: usize) -> Done {
        let state = self.state.as_ref();
        let (agents, mail, beads) = state.map_or((0, 0, 0), |s| (s.agents.len(), s.mail.len(), s.beads.len()));
        let events = self.live.totals.events;
        let parts = [(events as usize, "event"), (agents, "agent"), (exercises, "exercise")];
        let detail = parts.map(|(number, one)| format!("{number} {one}{}", if number == 1 { "" } else { "s" })).join(" · ");
        let facts = [
            ("events", events as usize),
            ("agents", agents),
            ("mails", mail),
            ("beads", beads),
            ("exercises", exercises),
            ("leftovers", self.rec.record.leftovers.len()),
        ];
        let done = facts.iter().fold(Done::new(detail), |done, (label, value)| done.fact(label, value.to_string()));
        let path = self.rec.record.notes.get("critical_path").into_iter();
        let done = path.fold(done, |done, path| done.fact("critical path", path.clone()));
        self.critical.iter().fold(done, |done, step| {
            let who = if step.agent.is_empty() { "proctor" } else { &step.agent };
            done.fact(&format!("{:.1} s", step.wall_s), format!("{}: {}", who.replace("/polecats/", "/"), step.command))
        })
    }

    /// Waits until no agent works, and looks a last time: what landed must still be there.
    async fn wait_until_quiet(&mut self) -> Result<(), Halt> {
        let Tempo { rest: poll, quiet, .. } = self.town()?.tempo();
        let limit = self.request.scenario.spec.timeouts.quiet.0.max(quiet);
        let until = Instant::now() + limit;
        loop {
            let look = self.look().await;
            let quiet = match (&self.state, &self.town) {
                (Some(state), Some(town)) => town.quiet(state).await,
                _ => false,
            };
            if quiet || Instant::now() >= until {
                return look.map(drop);
            }
            sleep(poll).await;
        }
    }

    /// Stops a town that did not land before anything of it is kept: it would go on, and what is kept would not be of one moment.
    /// The clauses stay as they were seen last, and so do the agents' states.
    async fn hold_still(&mut self) -> Result<(), Halt> {
        self.strikes.take_back(self.rec.now());
        let Some(before) = self.state.clone() else { return Ok(()) };
        if let Some(town) = self.town.as_ref().filter(|_| !self.request.keep_town) {
            town.stop().await?;
        }
        self.mend().await;
        let Some(town) = &self.town else { return Ok(()) };
        let after = match town.observe().await {
            // What was seen last is the end state of a town that a planned fault left unreadable.
            Err(halt) if self.is_hit() => {
                self.rec.log(&format!("the end state could not be read: {halt}"));
                return Ok(());
            }
            after => Arc::new(with_states_of(Arc::unwrap_or_clone(after?), Some(&before))),
        };
        if let Some(landed) = &mut self.landed {
            self.deliveries = landed.deliveries(&after, |rig| town.merge_repository(rig)).await?;
        }
        self.state = Some(after);
        Ok(())
    }

    /// Starts again what a planned fault killed and the end state needs.
    async fn mend(&mut self) {
        let Some(town) = self.town.as_ref().filter(|_| self.is_hit()) else { return };
        if let Err(halt) = town.mend().await {
            self.rec.log(&format!("not started again after a planned fault: {halt}"));
        }
    }

    async fn keep_git(&mut self) -> Result<(), Halt> {
        self.take_pushes()?;
        self.write_pushes()?;
        let (Some(git), Some(landed)) = (&self.git, &self.landed) else { return Ok(()) };
        let folder = self.rec.evidence.join(path::GIT);
        let mut rows: Vec<RigGit> = Vec::new();
        for rig in &self.request.scenario.spec.rig {
            let (origin, heads) = (landed.origin(&rig.name), landed.heads(&rig.name));
            let branches = submitted(&self.deliveries, &rig.name);
            let (bundle, tree) = (folder.join(format!("{}.bundle", rig.name)), folder.join(&rig.name).join("tree"));
            let (rig, is_folder) = (rig.name.as_str(), landed.pushes().is_none());
            let wanted =
                Wanted { origin: &origin, rig, target: TARGET, heads: &heads, branches: &branches, bundle: &bundle, tree: &tree };
            rows.push(match git.collect(wanted).await {
                // What agents can write can be damaged by them: that is no defect of Proctor.
                Err(halt) if is_folder && halt.kind == StopKind::Harness => unreadable(rig, &halt),
                row => row?,
            });
        }
        let (ledger, evidence) = (&self.rec.ledger, &self.rec.evidence);
        ledger.write_rows(&evidence.join(path::GIT_RIGS), &rows)?;
        ledger.write_rows(&evidence.join(path::DELIVERIES), &self.deliveries)?;
        ledger.write_rows(&evidence.join(path::SIGNS), landed.signs())?;
        self.enter_kept(&[path::GIT]).await
    }

    /// Enters what git and the town made for Proctor in folders of the evidence, as soon as it is there.
    pub(crate) async fn enter_kept(&self, folders: &[&str]) -> Result<(), Halt> {
        let places: Vec<PathBuf> = folders.iter().map(|folder| self.rec.evidence.join(folder)).collect();
        let ledger = self.rec.ledger.clone();
        let entered = tokio::task::spawn_blocking(move || places.iter().try_for_each(|place| ledger.adopt(place)));
        entered.await.map_err(|error| Halt::harness(error.to_string()))?
    }

    /// The exercises, each with the reason why it is not done, if there is one.
    fn exercises(&self, ended: Result<(), &Halt>) -> Vec<(Exercise, Option<String>)> {
        let why = ended.err().map(|halt| match halt.kind {
            StopKind::Timeout => "not landed".to_owned(),
            StopKind::Cancelled => "the run was cancelled".to_owned(),
            _ => format!("the run ended before: {}", halt.message),
        });
        self.request.scenario.spec.exercise.iter().map(|e| (e.clone(), why.clone())).collect()
    }

    async fn ground(&mut self, ended: Result<(), &Halt>) -> Result<Option<Ground>, Halt> {
        if ended.is_err() || self.request.scenario.spec.exercise.is_empty() {
            return Ok(None);
        }
        self.rec.tell(Progress::Doing("waiting for the runtime of the deliverables".into()));
        let runtime: Option<Arc<Provided>> = tokio::select! {
            ready = self.runtime.ready() => ready?,
            () = self.cancel.reached(1) => return Err(Halt::cancelled()),
        };
        let Some(git) = &self.git else { return Ok(None) };
        let version = runtime.iter().map(|runtime| ("python".to_owned(), runtime.python.version.clone()));
        self.rec.record.versions.extend(version);
        let spec = Arc::new(self.request.scenario.spec.clone());
        let (work, clock) = (self.root()?.join("work"), Arc::clone(&self.rec.clock));
        let bench = self.bench(&work, runtime.as_ref()).await?.map(Arc::new);
        let ground =
            Ground { spec, work, runtime, programs: self.needed.clone(), bench, secret: self.request.secret.clone(), clock };
        ground.prepare(&self.request.scenario.files, git, &self.rec.evidence.join(path::GIT)).await.map_err(Halt::of_the_town)?;
        Ok(Some(ground))
    }

    async fn bench(&self, work: &Path, runtime: Option<&Arc<Provided>>) -> Result<Option<Bench>, Halt> {
        let fencing = Fencing {
            mode: self.request.fence,
            proctor: self.request.proctor.clone(),
            limits: self.limits(),
            hide: self.kept_unread(),
        };
        let (work, runtime, programs) = (work.to_owned(), runtime.cloned(), self.needed.clone());
        let set_up = move || {
            let python = runtime.as_ref().map(|runtime| &runtime.python);
            Bench::set_up(fencing, &work, python, &programs).map_err(|error| Halt::io("write", &work, &error))
        };
        untrusted::apart(set_up).await?
    }

    /// Stops the town, flushes telemetry, and reads the end state.
    async fn stop_and_read(&mut self) -> Result<(), Halt> {
        self.strikes.take_back(self.rec.now());
        let mut first = None;
        if let Some(town) = self.town.as_ref().filter(|_| !self.request.keep_town) {
            keep(&mut first, town.stop().await.map_err(Halt::of_the_town));
        }
        self.mend().await;
        let Some(town) = &self.town else { return Ok(()) };
        if self.services_begun {
            keep(&mut first, self.services.flush().await);
            let counts = self.services.counts().await;
            self.live.counts(&counts);
        }
        // States as they were before the town was stopped: a worker that hung must not look stopped.
        let before = self.state.take();
        match town.observe().await {
            Ok(after) => self.state = Some(Arc::new(with_states_of(Arc::unwrap_or_clone(after), before.as_deref()))),
            Err(_) if before.is_some() => self.state = before,
            Err(halt) => keep(&mut first, Err(halt.of_the_town())),
        }
        // Before the town is copied: that reads every table once more, which no waiting needed.
        self.rec.record.notes.extend(town.reading_cost().await.map(|cost| ("state_reads".to_owned(), cost)));
        let collected = town.collect(&self.rec.evidence.join(path::TRANSCRIPTS)).await;
        match collected {
            Err(halt) if self.is_hit() => {
                self.rec.log(&format!("not all of the town could be kept after a planned fault: {halt}"))
            }
            Ok(skipped) => keep(&mut first, self.write_skipped(&skipped)),
            Err(halt) => keep(&mut first, Err(halt.of_the_town())),
        }
        if !self.request.keep_town {
            keep(&mut first, town.end().await.map_err(Halt::of_the_town));
        }
        let events = town.new_events(&mut self.events_read);
        keep(&mut first, self.take_events(&events));
        first.map_or(Ok(()), Err)
    }

    /// What was left out of the town's files; nothing is written when that is nothing.
    fn write_skipped(&self, skipped: &[SkippedRow]) -> Result<(), Halt> {
        if skipped.is_empty() {
            return Ok(());
        }
        self.rec.ledger.write_rows(&self.rec.evidence.join(path::SKIPPED), skipped)
    }

    /// The town's commands, and those of them that the landing waited for.
    fn write_commands(&mut self) -> Result<(), Halt> {
        let Some(commands) = self.commands.take().map(|watching| watching.commands()) else { return Ok(()) };
        let raw = self.rec.evidence.join(path::RAW);
        self.rec.ledger.write_rows(&raw.join("town-commands.ndjson"), &commands)?;
        let (Some(begun), Some(landed)) = (self.begun, self.landed_at) else { return Ok(()) };
        let critical = critical_path(&commands, begun, landed);
        // In a live town the agents' commands cannot be told from those of others.
        if critical.is_empty() {
            return Ok(());
        }
        self.rec.ledger.write_rows(&raw.join("critical-path.ndjson"), &critical)?;
        let sum: f64 = critical.iter().map(|command| command.wall_s).sum();
        let wall = (landed - begun).as_seconds_f64();
        self.rec.record.notes.insert("critical_path".into(), format!("{sum:.1} s of commands in {wall:.1} s until landed"));
        self.critical = critical;
        Ok(())
    }

    /// What came in that counts for nobody.
    fn write_requests(&self) -> Result<(), Halt> {
        if !self.services_begun {
            return Ok(());
        }
        self.rec.ledger.write_rows(&self.rec.evidence.join(path::REQUESTS), &self.services.refused_requests())
    }

    /// A town that was never read has no rows, not even empty ones.
    fn write_rows(&mut self) -> Result<(), Halt> {
        let Some(mut state) = self.state.as_deref().cloned() else { return Ok(()) };
        self.name_programs(&mut state);
        let file = |name: &str| self.rec.evidence.join(name);
        let ledger = &self.rec.ledger;
        ledger.write_rows(&file(path::BEADS), &state.beads)?;
        ledger.write_rows(&file(path::CONVOYS), &state.convoys)?;
        ledger.write_rows(&file(path::MAIL), &state.mail)?;
        ledger.write_rows(&file(path::MERGE_REQUESTS), &state.merge_requests)?;
        ledger.write_rows(&file(path::AGENTS), &state.agents)?;
        ledger.write_rows(&file(path::SESSIONS), &state.sessions)?;
        let faults = agents::fault_rows(&self.request.scenario.spec.fault, &self.fired(), &self.strikes, &state);
        ledger.write_rows(&file(path::FAULTS), &faults)
    }

    /// When faults fired that neither a strike nor an agent's beginning tells of.
    fn fired(&self) -> BTreeMap<String, Time> {
        let mut fired = self.live.fired.clone();
        let stalled = self.stalled.as_ref().and_then(StalledCollector::first);
        let collectors = self.request.scenario.spec.fault.iter().filter(|fault| fault.kind == FaultKind::Collector);
        fired.extend(collectors.filter_map(|fault| Some((fault.name.clone(), stalled?))));
        fired
    }

    /// Which program played an agent, and what telemetry it owes, only the harness knows.
    fn name_programs(&self, state: &mut Snapshot) {
        let plan = self.request.scenario.plan();
        for agent in &mut state.agents {
            let entry = self.table.as_ref().and_then(|table| table.entry(&agent.agent).ok());
            agent.program = entry.map_or_else(|| agent.program.clone(), |(_, entry)| entry.program.clone());
            // A town may name agents that it never starts; who never lived owes nothing.
            let lived = state.sessions.iter().any(|session| session.agent == agent.agent);
            let program = if lived { agent.program.as_str() } else { "" };
            agent.telemetry = telemetry_key(program, plan.telemetry.keys().map(String::as_str));
        }
    }

    /// Ends what outlived the town and names it.
    pub(crate) async fn look_for_leftovers(&mut self) -> Result<(), Halt> {
        self.end_keeper().await?;
        // In a live town whoever stands in an origin may be an agent that pushes, now or later.
        let stays = self.request.keep_town || self.request.live_town.is_some();
        let Some(base) = self.base.as_ref().filter(|_| !stays) else { return Ok(()) };
        let (id, root) = (self.request.id.clone(), base.root().to_owned());
        let found = tokio::task::spawn_blocking(move || {
            let left = clean::processes_of(&id, &root, &adopted(&root), &BTreeSet::new());
            let stubborn = clean::end_each(&left, LEFTOVER_GRACE);
            (left, stubborn)
        });
        let (left, stubborn) = found.await.map_err(|error| Halt::harness(error.to_string()))?;
        for process in left {
            self.rec.note("leftover", format!("ended {} {}", process.pid, process.command), std::collections::BTreeMap::new())?;
            let ended = !stubborn.contains(&process.pid);
            self.rec.record.leftovers.push(Leftover { pid: process.pid, command: process.command, agent: process.agent, ended });
        }
        Ok(())
    }

    async fn write_lock(&mut self) -> Result<(), Halt> {
        if let Some(kib) = linux::proportional_memory_kib(std::process::id()) {
            self.rec.record.notes.insert("proctor_memory_kib".into(), kib.to_string());
        }
        let runtime = self.runtime.ready().now_or_never().and_then(Result::ok).flatten();
        let (scenario, seed, programs) = (self.request.scenario.clone(), self.request.seed, self.programs.clone());
        let sums = self.sums.known().await;
        let lock = tokio::task::spawn_blocking(move || {
            Lock::of(
                &scenario.spec.name,
                seed,
                &scenario.files,
                &programs,
                runtime.as_ref().map(|runtime| &runtime.python),
                &sums,
            )
        });
        let lock = lock.await.map_err(|error| Halt::harness(error.to_string()))?;
        self.rec.ledger.write_json(&self.request.report.join("lock.json"), &lock)
    }
}

impl<S: Services> Run<S> {
    /// Remembers the first failure; what agents can bring about is written down as a loss and ends nothing.
    fn keep(&mut self, first: &mut Option<Halt>, what: &str, outcome: Result<(), Halt>) {
        match outcome {
            Err(halt) if halt.kind == StopKind::Lost => {
                self.rec.log(&format!("lost while {what}: {}", halt.message));
                self.rec.record.losses.push(Loss { what: what.to_owned(), message: halt.message, agent: None });
            }
            outcome => keep(first, outcome),
        }
    }
}

/// Remembers the first failure; collecting goes on all the same.
fn keep(first: &mut Option<Halt>, outcome: Result<(), Halt>) {
    if let Err(halt) = outcome {
        first.get_or_insert(halt);
    }
}

/// Children of this process that the kernel gave it because their parents ended, and that stand in the run's base directory.
fn adopted(root: &Path) -> BTreeSet<u32> {
    let (me, own) = (std::process::id(), process::own());
    let below = |pid: u32| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd: PathBuf| cwd.starts_with(root));
    let children = linux::processes().into_iter().filter(|p| p.parent == me && p.state != 'Z' && !own.contains(&p.pid));
    children.map(|p| p.pid).filter(|pid| below(*pid)).collect()
}

/// The branches of a rig that were handed in.
fn submitted(deliveries: &[Delivery], rig: &str) -> Vec<String> {
    deliveries.iter().filter(|delivery| delivery.rig == rig).filter_map(|delivery| delivery.branch.clone()).collect()
}

/// The row of an origin that git cannot read.
fn unreadable(rig: &str, halt: &Halt) -> RigGit {
    RigGit { cut: vec![format!("the origin cannot be read: {}", halt.message)], ..RigGit::empty(rig, TARGET) }
}

fn with_states_of(mut after: Snapshot, before: Option<&Snapshot>) -> Snapshot {
    for old in before.into_iter().flat_map(|before| before.agents.clone()) {
        if let Some(agent) = after.agents.iter_mut().find(|agent| agent.agent == old.agent) {
            agent.state = old.state;
            agent.issue = agent.issue.take().or(old.issue);
        }
    }
    after
}

async fn run_exercises(
    ground: Option<Ground>,
    exercises: Vec<(Exercise, Option<String>)>,
    evidence: PathBuf,
    ledger: Ledger,
    cancel: super::Cancel,
    tell: Tell,
) -> Result<usize, Halt> {
    let (folder, runtime_file) = (evidence.join(path::EXERCISE), evidence.join(path::RUNTIME));
    let write = |record: &proctor_judge::evidence::ExerciseRecord| {
        let folder = folder.join(exercise::folder_name(&record.name));
        // A folder that cannot be made because something is in its place is named by the judge, like the record that is not there.
        _ = std::fs::create_dir_all(&folder);
        ledger.write_json(&folder.join("record.json"), record)
    };
    let Some(ground) = ground else {
        for (one, why) in &exercises {
            write(&exercise::not_done(one, why.as_deref().unwrap_or("the runtime of the deliverables is not there")))?;
        }
        return Ok(0);
    };
    let all: Vec<Exercise> = exercises.into_iter().map(|(exercise, _)| exercise).collect();
    let mut count = 0;
    ground
        .run(&all, &cancel, |record| {
            count += 1;
            tell(Progress::Doing(format!("exercise {count} of {}: {}", all.len(), record.name)));
            write(&record)
        })
        .await?;
    if let Some(record) = ground.runtime().await? {
        ledger.write_json(&runtime_file, &record)?;
    }
    Ok(count)
}
