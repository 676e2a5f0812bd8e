//! Phase 7's exercises: what was merged is run in clean surroundings, and what happened becomes evidence.
//!
//! Independent exercises run at the same time, as many as the machine has cores; one that comes after another waits for it.

mod again;
mod bench;
mod kept;
mod place;
pub mod programs;
pub mod python;
pub mod step;
mod strays;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proctor_judge::evidence::{ExerciseRecord, RuntimeRecord};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::cycle::{Cancel, Clock};
use crate::halt::Halt;
use crate::landed::TARGET;
use crate::landed::git::Git;
use crate::scenario::{Exercise, Files, Spec};
use programs::Programs;
use python::Provided;

pub use again::{Again, again};
pub use bench::{Bench, Fencing};
pub(crate) use kept::keep;
pub use kept::{KeptError, kept};

/// What exercises run on and with.
#[derive(Clone)]
pub struct Ground {
    /// The scenario.
    pub spec: Arc<Spec>,
    /// Folder for clones, working directories and the scenario's checks; fresh.
    pub work: PathBuf,
    /// The interpreter, whose environment is watched for changes; absent where no exercise needs it.
    pub runtime: Option<Arc<Provided>>,
    /// Programs that deliverables need besides.
    pub programs: Programs,
    /// The fence around each step; absent: there is none.
    pub bench: Option<Arc<Bench>>,
    /// What nobody but the harness knows: folders are named by it.
    pub secret: String,
    /// The time of day.
    pub clock: Clock,
}

impl Ground {
    /// Writes the scenario's checks and clones what was merged from bundles `<rig>.bundle`. A rig without a bundle has no clone.
    ///
    /// # Errors
    /// When git or the disk refuses.
    pub async fn prepare(&self, files: &Files, git: &Git, bundles: &Path) -> Result<(), Halt> {
        let checks = Files::new("checks", files.below("checks").map(|(path, bytes)| (path.to_owned(), bytes.to_vec())).collect());
        let folder = self.work.join("checks");
        checks.write_to(&folder).map_err(|error| Halt::io("write", &folder, &error))?;
        for rig in &self.spec.rig {
            let bundle = bundles.join(format!("{}.bundle", rig.name));
            if bundle.is_file() {
                git.clone_bundle(&bundle, TARGET, &self.work.join("repos").join(&rig.name)).await?;
            }
        }
        Ok(())
    }

    /// Runs exercises and hands each record to `done` as soon as it is there; a cancelled one is recorded as not done.
    ///
    /// # Errors
    /// When the machine refuses; the other exercises are ended then.
    pub async fn run(
        &self,
        exercises: &[Exercise],
        cancel: &Cancel,
        mut done: impl FnMut(ExerciseRecord) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let places = Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)));
        let ends: BTreeMap<String, watch::Sender<bool>> =
            exercises.iter().map(|e| (e.name.clone(), watch::Sender::new(false))).collect();
        let ends = Arc::new(ends);
        let mut running = JoinSet::new();
        for exercise in exercises.iter().cloned() {
            let (ground, places, ends, cancel) = (self.clone(), Arc::clone(&places), Arc::clone(&ends), cancel.clone());
            running.spawn(async move { ground.run_in_turn(exercise, &places, &ends, &cancel).await });
        }
        while let Some(ended) = running.join_next().await {
            done(ended.map_err(|error| Halt::harness(format!("an exercise broke off: {error}")))??)?;
        }
        Ok(())
    }

    async fn run_in_turn(
        &self,
        exercise: Exercise,
        places: &Semaphore,
        ends: &BTreeMap<String, watch::Sender<bool>>,
        cancel: &Cancel,
    ) -> Result<ExerciseRecord, Halt> {
        for before in needed_by(&exercise) {
            if let Some(end) = ends.get(before) {
                // The sender outlives every exercise, so waiting ends with the value.
                _ = end.subscribe().wait_for(|ended| *ended).await;
            }
        }
        let permit = places.acquire().await;
        let record = tokio::select! {
            record = self.run_one(&exercise) => record,
            () = cancel.reached(1) => Ok(not_done(&exercise, "the run was cancelled")),
        };
        drop(permit);
        if let Some(end) = ends.get(&exercise.name) {
            end.send_replace(true);
        }
        record
    }

    async fn run_one(&self, exercise: &Exercise) -> Result<ExerciseRecord, Halt> {
        let (mut place, not_brought) = self.place(exercise).await?;
        let mut record = empty(exercise);
        record.not_brought = not_brought;
        let mut facts = BTreeMap::new();
        for step in &exercise.step {
            let good = |need: &String| record.steps.iter().any(|done| done.name == *need && done.exit == Some(0));
            if let Some(need) = step.needs.iter().find(|need| !good(need)) {
                record.not_done.get_or_insert(format!("step `{}` was not run: `{need}` did not exit with 0", step.name));
                continue;
            }
            let limit = step.timeout.unwrap_or(self.spec.timeouts.exercise).0;
            match place.run(step, limit, &facts, (self.clock)()).await? {
                Ok(done) => {
                    facts.extend(done.facts.clone());
                    record.steps.push(done);
                }
                Err(missing) if step.command.is_some() => record.steps.push(step::not_started(step, &missing, (self.clock)())),
                Err(missing) => _ = record.not_done.get_or_insert(missing),
            }
            // Inside a fence nothing can be changed: one look at the end is enough.
            let is_open = !self.bench.as_ref().is_some_and(|bench| bench.keeps_clones());
            if let (Some(rig), Some(runtime), true) = (step.subject_rig(), &self.runtime, is_open) {
                runtime.watched.look(format!("step {} of exercise {} ({rig})", step.name, exercise.name)).await?;
            }
        }
        Ok(record)
    }

    /// What became of the interpreter's environment, once all exercises have ended; absent where there is none.
    ///
    /// # Errors
    /// When looking at it breaks off.
    pub async fn runtime(&self) -> Result<Option<RuntimeRecord>, Halt> {
        let Some(runtime) = &self.runtime else { return Ok(None) };
        runtime.watched.look("the exercises".to_owned()).await?;
        Ok(Some(runtime.watched.record(&runtime.python.version)))
    }
}

/// The exercises that must have ended before this one can begin.
fn needed_by(exercise: &Exercise) -> impl Iterator<Item = &String> {
    exercise.after.iter().chain(exercise.bring.values())
}

/// The record of an exercise that was not begun or broken off.
pub fn not_done(exercise: &Exercise, why: &str) -> ExerciseRecord {
    ExerciseRecord { not_done: Some(why.into()), ..empty(exercise) }
}

fn empty(exercise: &Exercise) -> ExerciseRecord {
    let (name, title) = (exercise.name.clone(), exercise.title.clone());
    ExerciseRecord { name, title, steps: Vec::new(), not_done: None, not_brought: BTreeMap::new() }
}

/// The folder of an exercise's record below `evidence/exercise/`.
pub fn folder_name(name: &str) -> String {
    name.replace('/', "+")
}
