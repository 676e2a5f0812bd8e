//! Making a virtual environment with the required packages in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::interpreter::{About, run};
use super::manifest::Manifest;
use super::{CONTENTS, Provided, Python, Wanted, provided, requirements, sources};
use crate::halt::Halt;
use crate::process::Ended;
use crate::untrusted::{self, apart};

/// How long making an environment with its packages may take.
const MAKE_LIMIT: Duration = Duration::from_secs(600);

/// Makes the environment at `place`, in the stead of any that is there. The lock is held.
pub(super) async fn make(about: &About, wanted: &Wanted, place: &Path) -> Result<Provided, Halt> {
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

async fn fill(about: &About, wanted: &Wanted, temporary: &Path, place: &Path) -> Result<Provided, Halt> {
    let text = temporary.display().to_string();
    let ended = run(&about.executable, &["-m", "venv", &text], wanted, MAKE_LIMIT).await?;
    if !ended.ok() {
        return Err(full_disk(&ended).unwrap_or_else(|| no_venv(about, &ended)));
    }
    let python = temporary.join("bin/python");
    if !wanted.packages.is_empty() {
        install(&python, &sources::settled(&python, wanted).await?, &temporary.join("tmp/pip.log")).await?;
    }
    let inspected = requirements::inspect(&python, wanted).await?;
    if !inspected.wrong.is_empty() {
        let message = format!("the virtual environment does not hold what was installed into it: {}", inspected.wrong.join("; "));
        return Err(Halt::environment(message).hint("see whether pip is configured to install elsewhere: `pip config list`"));
    }
    let (version, base) = (about.version.clone(), about.executable.clone());
    // What lies in the environment itself lies at its place afterwards.
    let outside = inspected.folders.into_iter().filter(|folder| !folder.starts_with(temporary));
    let folders = outside.chain([place.to_owned()]).collect();
    let answer = Python { program: place.join("bin/python"), version, base, packages: inspected.packages, folders };
    put_in_place(answer, temporary.to_owned(), place.to_owned()).await
}

fn no_venv(about: &About, ended: &Ended) -> Halt {
    let said = ended.said();
    let message =
        format!("the virtual environment could not be made with {} ({}): {said}", about.executable.display(), ended.how());
    Halt::environment(message).hint("install python3-venv, or name another interpreter: --python PATH")
}

/// Gives a finished environment its name. The list of its files is written before: an environment without a list is made again.
async fn put_in_place(answer: Python, temporary: PathBuf, place: PathBuf) -> Result<Provided, Halt> {
    let manifest = apart(move || -> Result<(Python, PathBuf, Manifest), Halt> {
        let file = temporary.join(CONTENTS);
        let bytes = serde_json::to_vec_pretty(&answer).map_err(|error| Halt::harness(error.to_string()))?;
        fs::write(&file, bytes).map_err(|error| Halt::io("write", &file, &error))?;
        // Only temporary files are in it.
        _ = fs::remove_dir_all(temporary.join("tmp"));
        let manifest = Manifest::of(&temporary).map_err(|error| Halt::io("read", &temporary, &error))?;
        untrusted::remove(&place).map_err(|error| Halt::io("remove", &place, &error))?;
        manifest.write_beside(&place)?;
        fs::rename(&temporary, &place).map_err(|error| Halt::io("make", &place, &error))?;
        Ok((answer, place, manifest))
    });
    let (answer, place, manifest) = manifest.await??;
    Ok(provided(answer, Some((place, manifest))))
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
}
