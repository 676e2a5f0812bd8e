//! Phase 7's exercises: what was merged is run in clean surroundings, and what happened becomes evidence.
//!
//! Independent exercises run at the same time, as many as the machine has cores; one that comes after another waits for it.

pub mod python;
pub mod step;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proctor_judge::evidence::ExerciseRecord;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use walkdir::WalkDir;

use crate::cycle::{Cancel, Clock};
use crate::halt::Halt;
use crate::landed::TARGET;
use crate::landed::git::Git;
use crate::scenario::{Exercise, Files, Scenario, Spec};
use python::{Python, Wanted};
use step::Place;

/// What exercises run on and with.
#[derive(Clone)]
pub struct Ground {
    /// The scenario.
    pub spec: Arc<Spec>,
    /// Folder for clones, working directories and the scenario's checks; fresh.
    pub work: PathBuf,
    /// The interpreter.
    pub python: PathBuf,
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
        let place = self.place(exercise)?;
        let mut record =
            ExerciseRecord { name: exercise.name.clone(), title: exercise.title.clone(), steps: Vec::new(), not_done: None };
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
                Err(missing) => _ = record.not_done.get_or_insert(missing),
            }
        }
        Ok(record)
    }

    /// Makes the fresh surroundings of one exercise. The clones are copied, so that none sees what another wrote there.
    fn place(&self, exercise: &Exercise) -> Result<Place, Halt> {
        let root = self.work.join("run").join(&exercise.name);
        let below = |name: &str| root.join(name);
        for name in ["work", "home", "tmp", "repos"] {
            fs::create_dir_all(below(name)).map_err(|error| Halt::io("make", &below(name), &error))?;
        }
        let left = |name: &str| self.work.join("run").join(name).join("work");
        if let Some(after) = &exercise.after {
            copy(&left(after), &below("work"))?;
        }
        for (folder, from) in &exercise.bring {
            copy(&left(from), &below("work").join(folder))?;
        }
        copy(&self.work.join("repos"), &below("repos"))?;
        Ok(Place {
            work: below("work"),
            home: below("home"),
            tmp: below("tmp"),
            repos: below("repos"),
            checks: self.work.join("checks"),
            python: self.python.clone(),
            watch: self.spec.watch.clone(),
            env: self.environment(&below("repos")),
        })
    }

    fn environment(&self, repos: &Path) -> BTreeMap<String, String> {
        let bin = self.python.parent().map(|bin| bin.display().to_string()).unwrap_or_default();
        let fixed = [("LANG", "C.UTF-8"), ("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUNBUFFERED", "1"), ("TERM", "dumb")];
        let mut env: BTreeMap<String, String> =
            fixed.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        env.insert("PATH".into(), format!("{bin}:/usr/local/bin:/usr/bin:/bin"));
        for rig in &self.spec.rig {
            env.insert(format!("PROCTOR_REPO_{}", rig.name.to_uppercase()), repos.join(&rig.name).display().to_string());
        }
        env
    }
}

/// The exercises that must have ended before this one can begin.
fn needed_by(exercise: &Exercise) -> impl Iterator<Item = &String> {
    exercise.after.iter().chain(exercise.bring.values())
}

/// The record of an exercise that was not begun or broken off.
pub fn not_done(exercise: &Exercise, why: &str) -> ExerciseRecord {
    ExerciseRecord { name: exercise.name.clone(), title: exercise.title.clone(), steps: Vec::new(), not_done: Some(why.into()) }
}

/// Copies a folder's files and links; a missing folder is empty.
fn copy(from: &Path, to: &Path) -> Result<(), Halt> {
    for entry in WalkDir::new(from).into_iter().flatten() {
        let target = to.join(entry.path().strip_prefix(from).unwrap_or(entry.path()));
        let kind = entry.file_type();
        let copied = if kind.is_dir() {
            fs::create_dir_all(&target)
        } else if kind.is_symlink() {
            fs::read_link(entry.path()).and_then(|link| std::os::unix::fs::symlink(link, &target))
        } else {
            fs::copy(entry.path(), &target).map(drop)
        };
        copied.map_err(|error| Halt::io("write", &target, &error))?;
    }
    Ok(())
}

/// The folder of an exercise's record below `evidence/exercise/`.
pub fn folder_name(name: &str) -> String {
    name.replace('/', "+")
}

/// What an exercise is run again with.
pub struct Again<'a> {
    /// The scenario, as it is now.
    pub scenario: &'a Scenario,
    /// The run's `evidence/` folder.
    pub evidence: &'a Path,
    /// Proctor's folder in the user's cache.
    pub cache: &'a Path,
    /// An interpreter that already has the packages.
    pub python: Option<&'a Path>,
    /// The user's environment.
    pub environment: &'a BTreeMap<String, String>,
    /// A fresh folder to work in; the caller removes it.
    pub work: PathBuf,
    /// The time of day.
    pub clock: Clock,
}

/// Runs one exercise (and those it comes after) again on what was merged, from the evidence's bundles. Evidence is not changed.
///
/// # Errors
/// Unknown exercise, no interpreter, or bundles that cannot be read.
pub async fn again(again: Again<'_>, name: &str, cancel: &Cancel) -> Result<ExerciseRecord, Halt> {
    let spec = &again.scenario.spec;
    let wanted_exercises = with_needed(&spec.exercise, name)?;
    let runtime = spec.runtime.as_ref().ok_or_else(|| Halt::harness("the scenario has no runtime"))?;
    let wanted = Wanted {
        named: again.python.map(Path::to_owned),
        packages: runtime.packages.clone(),
        cache: again.cache.to_owned(),
        environment: again.environment.clone(),
    };
    let python: Python = python::provide(&wanted).await?;
    let ground = Ground { spec: Arc::new(spec.clone()), work: again.work.clone(), python: python.program, clock: again.clock };
    let git = own_git(again.environment, &again.work)?;
    ground.prepare(&again.scenario.files, &git, &again.evidence.join(proctor_judge::evidence::path::GIT)).await?;
    let mut found = None;
    let keep = |record: ExerciseRecord| {
        found = (record.name == name).then_some(record).or(found.take());
        Ok(())
    };
    ground.run(&wanted_exercises, cancel, keep).await?;
    found.ok_or_else(Halt::cancelled)
}

/// Git with a cleared environment and a home of its own below `work`.
fn own_git(environment: &BTreeMap<String, String>, work: &Path) -> Result<Git, Halt> {
    let path = environment.get("PATH").map_or("/usr/bin:/bin", String::as_str);
    let program =
        crate::linux::find_program("git", path).ok_or_else(|| Halt::environment("no git was found").hint("install git"))?;
    let fixed = [("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_TERMINAL_PROMPT", "0"), ("PATH", path)];
    let mut env: BTreeMap<String, String> = fixed.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    env.insert("HOME".into(), work.display().to_string());
    Ok(Git::new(program, env))
}

/// The named exercise and all that must run before it, in the scenario's order.
fn with_needed(all: &[Exercise], name: &str) -> Result<Vec<Exercise>, Halt> {
    if !all.iter().any(|e| e.name == name) {
        let near = crate::scenario::problem::nearest(name, all.iter().map(|e| e.name.as_str()));
        let halt = Halt::harness(format!("there is no exercise `{name}`"));
        return Err(near.map_or(halt.clone(), |near| halt.hint(format!("did you mean `{near}`?"))));
    }
    let mut wanted = vec![name.to_owned()];
    // Each comes after earlier ones only, so one pass from the end finds all.
    for exercise in all.iter().rev().filter(|e| e.after.is_some() || !e.bring.is_empty()) {
        if wanted.contains(&exercise.name) {
            wanted.extend(needed_by(exercise).cloned());
        }
    }
    Ok(all.iter().filter(|e| wanted.contains(&e.name)).cloned().collect())
}
