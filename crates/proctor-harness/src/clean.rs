//! Finds, ends and removes what runs left behind, and nothing else.
//!
//! A process is a run's own when it carries the run's id and a path of the run's base directory in its environment, when it
//! stems from such a process, when the registry names it with the moment it began, or when it stands in the base directory
//! without a terminal: a daemon that cleared its environment. A run whose proctor lives is left alone.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use walkdir::WalkDir;

use crate::base::{self, RUN_ID, RUNS};
use crate::halt::Halt;
use crate::linux::{self, Process};
use crate::tmux_variables;

/// How long processes may take to end when asked.
const GRACE: Duration = Duration::from_secs(2);
/// Kinds of registry entries whose `what` is a file outside the base directory.
const OUTSIDE: [&str; 2] = ["tmux_socket", "file"];
/// How often it is tried again: something may still be written into a folder that is removed, and a process may start another as it ends.
const ROUNDS: u32 = 3;

/// What one run left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Short id of the run.
    pub id: String,
    /// Its base directory.
    pub base: PathBuf,
    /// Whether the proctor that made it still runs; such a run is never touched.
    pub in_progress: bool,
    /// Processes that are the run's.
    pub processes: Vec<LeftProcess>,
    /// Bytes below the base directory.
    pub bytes: u64,
}

/// A process that a run left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftProcess {
    /// Its id.
    pub pid: u32,
    /// Its command line.
    pub command: String,
    /// The agent whose environment it carries.
    pub agent: Option<String>,
}

/// What every run below Proctor's cache folder left, by id.
///
/// # Errors
/// When the cache cannot be read.
pub fn find(cache: &Path) -> Result<Vec<Left>, Halt> {
    let runs = cache.join(RUNS);
    if !runs.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&runs).map_err(|error| Halt::io("read", &runs, &error))?;
    let mut left: Vec<Left> = entries.flatten().filter_map(|entry| inspect(&entry.path())).collect();
    left.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(left)
}

/// [`find`] for one base directory; absent when it is none (no registry in it).
pub fn inspect(base: &Path) -> Option<Left> {
    let left = look(base)?;
    let files = WalkDir::new(&left.base).into_iter().flatten().filter_map(|e| e.metadata().ok()).filter(|m| m.is_file());
    let bytes = files.map(|m| m.len()).sum();
    Some(Left { bytes, ..left })
}

/// [`inspect`] without counting bytes, which would read every folder once more just before it is removed.
fn look(base: &Path) -> Option<Left> {
    let base = base.canonicalize().ok()?;
    let entries = base::registry(&base).ok()?;
    let id = base.file_name()?.to_str()?.to_owned();
    let alive = |pid: u32, started: u64| linux::process(pid).is_some_and(|p| p.started == started && p.state != 'Z');
    let owner = entries.iter().find(|entry| entry.kind == "owner");
    let in_progress =
        owner.is_some_and(|owner| matches!((owner.pid, owner.started), (Some(pid), Some(started)) if alive(pid, started)));
    let named = entries.iter().filter(|e| e.kind == "process").filter_map(|e| e.pid.zip(e.started));
    let named = named.filter(|(pid, started)| alive(*pid, *started)).map(|(pid, _)| pid).collect();
    let processes = processes_of(&id, &base, &named, &BTreeSet::new());
    Some(Left { id, base, in_progress, processes, bytes: 0 })
}

/// The living processes of a run, by process id: those that carry its id and its base directory, those without a terminal that
/// stand in it, `named` ones, and what stems from any of them or from `roots` (which are not reported themselves). This process
/// is never among them.
pub fn processes_of(id: &str, base: &Path, named: &BTreeSet<u32>, roots: &BTreeSet<u32>) -> Vec<LeftProcess> {
    let all: Vec<Process> = linux::processes().into_iter().filter(|p| p.state != 'Z' && p.pid != std::process::id()).collect();
    let place = base.display().to_string();
    let carries = |pid: u32| {
        let env = linux::environment(pid);
        env.get(RUN_ID).is_some_and(|own| own == id) && env.values().any(|value| value.contains(&place))
    };
    // A person's shell that stands there has a terminal, and is none of the run's.
    let stands = |p: &Process| !p.has_terminal && linux::working_directory(p.pid).is_some_and(|cwd| cwd.starts_with(base));
    let is_own = |p: &&Process| named.contains(&p.pid) || carries(p.pid) || stands(p);
    let mut found: BTreeSet<u32> = all.iter().filter(is_own).map(|p| p.pid).collect();
    let origins: BTreeSet<u32> = found.union(roots).copied().collect();
    found.extend(linux::descendants(&all, &origins));
    found.into_iter().filter(|pid| !roots.contains(pid)).map(describe).collect()
}

fn describe(pid: u32) -> LeftProcess {
    LeftProcess { pid, command: linux::command_line(pid), agent: linux::environment(pid).remove("GT_ROLE") }
}

/// Ends the processes and removes the base directory of one run; nothing to do when there is none.
///
/// # Errors
/// When the run is in progress, a process does not end, or the folder cannot be removed.
pub fn remove(base: &Path) -> Result<(), Halt> {
    remove_within(base, GRACE)
}

/// [`remove`] without asking the processes first.
///
/// # Errors
/// As for [`remove`].
pub fn remove_at_once(base: &Path) -> Result<(), Halt> {
    remove_within(base, Duration::ZERO)
}

fn remove_within(base: &Path, grace: Duration) -> Result<(), Halt> {
    let mut outcome = Ok(());
    for _ in 0..ROUNDS {
        // Whoever else cleans may have been faster.
        let Some(now) = look(base) else { return Ok(()) };
        if now.in_progress && base_owner(base) != Some(std::process::id()) {
            let halt = Halt::environment(format!("run {} is in progress", now.id));
            return Err(halt.hint("end it first, with Ctrl-C where it runs"));
        }
        end_processes(&now, grace)?;
        tmux_variables::put_back(&now.base);
        outcome = remove_outside(&now.base).and_then(|()| remove_folder(&now.base));
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Ends a run's processes, and those that they start while they end: dolt has its figures sent by another process.
fn end_processes(left: &Left, grace: Duration) -> Result<(), Halt> {
    let mut pids: Vec<u32> = left.processes.iter().map(|p| p.pid).collect();
    for _ in 0..ROUNDS {
        let stubborn = end_all(&pids, grace);
        if !stubborn.is_empty() {
            return Err(Halt::environment(format!("processes of run {} do not end: {stubborn:?}", left.id)));
        }
        pids = look(&left.base).map(|again| again.processes.iter().map(|p| p.pid).collect()).unwrap_or_default();
        if pids.is_empty() {
            return Ok(());
        }
    }
    Err(Halt::environment(format!("processes of run {} start others as they end: {pids:?}", left.id)))
}

/// Removes the files that a run put outside its base directory: its registry names each. What is not there is fine.
fn remove_outside(base: &Path) -> Result<(), Halt> {
    let entries = base::registry(base).unwrap_or_default();
    let mut files = entries.iter().filter(|entry| OUTSIDE.contains(&entry.kind.as_str()));
    files.try_for_each(|entry| remove_file(Path::new(&entry.what)))
}

/// Removes a file outside every base directory; one that is not there is fine. In a folder of another user's that cannot even be
/// entered nothing is a run's.
pub(crate) fn remove_file(file: &Path) -> Result<(), Halt> {
    match fs::remove_file(file) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied && cannot_be_entered(file) => Ok(()),
        Err(error) => Err(Halt::io("remove", file, &error)),
        Ok(()) => Ok(()),
    }
}

fn cannot_be_entered(file: &Path) -> bool {
    fs::symlink_metadata(file).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

/// The registry goes last: a folder whose removal broke off is still known as a run's.
fn remove_folder(base: &Path) -> Result<(), Halt> {
    let failed = |error: std::io::Error| Halt::io("remove", base, &error);
    for entry in fs::read_dir(base).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name() == base::REGISTRY {
            continue;
        }
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_folder { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        removed.map_err(failed)?;
    }
    fs::remove_dir_all(base).map_err(failed)
}

fn base_owner(base: &Path) -> Option<u32> {
    base::registry(base).ok()?.into_iter().find(|e| e.kind == "owner")?.pid
}

/// Asks processes to end, ends by force those that do not, and returns those that live all the same.
pub fn end_all(pids: &[u32], grace: Duration) -> Vec<u32> {
    let known: Vec<Process> = pids.iter().filter_map(|pid| linux::process(*pid)).collect();
    let lives = |p: &&Process| linux::process(p.pid).is_some_and(|now| now.started == p.started && now.state != 'Z');
    known.iter().for_each(|p| _ = linux::end(p.pid, false));
    let wait = |limit: Duration| {
        let begun = Instant::now();
        while begun.elapsed() < limit && known.iter().any(|p| lives(&p)) {
            thread::sleep(Duration::from_millis(5));
        }
    };
    wait(grace);
    known.iter().filter(lives).for_each(|p| _ = linux::end(p.pid, true));
    wait(GRACE);
    known.iter().filter(lives).map(|p| p.pid).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::base::{Base, Entry};
    use proctor_judge::evidence::Time;
    use std::process::{Child, Command};

    fn left_by_a_dead_proctor(cache: &Path, id: &str) -> PathBuf {
        let base = Base::create(cache, id, Path::new("/r"), Time::UNIX_EPOCH).unwrap();
        // The owner's start time is wrong on purpose: a process with that id lives, but it is another one.
        let entries = [Entry {
            at: Time::UNIX_EPOCH,
            kind: "owner".into(),
            what: "/r".into(),
            pid: Some(std::process::id()),
            started: Some(1),
        }];
        fs::write(
            base.path(base::REGISTRY),
            entries.iter().map(|e| serde_json::to_string(e).unwrap() + "\n").collect::<String>(),
        )
        .unwrap();
        base.folder("town", Time::UNIX_EPOCH).unwrap();
        base.root().to_owned()
    }

    fn sleeper(id: &str, base: &Path) -> Child {
        Command::new("sleep").arg("600").env("PROCTOR_RUN_ID", id).env("HOME", base.join("home")).spawn().unwrap()
    }

    #[test]
    fn what_a_run_left_is_ended_and_removed_and_nothing_else() {
        let cache = tempfile::tempdir().unwrap();
        let base = left_by_a_dead_proctor(cache.path(), "aaaa");
        let mut own = sleeper("aaaa", &base);
        let mut same_id_elsewhere = sleeper("aaaa", Path::new("/elsewhere"));
        let left = find(cache.path()).unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].processes.iter().map(|p| p.pid).collect::<Vec<_>>(), [own.id()]);
        remove(&left[0].base).unwrap();
        assert!(!base.exists());
        assert!(own.wait().unwrap().code().is_none(), "ended by a signal");
        assert!(same_id_elsewhere.try_wait().unwrap().is_none(), "another run's process lives");
        same_id_elsewhere.kill().unwrap();
        same_id_elsewhere.wait().unwrap();
    }

    #[test]
    fn a_daemon_that_cleared_its_environment_is_found_by_where_it_stands() {
        let cache = tempfile::tempdir().unwrap();
        let base = left_by_a_dead_proctor(cache.path(), "cccc");
        let daemon = |cwd: &Path| Command::new("setsid").args(["sleep", "600"]).env_clear().current_dir(cwd).spawn().unwrap();
        let (mut own, mut other) = (daemon(&base.join("town")), daemon(cache.path()));
        // `setsid` does not fork for a child that leads no group; wait until it has become `sleep`, without a terminal.
        while linux::process(own.id()).is_some_and(|p| p.has_terminal) || !linux::command_line(own.id()).starts_with("sleep") {
            std::thread::yield_now();
        }
        remove(&base).unwrap();
        assert!(own.wait().unwrap().code().is_none(), "ended by a signal");
        assert!(other.try_wait().unwrap().is_none(), "it stands elsewhere and lives");
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn files_that_a_run_put_elsewhere_go_with_it() {
        let (cache, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let base = left_by_a_dead_proctor(cache.path(), "dddd");
        let (own, other) = (elsewhere.path().join("own"), elsewhere.path().join("other"));
        [&own, &other].iter().for_each(|file| fs::write(file, "x").unwrap());
        let entry = |kind: &str, what: &Path| Entry {
            at: Time::UNIX_EPOCH,
            kind: kind.into(),
            what: what.display().to_string(),
            pid: None,
            started: None,
        };
        let more = [entry("file", &own), entry("tmux_socket", &elsewhere.path().join("none")), entry("port", &other)];
        let lines: String = more.iter().map(|e| serde_json::to_string(e).unwrap() + "\n").collect();
        let registry = base.join(base::REGISTRY);
        fs::write(&registry, fs::read_to_string(&registry).unwrap() + &lines).unwrap();
        remove(&base).unwrap();
        assert!(!own.exists() && other.exists() && !base.exists());
    }

    #[test]
    fn a_folder_without_a_registry_is_not_ours() {
        let cache = tempfile::tempdir().unwrap();
        fs::create_dir_all(cache.path().join("runs/mine")).unwrap();
        assert_eq!(find(cache.path()).unwrap(), []);
        assert_eq!(find(&cache.path().join("none")).unwrap(), []);
    }

    #[test]
    fn a_run_whose_proctor_lives_is_in_progress() {
        let cache = tempfile::tempdir().unwrap();
        let base = Base::create(cache.path(), "bbbb", Path::new("/r"), Time::UNIX_EPOCH).unwrap();
        assert!(inspect(base.root()).unwrap().in_progress);
    }
}
