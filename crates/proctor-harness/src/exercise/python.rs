//! The Python runtime: which interpreter, and a clean virtual environment with the required packages, made once and cached.
//!
//! The environment lies in the user's cache by requirement and interpreter. It is made under a temporary name and renamed, under
//! a file lock, so that two runs at once make it once and a killed run leaves none half made.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::digest::sha256;
use crate::file_lock::FileLock;
use crate::halt::Halt;
use crate::linux;
use crate::process::{Ended, Program};

/// How long asking an interpreter about itself may take.
const ASK_LIMIT: Duration = Duration::from_secs(20);
/// How long making an environment with its packages may take.
const MAKE_LIMIT: Duration = Duration::from_secs(600);
/// How long to wait before asking again whether another run still makes the environment.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// The file in an environment that says what is in it; written last.
const CONTENTS: &str = "proctor.json";

const ABOUT: &str = "import sys, json\ntry:\n import venv, ensurepip; ok = True\nexcept ImportError: ok = False\nprint(json.dumps({'executable': sys.executable, 'version': sys.version.split()[0], 'venv': ok}))";
const PACKAGES: &str = "import json\nfrom importlib import metadata\nprint(json.dumps({d.metadata['Name']: d.version for d in metadata.distributions()}))";

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
}

#[derive(Deserialize)]
struct About {
    executable: PathBuf,
    version: String,
    venv: bool,
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

fn find(wanted: &Wanted) -> Result<PathBuf, Halt> {
    let path = wanted.environment.get("PATH").map_or("/usr/local/bin:/usr/bin:/bin", String::as_str);
    linux::find_program("python3", path).ok_or_else(|| {
        Halt::environment(format!("no Python was found (looked for python3 in {path})"))
            .hint("install python3 and python3-venv, or name an interpreter: --python PATH")
    })
}

/// Finds the interpreter and makes the environment when it is not there yet.
///
/// # Errors
/// No interpreter, no `venv`, an index that cannot be reached, a full disk; all of them the environment's fault.
pub async fn provide(wanted: &Wanted) -> Result<Python, Halt> {
    if let Some(named) = &wanted.named {
        return named_interpreter(named, wanted).await;
    }
    let about = ask(&find(wanted)?, wanted).await?;
    cached(&about, wanted).await
}

async fn ask(program: &Path, wanted: &Wanted) -> Result<About, Halt> {
    let text = eval(program, ABOUT, wanted).await?;
    serde_json::from_str(&text)
        .map_err(|_| Halt::environment(format!("{} is no Python 3: it answered `{}`", program.display(), text.trim())))
}

async fn eval(program: &Path, code: &str, wanted: &Wanted) -> Result<String, Halt> {
    let ended = run(program, &["-c", code], wanted, ASK_LIMIT).await?;
    if ended.ok() {
        Ok(ended.out())
    } else {
        let message = format!("{} does not work ({}): {}", program.display(), ended.how(), ended.said());
        Err(Halt::environment(message).hint("mend it, or name another interpreter: --python PATH"))
    }
}

async fn run(program: &Path, args: &[&str], wanted: &Wanted, limit: Duration) -> Result<Ended, Halt> {
    let mut program_ = Program::new(program, args).env(&wanted.environment).timeout(limit);
    program_.end_group = true;
    let failed = |error: io::Error| Halt::environment(format!("{} cannot be started: {error}", program.display()));
    program_.run().await.map_err(|error| failed(error).hint("name an interpreter: --python PATH"))
}

async fn packages(program: &Path, wanted: &Wanted) -> Result<BTreeMap<String, String>, Halt> {
    let text = eval(program, PACKAGES, wanted).await?;
    serde_json::from_str(&text)
        .map_err(|error| Halt::environment(format!("{} does not list its packages: {error}", program.display())))
}

/// The plain name of a requirement: `cryptography` of `cryptography>=42.0`.
fn requirement_name(requirement: &str) -> String {
    let end = requirement.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(requirement.len());
    requirement[..end].to_lowercase().replace(['_', '.'], "-")
}

async fn named_interpreter(named: &Path, wanted: &Wanted) -> Result<Python, Halt> {
    let about = ask(named, wanted).await?;
    let packages = packages(named, wanted).await?;
    let there: Vec<String> = packages.keys().map(|name| name.to_lowercase().replace(['_', '.'], "-")).collect();
    let missing: Vec<&str> =
        wanted.packages.iter().filter(|r| !there.contains(&requirement_name(r))).map(String::as_str).collect();
    if !missing.is_empty() {
        let message = format!("{} lacks {}", named.display(), missing.join(", "));
        return Err(
            Halt::environment(message).hint("install it there, or leave --python out: a virtual environment is then made")
        );
    }
    Ok(Python { program: about.executable.clone(), version: about.version, base: about.executable, packages })
}

async fn cached(about: &About, wanted: &Wanted) -> Result<Python, Halt> {
    let mut key = wanted.packages.clone();
    key.sort();
    let key = format!("{}\n{}\n{}", about.executable.display(), about.version, key.join("\n"));
    let folder = wanted.cache.join("venvs");
    fs::create_dir_all(&folder).map_err(|error| Halt::io("make", &folder, &error))?;
    let place = folder.join(&sha256(key.as_bytes())[..16]);
    if let Some(python) = contents(&place) {
        return Ok(python);
    }
    let _lock = lock(&place.with_extension("lock")).await?;
    match contents(&place) {
        Some(python) => Ok(python),
        None => make(about, wanted, &place).await,
    }
}

fn contents(place: &Path) -> Option<Python> {
    let python: Python = serde_json::from_slice(&fs::read(place.join(CONTENTS)).ok()?).ok()?;
    // The base interpreter may have been removed since; then the environment is made again.
    python.program.exists().then_some(python)
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

async fn make(about: &About, wanted: &Wanted, place: &Path) -> Result<Python, Halt> {
    if !about.venv {
        let message = format!(
            "no Python with `venv` was found (looked at: python3 {} at {}, without venv or ensurepip)",
            about.version,
            about.executable.display()
        );
        return Err(Halt::environment(message).hint("install python3-venv, or name another interpreter: --python PATH"));
    }
    remove_half_made(place);
    let draft = Draft(place.with_extension(format!("new-{}", std::process::id())));
    fs::create_dir_all(draft.0.join("tmp")).map_err(|error| Halt::io("make", &draft.0, &error))?;
    // Installers leave files in the folder for temporary files when they are ended by force.
    let mut wanted = wanted.clone();
    wanted.environment.insert("TMPDIR".into(), draft.0.join("tmp").display().to_string());
    fill(about, &wanted, &draft.0, place).await
}

/// An environment in the making: gone when the making ends, in whatever way, without its having been renamed.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // What went wrong is the news, not what is left of it; the next making tries again.
        _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes what a killed run left of the same environment. The lock is held: nobody else makes it now.
fn remove_half_made(place: &Path) {
    let name = place.file_name().map(|name| format!("{}.new-", name.to_string_lossy())).unwrap_or_default();
    let entries = place.parent().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&name)) {
        // If it cannot be removed it only costs space.
        _ = fs::remove_dir_all(entry.path());
    }
}

async fn fill(about: &About, wanted: &Wanted, temporary: &Path, place: &Path) -> Result<Python, Halt> {
    let text = temporary.display().to_string();
    let ended = run(&about.executable, &["-m", "venv", &text], wanted, MAKE_LIMIT).await?;
    if !ended.ok() {
        let message = format!(
            "the virtual environment could not be made with {} ({}): {}",
            about.executable.display(),
            ended.how(),
            ended.said()
        );
        return Err(full_disk(&ended).unwrap_or_else(|| {
            Halt::environment(message).hint("install python3-venv, or name another interpreter: --python PATH")
        }));
    }
    let python = temporary.join("bin/python");
    if !wanted.packages.is_empty() {
        install(&python, wanted, &temporary.join("tmp/pip.log")).await?;
    }
    let packages = packages(&python, wanted).await?;
    let answer =
        Python { program: place.join("bin/python"), version: about.version.clone(), base: about.executable.clone(), packages };
    let file = temporary.join(CONTENTS);
    let bytes = serde_json::to_vec_pretty(&answer).map_err(|error| Halt::harness(error.to_string()))?;
    fs::write(&file, bytes).map_err(|error| Halt::io("write", &file, &error))?;
    // Only temporary files are in it.
    _ = fs::remove_dir_all(temporary.join("tmp"));
    if place.exists() {
        fs::remove_dir_all(place).map_err(|error| Halt::io("remove", place, &error))?;
    }
    fs::rename(temporary, place).map_err(|error| Halt::io("make", place, &error))?;
    Ok(answer)
}

async fn install(python: &Path, wanted: &Wanted, log: &Path) -> Result<(), Halt> {
    let log_path = log.display().to_string();
    let mut args = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--log", &log_path];
    args.extend(wanted.packages.iter().map(String::as_str));
    let ended = run(python, &args, wanted, MAKE_LIMIT).await?;
    if ended.ok() {
        return Ok(());
    }
    let log = fs::read_to_string(log).unwrap_or_default();
    Err(full_disk(&ended).unwrap_or_else(|| not_installed(&wanted.packages.join(", "), &log, &ended)))
}

/// Why packages were not installed. pip says the same for an index that cannot be reached and for a package that does not exist;
/// its log tells them apart.
fn not_installed(what: &str, log: &str, ended: &Ended) -> Halt {
    if let Some((url, why)) = unreachable_index(log) {
        let message = format!("{what} could not be installed: the package index {url} cannot be reached ({why})");
        return Halt::environment(message).hint(
            "check the network and pip's configuration (PIP_INDEX_URL), or name an interpreter that has the packages: --python PATH",
        );
    }
    let said = ended.said();
    if let Some((_, missing)) = said.split_once("No matching distribution found for ") {
        let message = format!("the package index has nothing that meets `{}`", missing.trim());
        return Halt::environment(message)
            .hint("correct `packages` of [runtime] in scenario.toml, or name another index: PIP_INDEX_URL");
    }
    Halt::environment(format!("{what} could not be installed ({}): {said}", ended.how()))
        .hint("see pip's words above, or name an interpreter that has the packages: --python PATH")
}

/// The address that pip could not reach, and why. An index that answers "not found" was reached.
fn unreachable_index(log: &str) -> Option<(&str, &str)> {
    let failed = log.lines().filter_map(|line| line.split_once("Could not fetch URL ")?.1.split_once(": "));
    let (url, why) = failed.into_iter().find(|(_, why)| !why.contains("Client Error"))?;
    let why = why.rsplit_once("Failed to establish a new connection: ").map_or(why, |(_, reason)| reason);
    Some((url, why.split("')").next().unwrap_or(why)))
}

fn full_disk(ended: &Ended) -> Option<Halt> {
    let full = ended.said().contains("No space left on device");
    full.then(|| {
        Halt::environment("the virtual environment could not be made: the disk is full")
            .hint("free some disk space: `proctor clean`, `proctor runs --keep N`")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn wanted(cache: &Path, path: &str, named: Option<&str>) -> Wanted {
        let environment = BTreeMap::from([("PATH".to_owned(), path.to_owned())]);
        Wanted {
            named: named.map(PathBuf::from),
            packages: vec!["cryptography>=42.0".into()],
            cache: cache.to_owned(),
            environment,
        }
    }

    #[tokio::test]
    async fn no_interpreter_is_the_environments_fault_and_says_what_to_do() {
        let cache = tempfile::tempdir().unwrap();
        let halt = provide(&wanted(cache.path(), "/nowhere", None)).await.unwrap_err();
        assert_eq!(halt.kind, proctor_judge::evidence::StopKind::Environment);
        assert!(halt.message.contains("no Python was found"), "{halt}");
        assert!(halt.hint.unwrap().contains("--python PATH"));
    }

    #[tokio::test]
    async fn an_interpreter_without_venv_is_named() {
        let cache = tempfile::tempdir().unwrap();
        let fake = cache.path().join("python3");
        fs::write(&fake, "#!/bin/sh\necho '{\"executable\": \"/x/python3\", \"version\": \"3.11.2\", \"venv\": false}'\n")
            .unwrap();
        fs::set_permissions(&fake, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let halt = provide(&wanted(cache.path(), &cache.path().display().to_string(), None)).await.unwrap_err();
        assert!(halt.message.contains("without venv or ensurepip"), "{halt}");
    }

    #[tokio::test]
    async fn a_named_program_that_is_no_python_is_refused() {
        let cache = tempfile::tempdir().unwrap();
        let halt = provide(&wanted(cache.path(), "/usr/bin:/bin", Some("/bin/echo"))).await.unwrap_err();
        assert!(halt.message.contains("is no Python 3"), "{halt}");
    }

    #[test]
    fn an_index_that_cannot_be_reached_is_told_from_one_that_lacks_the_package() {
        let refused = "2026-01-01T00:00:00,1 Could not fetch URL http://127.0.0.1:9/x/: connection error: HTTPConnectionPool(host='127.0.0.1', \
            port=9): Max retries exceeded with url: /x/ (Caused by NewConnectionError('<pip object>: Failed to establish a new connection: \
            [Errno 111] Connection refused')) - skipping\n";
        assert_eq!(unreachable_index(refused), Some(("http://127.0.0.1:9/x/", "[Errno 111] Connection refused")));
        let absent = "Could not fetch URL https://i/x/: 404 Client Error: Not Found for url: https://i/x/ - skipping\n";
        assert_eq!(unreachable_index(absent), None);
        assert_eq!(unreachable_index("Looking in indexes: https://i\n"), None);
    }

    #[test]
    fn what_a_killed_run_left_half_made_is_removed_and_other_environments_are_not() {
        let cache = tempfile::tempdir().unwrap();
        for name in ["abc.new-1/bin", "abc", "abd.new-1"] {
            fs::create_dir_all(cache.path().join(name)).unwrap();
        }
        remove_half_made(&cache.path().join("abc"));
        let there = |name: &str| cache.path().join(name).exists();
        assert!(!there("abc.new-1") && there("abc") && there("abd.new-1"));
    }

    #[test]
    fn requirements_are_named_without_their_versions() {
        assert_eq!(requirement_name("cryptography>=42.0"), "cryptography");
        assert_eq!(requirement_name("Some_Thing[extra]==1"), "some-thing");
    }
}
