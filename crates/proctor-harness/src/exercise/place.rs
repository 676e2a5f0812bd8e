//! Where one exercise runs: folders whose names say nothing about it, the clones, what it brings along.
//!
//! Every step of every exercise sees the same form of surroundings, so that a deliverable cannot tell which exercise it is in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proctor_judge::evidence::Skipped;

use super::Ground;
use super::bench::Bench;
use super::programs::Programs;
use crate::digest::sha256;
use crate::halt::Halt;
use crate::scenario::Exercise;
use crate::untrusted::{self, Listing};

/// The folders of one exercise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Folders {
    /// The working directory, which all steps share.
    pub(super) work: PathBuf,
    /// `HOME`, empty when a step begins.
    pub(super) home: PathBuf,
    /// `TMPDIR`, empty when a step begins.
    pub(super) tmp: PathBuf,
    /// The folder of clones, one per rig.
    pub(super) repos: PathBuf,
    /// The scenario's `checks/`.
    pub(super) checks: PathBuf,
}

/// Where one exercise runs.
#[derive(Debug)]
pub(super) struct Place {
    /// Where its folders are.
    pub(super) real: Folders,
    /// Where its steps see them.
    pub(super) seen: Folders,
    /// The fence around each step; absent: there is none.
    pub(super) bench: Option<Arc<Bench>>,
    /// The interpreter; absent where none is needed.
    pub(super) python: Option<PathBuf>,
    /// Programs that deliverables need besides.
    pub(super) programs: Programs,
    /// Patterns of files whose opening is recorded.
    pub(super) watch: Vec<String>,
    /// The environment of every step.
    pub(super) env: BTreeMap<String, String>,
    /// The working directory as the last step left it.
    pub(super) before: Option<Listing>,
}

impl Ground {
    /// The folder of an exercise. Whoever does not know the run's secret cannot tell from its name which exercise it is.
    pub(super) fn folder(&self, exercise: &str) -> PathBuf {
        let name = sha256(format!("{}\n{exercise}", self.secret).as_bytes());
        self.work.join("run").join(&name[..12])
    }

    /// Makes the fresh surroundings of one exercise, and says what could not be brought along from those before, by their names.
    pub(super) async fn place(&self, exercise: &Exercise) -> Result<(Place, BTreeMap<String, Skipped>), Halt> {
        let root = self.folder(&exercise.name);
        let shared = self.work.join("repos");
        // Where a deliverable can write to clones each exercise gets its own.
        let kept = self.bench.as_ref().is_some_and(|bench| bench.keeps_clones());
        let copied = (!kept).then(|| root.join("repos"));
        let real = Folders {
            work: root.join("work"),
            home: root.join("home"),
            tmp: root.join("tmp"),
            repos: copied.clone().unwrap_or_else(|| shared.clone()),
            checks: self.work.join("checks"),
        };
        let left = |name: &String| self.folder(name).join("work");
        let after = exercise.after.iter().map(|name| (name.clone(), left(name), real.work.clone()));
        let bring = exercise.bring.iter().map(|(folder, name)| (name.clone(), left(name), real.work.join(folder)));
        let copies: Vec<_> = after.chain(bring).collect();
        let not_brought = untrusted::apart(move || bring_along(copies, copied.map(|to| (shared, to)))).await??;
        let seen = self.bench.as_ref().map_or_else(|| real.clone(), |bench| bench.seen(&real));
        let place = Place {
            env: self.environment(&seen.repos),
            real,
            seen,
            bench: self.bench.clone(),
            python: self.python(),
            programs: self.programs.clone(),
            watch: self.spec.watch.clone(),
            before: None,
        };
        Ok((place, not_brought))
    }

    fn python(&self) -> Option<PathBuf> {
        self.runtime.as_ref().map(|runtime| runtime.python.program.clone())
    }

    /// Where steps look for programs: the interpreter's folder, those of the programs that were found, the system's.
    fn search_path(&self) -> String {
        let found = self.python().into_iter().chain(self.programs.values().map(|found| found.path.clone()));
        let mut folders: Vec<String> =
            found.filter_map(|path| path.parent().map(|folder| folder.display().to_string())).collect();
        folders.extend(["/usr/local/bin", "/usr/bin", "/bin"].map(str::to_owned));
        let mut seen = std::collections::BTreeSet::new();
        folders.retain(|folder| seen.insert(folder.clone()));
        folders.join(":")
    }

    fn environment(&self, repos: &Path) -> BTreeMap<String, String> {
        let fixed = [("LANG", "C.UTF-8"), ("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUNBUFFERED", "1"), ("TERM", "dumb")];
        let mut env: BTreeMap<String, String> =
            fixed.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        env.insert("PATH".into(), self.search_path());
        for rig in &self.spec.rig {
            env.insert(format!("PROCTOR_REPO_{}", rig.name.to_uppercase()), repos.join(&rig.name).display().to_string());
        }
        env
    }
}

/// Copies what exercises before left, each `(name, from, to)`, and the clones. What deliverables made is left out where it is odd; of
/// the clones nothing is.
fn bring_along(
    copies: Vec<(String, PathBuf, PathBuf)>,
    clones: Option<(PathBuf, PathBuf)>,
) -> Result<BTreeMap<String, Skipped>, Halt> {
    let copied = |from: &Path, to: &Path| untrusted::copy(from, to).map_err(|error| Halt::io("write", to, &error));
    let mut not_brought: BTreeMap<String, Skipped> = BTreeMap::new();
    for (name, from, to) in copies {
        let skipped = copied(&from, &to)?;
        if !skipped.is_empty() {
            not_brought.entry(name).or_default().extend(skipped);
        }
    }
    if let Some((from, to)) = clones {
        copied(&from, &to)?;
    }
    Ok(not_brought)
}

impl Place {
    /// Empties `HOME` and `TMPDIR`, makes the working directory if it is not there, and lists it unless the last step's listing is known.
    pub(super) async fn refresh(&mut self) -> Result<Listing, Halt> {
        let folders = [self.real.home.clone(), self.real.tmp.clone()];
        let (work, before) = (self.real.work.clone(), self.before.take());
        untrusted::apart(move || {
            for folder in &folders {
                untrusted::remove(folder).map_err(|error| Halt::io("remove", folder, &error))?;
            }
            for folder in folders.iter().chain([&work]) {
                std::fs::create_dir_all(folder).map_err(|error| Halt::io("make", folder, &error))?;
            }
            Ok(before.unwrap_or_else(|| untrusted::list(&work)))
        })
        .await?
    }

    /// Lists the working directory as a step left it.
    pub(super) async fn look(&self) -> Result<Listing, Halt> {
        let work = self.real.work.clone();
        untrusted::apart(move || untrusted::list(&work)).await
    }
}
