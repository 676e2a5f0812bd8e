//! The Python runtime: which interpreter, and a clean virtual environment with the required packages, made once and cached.
//!
//! The environment lies in the user's cache by requirement and interpreter. It is made under a temporary name and renamed, under
//! a file lock, so that two runs at once make it once and a killed run leaves none half made. A list of its files lies beside it;
//! one that is not as it was made, or has no list, is made again.

mod interpreter;
mod make;
mod manifest;
mod requirements;
mod sources;
mod watched;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::digest::sha256;
use crate::file_lock::FileLock;
use crate::halt::Halt;
use crate::untrusted::apart;
use interpreter::{About, ask, find};
use manifest::Manifest;
use requirements::Inspected;
pub use watched::Watched;

/// How long to wait before asking again whether another run still makes the environment.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// The file in an environment that says what is in it; written last.
const CONTENTS: &str = "proctor.json";
/// How many changes of an environment are named.
const NAMED: usize = 3;

/// An interpreter that exercises are run with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Python {
    /// The interpreter: of the virtual environment, or the one that was named.
    pub program: PathBuf,
    /// `3.11.7`.
    pub version: String,
    /// The interpreter that the environment was made from.
    pub base: PathBuf,
    /// Installed packages and their versions.
    pub packages: BTreeMap<String, String>,
    /// Where it, its library and its packages lie: what whoever runs it must be able to read.
    pub folders: Vec<PathBuf>,
}

/// What a Python is looked for and made with.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The interpreter that was named to be used as it is.
    pub named: Option<PathBuf>,
    /// Requirements.
    pub packages: Vec<String>,
    /// Proctor's folder in the user's cache.
    pub cache: PathBuf,
    /// The user's environment.
    pub environment: BTreeMap<String, String>,
}

/// The interpreter that environments are made from, as it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// The program.
    pub program: PathBuf,
    /// `3.11.7`.
    pub version: String,
    /// Whether it can make virtual environments with `pip` in them.
    pub venv: bool,
}

/// Finds the interpreter and asks it about itself; makes nothing.
///
/// # Errors
/// When there is none, or it does not work.
pub async fn interpreter(environment: &BTreeMap<String, String>) -> Result<Interpreter, Halt> {
    let environment = environment.clone();
    let wanted = Wanted { named: None, packages: Vec::new(), cache: PathBuf::new(), environment };
    let about = ask(&find(&wanted)?, &wanted).await?;
    Ok(Interpreter { program: about.executable, version: about.version, venv: about.venv })
}

/// An interpreter, and its environment from now on.
#[derive(Debug)]
pub struct Provided {
    /// The interpreter.
    pub python: Python,
    /// Tells whether its environment is changed.
    pub watched: Watched,
}

fn provided(python: Python, environment: Option<(PathBuf, Manifest)>) -> Provided {
    let watched = Watched::begin(environment, &python.program);
    Provided { python, watched }
}

/// Finds the interpreter and makes the environment when it is not there yet or is not as it was made.
///
/// # Errors
/// No interpreter, no `venv`, an index that cannot be reached, a full disk; all of them the environment's fault.
pub async fn provide(wanted: &Wanted) -> Result<Provided, Halt> {
    if let Some(named) = &wanted.named {
        return named_interpreter(named, wanted).await;
    }
    let about = ask(&find(wanted)?, wanted).await?;
    cached(&about, wanted).await
}

async fn named_interpreter(named: &Path, wanted: &Wanted) -> Result<Provided, Halt> {
    let about = ask(named, wanted).await?;
    let inspected = requirements::inspect(named, wanted).await?;
    if !inspected.wrong.is_empty() {
        let message = format!("{} lacks {}", named.display(), inspected.wrong.join("; "));
        return Err(
            Halt::environment(message).hint("install it there, or leave --python out: a virtual environment is then made")
        );
    }
    let (program, base) = (about.executable.clone(), about.executable);
    let Inspected { packages, folders, .. } = inspected;
    Ok(provided(Python { program, version: about.version, base, packages, folders }, None))
}

/// What stands at an environment's place.
enum Stands {
    Good(Box<Provided>),
    Changed(String),
    Nothing,
}

async fn cached(about: &About, wanted: &Wanted) -> Result<Provided, Halt> {
    let mut key = wanted.packages.clone();
    key.sort();
    let key = format!("{}\n{}\n{}", about.executable.display(), about.version, key.join("\n"));
    let folder = wanted.cache.join("venvs");
    fs::create_dir_all(&folder).map_err(|error| Halt::io("make", &folder, &error))?;
    let place = folder.join(&sha256(key.as_bytes())[..16]);
    if let Stands::Good(good) = look(&place).await? {
        return Ok(*good);
    }
    let _lock = lock(&place.with_extension("lock")).await?;
    match look(&place).await? {
        Stands::Good(good) => Ok(*good),
        Stands::Nothing => make::make(about, wanted, &place).await,
        Stands::Changed(why) => {
            let made = make::make(about, wanted, &place).await?;
            Ok(Provided { watched: made.watched.made_again(why), ..made })
        }
    }
}

async fn look(place: &Path) -> Result<Stands, Halt> {
    let place = place.to_owned();
    apart(move || stands(&place)).await
}

fn stands(place: &Path) -> Stands {
    if !place.exists() {
        return Stands::Nothing;
    }
    let python = fs::read(place.join(CONTENTS)).ok().and_then(|bytes| serde_json::from_slice::<Python>(&bytes).ok());
    let (Some(python), Some(manifest)) = (python, Manifest::beside(place)) else {
        return Stands::Changed("it has no list of its files".into());
    };
    // The base interpreter may have been removed since.
    if !python.program.exists() {
        return Stands::Changed(format!("its interpreter {} is gone", python.base.display()));
    }
    let compared = manifest.compare(place);
    if !compared.changes.is_empty() {
        return Stands::Changed(named(&compared.changes));
    }
    if !compared.read {
        return Stands::Good(Box::new(provided(python, Some((place.to_owned(), manifest)))));
    }
    // Its contents are as they were made, its times are not: the cache was copied. The next look need not read them again.
    let fresh = Manifest::of(place).unwrap_or(manifest);
    _ = fresh.write_beside(place);
    Stands::Good(Box::new(provided(python, Some((place.to_owned(), fresh)))))
}

/// The first changes, and how many more there are.
fn named(changes: &[String]) -> String {
    let first = changes.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match changes.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first}, and {more} more changes"),
    }
}

/// Waits until no other run makes the same environment. A run that is cancelled meanwhile leaves at once.
async fn lock(path: &Path) -> Result<FileLock, Halt> {
    loop {
        if let Some(lock) = FileLock::take(path).map_err(|error| Halt::io("lock", path, &error))? {
            return Ok(lock);
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

#[cfg(test)]
mod tests;
