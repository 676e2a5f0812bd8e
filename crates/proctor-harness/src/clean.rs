//! Finds, ends and removes what runs left behind, and nothing else.
//!
//! What a run made stands in its registry, which lies outside everything that the run's programs may write (see [`crate::registry`]).
//! A base directory without one is named, and removed only when a person asks for it.
//! A process is a run's own when it carries the run's id and a path of the run's base directory in its environment, when it
//! stems from such a process, when the registry names it with the moment it began, or when it stands in the base directory
//! without a terminal: a daemon that cleared its environment. A run whose proctor lives is left alone.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use walkdir::WalkDir;

use crate::base::{RUN_ID, RUNS};
use crate::halt::Halt;
use crate::linux::{self, Process, ProcessHandle};
use crate::registry::{self, OLDER, REGISTRIES, Registered};
use crate::{remove, tmux_variables};

/// How long processes may take to end when asked.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is tried again: something may still be written into a folder that is removed, and a process may start another as it ends.
const ROUNDS: u32 = 3;

/// What lies in Proctor's cache of earlier runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What runs left, by id.
    pub left: Vec<Left>,
    /// What cannot be told to be a run's.
    pub strays: Vec<Stray>,
}

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

/// A folder among the base directories without a registry that can be believed, or a registry that is spoilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// The name that stands for a run's short id.
    pub id: String,
    /// The folder or the file.
    pub path: PathBuf,
    /// Why it is left alone.
    pub why: String,
    /// Whether a person may have it removed; not what seems to be in use.
    pub removable: bool,
}

/// A process that a run left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftProcess {
    /// Its id.
    pub pid: u32,
    /// When it began, in clock ticks since boot: another process that has its id later is not meant.
    pub started: u64,
    /// Its command line.
    pub command: String,
    /// The agent whose environment it carries.
    pub agent: Option<String>,
}

/// What lies below Proctor's cache folder of earlier runs.
///
/// # Errors
/// When the cache cannot be read.
pub fn find(cache: &Path) -> Result<Found, Halt> {
    let runs = cache.join(RUNS);
    let runs = runs.canonicalize().unwrap_or_else(|_| canonical(&runs));
    let mut found = Found::default();
    for id in ids_in(&runs.with_file_name(REGISTRIES), ".ndjson")? {
        let base = runs.join(&id);
        match inspect(&base) {
            Some(left) => found.left.push(left),
            None => found.strays.extend(spoilt(&id, &base)),
        }
    }
    for id in ids_in(&runs, "")? {
        let base = runs.join(&id);
        if matches!(fs::symlink_metadata(registry::file_of(&base)), Err(error) if error.kind() == ErrorKind::NotFound) {
            found.strays.push(stray(id, base));
        }
    }
    Ok(found)
}

/// The names in a folder that end in `end`, without it, sorted; a missing folder has none.
fn ids_in(folder: &Path, end: &str) -> Result<Vec<String>, Halt> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| Halt::io("read", folder, &error))?,
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut ids: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(end)?.to_owned())).collect();
    ids.sort();
    Ok(ids)
}

/// The folder itself, without links above it; a link in its own place is not followed.
fn canonical(folder: &Path) -> PathBuf {
    let parent = folder.parent().and_then(|parent| parent.canonicalize().ok());
    parent.zip(folder.file_name()).map_or_else(|| folder.to_owned(), |(parent, name)| parent.join(name))
}

/// A registry that says nothing of use.
fn spoilt(id: &str, base: &Path) -> Option<Stray> {
    let path = registry::file_of(base);
    let why = match registry::read(&path) {
        Ok(registered) if registered.entries.is_empty() => {
            "it is empty: a run begins just now, or broke off as it began".to_owned()
        }
        Ok(_) => "it names no owner".to_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => error.to_string(),
    };
    Some(Stray { id: id.to_owned(), path, why, removable: true })
}

/// A base directory without a registry. Where an older version kept one it is asked for one thing only, whether the run goes on: who
/// forges that gains nothing but to be left alone.
fn stray(id: String, base: PathBuf) -> Stray {
    let is_folder = fs::symlink_metadata(&base).is_ok_and(|meta| meta.is_dir());
    let older = registry::owner_in(&base.join(OLDER));
    let (why, removable) = match (is_folder, older) {
        (false, _) => ("it is no folder, and no run made it".to_owned(), false),
        (true, Some((pid, started))) if lives(pid, started) => {
            ("a run of an older version seems to be in progress".to_owned(), false)
        }
        (true, Some(_)) => ("an older version of proctor made it".to_owned(), true),
        (true, None) => ("no registry names it".to_owned(), true),
    };
    Stray { id, path: base, why, removable }
}

fn lives(pid: u32, started: u64) -> bool {
    linux::process(pid).is_some_and(|p| p.started == started && p.state != 'Z')
}

/// [`find`] for one base directory; absent when no registry that can be believed names it.
pub fn inspect(base: &Path) -> Option<Left> {
    let left = look(base)?;
    let files = WalkDir::new(&left.base).into_iter().flatten().filter_map(|e| e.metadata().ok()).filter(|m| m.is_file());
    let bytes = files.map(|m| m.len()).sum();
    Some(Left { bytes, ..left })
}

fn registered(base: &Path) -> Option<Registered> {
    registry::read(&registry::file_of(base)).ok().filter(|registered| registered.owner().is_some())
}

/// [`inspect`] without counting bytes, which would read every folder once more just before it is removed.
fn look(base: &Path) -> Option<Left> {
    let base = canonical(base);
    let registered = registered(&base)?;
    let id = base.file_name()?.to_str()?.to_owned();
    let owner = registered.owner()?;
    let in_progress = matches!((owner.pid, owner.started), (Some(pid), Some(started)) if lives(pid, started));
    let named = registered.entries.iter().filter(|e| e.kind == "process").filter_map(|e| e.pid.zip(e.started));
    let named = named.filter(|(pid, started)| lives(*pid, *started)).map(|(pid, _)| pid).collect();
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
    let own = all.iter().filter(|p| found.contains(&p.pid) && !roots.contains(&p.pid));
    let mut own: Vec<LeftProcess> = own.map(describe).collect();
    own.sort_by_key(|p| p.pid);
    own
}

fn describe(process: &Process) -> LeftProcess {
    let Process { pid, started, .. } = *process;
    LeftProcess { pid, started, command: linux::command_line(pid), agent: linux::environment(pid).remove("GT_ROLE") }
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
    let base = &canonical(base);
    let mut outcome = Ok(());
    for _ in 0..ROUNDS {
        // Whoever else cleans may have been faster.
        let Some(now) = look(base) else { return Ok(()) };
        if now.in_progress && base_owner(base) != Some(std::process::id()) {
            let halt = Halt::environment(format!("run {} is in progress", now.id));
            return Err(halt.hint("end it first, with Ctrl-C where it runs"));
        }
        end_processes(&now, grace)?;
        tmux_variables::put_back(base);
        outcome = remove_outside(base).and_then(|()| remove_folder(base)).and_then(|()| {
            // Last, so that a folder whose removal broke off is still known as a run's.
            remove_file(&registry::file_of(base))
        });
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Removes what [`find`] left alone, because a person asked for it: the folder, and what is known of its processes without a registry.
/// Nothing outside the folder is removed.
///
/// # Errors
/// When it seems to be in use, a process does not end, or it cannot be removed.
pub fn remove_stray(stray: &Stray) -> Result<(), Halt> {
    if !stray.removable {
        return Err(Halt::environment(format!("{}: {}", stray.path.display(), stray.why)).hint("remove it by hand"));
    }
    if stray.path.is_file() {
        return remove_file(&stray.path);
    }
    let processes = processes_of(&stray.id, &stray.path, &BTreeSet::new(), &BTreeSet::new());
    let stubborn = end_each(&processes, GRACE);
    if !stubborn.is_empty() {
        return Err(Halt::environment(format!("processes of run {} do not end: {stubborn:?}", stray.id)));
    }
    remove_folder(&stray.path)
}

/// Ends a run's processes, and those that they start while they end: dolt has its figures sent by another process.
fn end_processes(left: &Left, grace: Duration) -> Result<(), Halt> {
    let mut processes = left.processes.clone();
    for _ in 0..ROUNDS {
        let stubborn = end_each(&processes, grace);
        if !stubborn.is_empty() {
            return Err(Halt::environment(format!("processes of run {} do not end: {stubborn:?}", left.id)));
        }
        processes = look(&left.base).map(|again| again.processes).unwrap_or_default();
        if processes.is_empty() {
            return Ok(());
        }
    }
    let pids: Vec<u32> = processes.iter().map(|p| p.pid).collect();
    Err(Halt::environment(format!("processes of run {} start others as they end: {pids:?}", left.id)))
}

/// Removes the files that a run put outside its base directory: its registry names each. What is not there is fine. What was entered as
/// a socket is removed only while it is one.
fn remove_outside(base: &Path) -> Result<(), Halt> {
    let registered = registered(base).unwrap_or_default();
    registered.entries.iter().try_for_each(|entry| {
        let path = Path::new(&entry.what);
        match entry.kind.as_str() {
            "file" => remove_file(path),
            "tmux_socket" if fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) => remove_file(path),
            _ => Ok(()),
        }
    })
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

fn remove_folder(base: &Path) -> Result<(), Halt> {
    remove::folder(base).map_err(|error| Halt::io("remove", base, &error))
}

fn base_owner(base: &Path) -> Option<u32> {
    registered(base)?.owner()?.pid
}

/// Asks processes to end, ends by force those that do not, and returns those that live all the same.
pub fn end_all(pids: &[u32], grace: Duration) -> Vec<u32> {
    end_known(pids.iter().filter_map(|pid| linux::process(*pid)), grace)
}

/// [`end_all`] for processes that were seen before: one that has ended since is not mistaken for another that has its id now.
pub fn end_each(processes: &[LeftProcess], grace: Duration) -> Vec<u32> {
    let known = processes.iter().filter_map(|left| linux::process(left.pid).filter(|now| now.started == left.started));
    end_known(known, grace)
}

fn end_known(known: impl Iterator<Item = Process>, grace: Duration) -> Vec<u32> {
    let known: Vec<Ending> = known.map(|process| Ending { handle: ProcessHandle::of(&process), process }).collect();
    known.iter().for_each(|p| p.end(false));
    let wait = |limit: Duration| {
        let begun = Instant::now();
        while begun.elapsed() < limit && known.iter().any(Ending::lives) {
            thread::sleep(Duration::from_millis(5));
        }
    };
    wait(grace);
    known.iter().filter(|p| p.lives()).for_each(|p| p.end(true));
    wait(GRACE);
    known.iter().filter(|p| p.lives()).map(|p| p.process.pid).collect()
}

/// A process that is to end.
struct Ending {
    process: Process,
    /// Absent where the kernel gives none.
    handle: Option<ProcessHandle>,
}

impl Ending {
    fn lives(&self) -> bool {
        lives(self.process.pid, self.process.started)
    }

    fn end(&self, hard: bool) {
        match &self.handle {
            Some(handle) => _ = handle.end(hard),
            None if self.lives() => _ = linux::end(self.process.pid, hard),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::base::Base;
    use crate::registry::Entry;
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
            registry::file_of(base.root()),
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
        let left = find(cache.path()).unwrap().left;
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
        let registry = registry::file_of(&base);
        fs::write(&registry, fs::read_to_string(&registry).unwrap() + &lines).unwrap();
        remove(&base).unwrap();
        assert!(!own.exists() && other.exists() && !base.exists());
    }

    #[test]
    fn a_folder_without_a_registry_is_not_ours() {
        let cache = tempfile::tempdir().unwrap();
        fs::create_dir_all(cache.path().join("runs/mine")).unwrap();
        let found = find(cache.path()).unwrap();
        assert_eq!((found.left, found.strays.len()), (Vec::new(), 1));
        assert_eq!(find(&cache.path().join("none")).unwrap(), Found::default());
    }

    #[test]
    fn a_run_whose_proctor_lives_is_in_progress() {
        let cache = tempfile::tempdir().unwrap();
        let base = Base::create(cache.path(), "bbbb", Path::new("/r"), Time::UNIX_EPOCH).unwrap();
        assert!(inspect(base.root()).unwrap().in_progress);
    }

    /// What an agent can write: a base directory with a registry in it that names a dead owner, the operator's file and process.
    #[test]
    fn a_registry_that_an_agent_forged_removes_nothing_and_ends_nobody() {
        let cache = tempfile::tempdir().unwrap();
        let (base, file) = (cache.path().join("runs/zzzz"), cache.path().join("operators"));
        fs::create_dir_all(&base).unwrap();
        fs::write(&file, "x").unwrap();
        let mut other = Command::new("sleep").arg("600").spawn().unwrap();
        let started = linux::process(other.id()).unwrap().started;
        let entry = |kind: &str, what: &Path, pid: Option<u32>| {
            let entry = Entry {
                at: Time::UNIX_EPOCH,
                kind: kind.into(),
                what: what.display().to_string(),
                pid,
                started: pid.map(|_| started),
            };
            serde_json::to_string(&entry).unwrap() + "\n"
        };
        let lines = [entry("file", &file, None), entry("process", Path::new("x"), Some(other.id()))].concat();
        fs::write(base.join(OLDER), &lines).unwrap();
        let found = find(cache.path()).unwrap();
        assert_eq!((found.left.len(), found.strays.len()), (0, 1));
        remove(&base).unwrap();
        assert!(base.exists(), "nothing names it a run's");
        remove_stray(&found.strays[0]).unwrap();
        assert!(!base.exists() && file.exists());
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn a_link_in_the_place_of_a_base_directory_leads_nowhere() {
        let (cache, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let base = left_by_a_dead_proctor(cache.path(), "eeee");
        fs::write(elsewhere.path().join("operators"), "x").unwrap();
        fs::remove_dir_all(&base).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), &base).unwrap();
        assert!(remove(&base).is_err());
        assert!(elsewhere.path().join("operators").exists());
    }

    #[test]
    fn a_registry_without_a_folder_goes_and_an_empty_one_is_named() {
        let cache = tempfile::tempdir().unwrap();
        let base = left_by_a_dead_proctor(cache.path(), "ffff");
        fs::remove_dir_all(&base).unwrap();
        remove(&base).unwrap();
        assert_eq!(find(cache.path()).unwrap(), Found::default());
        let base = left_by_a_dead_proctor(cache.path(), "gggg");
        fs::write(registry::file_of(&base), "").unwrap();
        let found = find(cache.path()).unwrap();
        assert_eq!((found.left.len(), found.strays.len()), (0, 1));
        assert!(found.strays[0].why.contains("empty"), "{found:?}");
        remove(&base).unwrap();
        assert!(base.exists(), "nobody can tell whose it is");
    }

    #[test]
    fn a_socket_that_became_a_file_is_not_removed() {
        let cache = tempfile::tempdir().unwrap();
        let base = left_by_a_dead_proctor(cache.path(), "hhhh");
        let file = cache.path().join("operators");
        fs::write(&file, "x").unwrap();
        let what = file.display().to_string();
        let entry = Entry { at: Time::UNIX_EPOCH, kind: "tmux_socket".into(), what, pid: None, started: None };
        let registry = registry::file_of(&base);
        let lines = fs::read_to_string(&registry).unwrap() + &serde_json::to_string(&entry).unwrap() + "\n";
        fs::write(&registry, lines).unwrap();
        remove(&base).unwrap();
        assert!(file.exists() && !base.exists());
    }
}
