//! Running one exercise of a run again, on what was merged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proctor_judge::evidence::{ExerciseRecord, FenceMode};

use super::programs;
use super::python::{self, Provided, Wanted};
use super::{Bench, Fencing, Ground, needed_by};
use crate::cycle::{Cancel, Clock};
use crate::halt::Halt;
use crate::landed::git::Git;
use crate::scenario::{Exercise, Scenario};

/// What an exercise is run again with.
pub struct Again<'a> {
    /// The scenario, as the run kept it (see [`super::kept()`]) or as it is now.
    pub scenario: &'a Scenario,
    /// The run's `evidence/` folder.
    pub evidence: &'a Path,
    /// Proctor's folder in the user's cache.
    pub cache: &'a Path,
    /// An interpreter that already has the packages.
    pub python: Option<&'a Path>,
    /// The user's environment.
    pub environment: &'a BTreeMap<String, String>,
    /// A fresh folder to work in; the caller removes it with [`crate::untrusted::remove`].
    pub work: PathBuf,
    /// How the fence around each step is enforced.
    pub fence: FenceMode,
    /// The running executable, which sets it up.
    pub proctor: PathBuf,
    /// What nobody else knows: folders are named by it.
    pub secret: String,
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
    let programs = programs::find(spec, again.environment).await?;
    let runtime = provided(&again).await?;
    let home = again.environment.get("HOME").map(PathBuf::from);
    let fencing = Fencing {
        mode: again.fence,
        proctor: again.proctor,
        limits: crate::fence::limits(&spec.limits),
        hide: home.into_iter().chain([again.cache.to_owned()]).collect(),
    };
    let bench = Bench::set_up(fencing, &again.work, runtime.as_ref().map(|runtime| &runtime.python), &programs)
        .map_err(|error| Halt::io("write", &again.work, &error))?;
    let ground = Ground {
        bench: bench.map(Arc::new),
        spec: Arc::new(spec.clone()),
        work: again.work.clone(),
        runtime: runtime.map(Arc::new),
        programs,
        secret: again.secret,
        clock: again.clock,
    };
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

/// The interpreter, where exercises need one.
async fn provided(again: &Again<'_>) -> Result<Option<Provided>, Halt> {
    let spec = &again.scenario.spec;
    if !spec.needs_python() {
        return Ok(None);
    }
    let wanted = Wanted {
        named: again.python.map(Path::to_owned),
        packages: spec.runtime.iter().flat_map(|runtime| runtime.packages.clone()).collect(),
        cache: again.cache.to_owned(),
        environment: again.environment.clone(),
    };
    python::provide(&wanted).await.map(Some)
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
