//! The base directory of a run. Everything in it is entered in the run's registry before it is made (see [`crate::registry`]).
//!
//! It is short and canonical: socket paths are limited to 107 bytes, and a town below somebody's town would be captured by it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use proctor_judge::evidence::Time;

use crate::halt::Halt;
use crate::linux;
use crate::namespace::Holder;
use crate::registry::{Entry, Registry};

/// The folder of base directories in Proctor's cache.
pub const RUNS: &str = "runs";
/// The folder in a base directory where Proctor's own git keeps what is on its way.
pub const OWN: &str = "own";
/// The file with the town's environment, for whoever attaches to a town that was kept.
pub const ENVIRONMENT: &str = "environment.json";
/// Longest path of a Unix socket (unix(7): 108 bytes with the final zero).
const SOCKET_PATH_LIMIT: usize = 107;

/// A short id from 32 random bits: four of the characters `23456789abcdefghjkmnpqrstvwxyz`, which are hard to confuse.
pub fn short_id(random: u32) -> String {
    const LETTERS: &[u8; 30] = b"23456789abcdefghjkmnpqrstvwxyz";
    let mut rest = random;
    let mut next = || {
        let letter = LETTERS[(rest % 30) as usize];
        rest /= 30;
        char::from(letter)
    };
    (0..4).map(|_| next()).collect()
}

/// The base directory of a run that is in progress.
#[derive(Debug)]
pub struct Base {
    root: PathBuf,
    registry: Registry,
}

impl Base {
    /// Makes `cache/runs/<id>/` and enters this process as its owner.
    ///
    /// # Errors
    /// When the folder exists, cannot be made, or its path is too long for sockets.
    pub fn create(cache: &Path, id: &str, report: &Path, now: Time) -> Result<Self, Halt> {
        Self::create_for(Holder::me(), cache, id, report, now)
    }

    /// [`Base::create`] with another owner: the process by which everybody else knows this run.
    ///
    /// # Errors
    /// As for [`Base::create`].
    pub fn create_for(owner: Holder, cache: &Path, id: &str, report: &Path, now: Time) -> Result<Self, Halt> {
        let runs = cache.join(RUNS);
        fs::create_dir_all(&runs).map_err(|error| Halt::io("make", &runs, &error))?;
        linux::spread(&runs);
        let runs = runs.canonicalize().map_err(|error| Halt::io("find", &runs, &error))?;
        let root = runs.join(id);
        let socket = root.join("town/daemon/daemon.sock");
        if socket.as_os_str().len() > SOCKET_PATH_LIMIT {
            let message = format!("the path {} is too long for a socket ({SOCKET_PATH_LIMIT} bytes)", socket.display());
            return Err(Halt::environment(message).hint("set XDG_CACHE_HOME to a shorter path"));
        }
        let (pid, started) = (Some(owner.pid), Some(owner.started));
        let entry = Entry { at: now, kind: "owner".into(), what: report.display().to_string(), pid, started };
        let registry = Registry::begin(&root, &entry)?;
        if let Err(error) = fs::DirBuilder::new().mode(0o700).create(&root) {
            registry.discard();
            return Err(Halt::io("make", &root, &error));
        }
        Ok(Self { root, registry })
    }

    /// Enters what is about to be made.
    ///
    /// # Errors
    /// When the registry cannot be written; the thing must not be made then.
    pub fn enter(&self, entry: Entry) -> Result<(), Halt> {
        self.registry.enter(&entry)
    }

    /// Enters and makes a folder below the base, readable by the user only.
    ///
    /// # Errors
    /// When it cannot be entered or made.
    pub fn folder(&self, name: &str, now: Time) -> Result<PathBuf, Halt> {
        let path = self.root.join(name);
        self.enter(Entry { at: now, kind: "directory".into(), what: path.display().to_string(), pid: None, started: None })?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(|error| Halt::io("make", &path, &error))?;
        Ok(path)
    }

    /// Enters and makes a symbolic link below the base.
    ///
    /// # Errors
    /// When it cannot be entered or made.
    pub fn link(&self, name: &str, target: &Path, now: Time) -> Result<(), Halt> {
        let path = self.root.join(name);
        self.enter(Entry { at: now, kind: "link".into(), what: path.display().to_string(), pid: None, started: None })?;
        symlink(target, &path).map_err(|error| Halt::io("make", &path, &error))
    }

    /// Enters something that has no path of ours: a listener, a process about to be started.
    ///
    /// # Errors
    /// When it cannot be entered.
    pub fn note(&self, kind: &str, what: &str, now: Time) -> Result<(), Halt> {
        self.enter(Entry { at: now, kind: kind.into(), what: what.into(), pid: None, started: None })
    }

    /// The base directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path below it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

/// The variable that every process of a run carries, with the run's short id: what ends, counts or clears away processes knows them by it.
pub const RUN_ID: &str = "PROCTOR_RUN_ID";

/// The address of a folder. It has no letter that git, a shell or a script's pattern takes for anything else; git decodes it.
pub fn file_url(folder: &Path) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(byte);
    let bytes = folder.as_os_str().as_bytes().iter();
    bytes.fold(
        "file://".to_owned(),
        |url, byte| if plain(byte) { url + &char::from(*byte).to_string() } else { format!("{url}%{byte:02X}") },
    )
}

/// The environment of everything in the town, but for the addresses of telemetry. See `docs/seams.md`.
pub fn town_environment(root: &Path, id: &str, seed: u64) -> BTreeMap<String, String> {
    let below = |name: &str| root.join(name).display().to_string();
    let fixed = [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("LANG", "C.UTF-8"),
        ("TERM", "xterm-256color"),
        ("NO_COLOR", "1"),
        ("BD_NON_INTERACTIVE", "1"),
        (RUN_ID, id),
    ];
    let mut env: BTreeMap<String, String> = fixed.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    env.insert("PATH".into(), format!("{}:/usr/local/bin:/usr/bin:/bin", below("bin")));
    env.insert("PROCTOR_SEED".into(), seed.to_string());
    let places = [
        ("HOME", "home"),
        ("GT_HOME", "home"),
        ("XDG_CONFIG_HOME", "home/.config"),
        ("XDG_CACHE_HOME", "home/.cache"),
        ("XDG_DATA_HOME", "home/.local/share"),
        ("XDG_STATE_HOME", "home/.local/state"),
        ("XDG_RUNTIME_DIR", "rt"),
        ("TMPDIR", "tmp"),
        ("GT_TOWN_ROOT", "town"),
        ("GT_ROOT", "town"),
    ];
    env.extend(places.map(|(key, name)| (key.to_owned(), below(name))));
    env
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::registry;

    #[test]
    fn everything_is_in_the_registry_and_a_second_run_cannot_take_the_place() {
        let cache = tempfile::tempdir().unwrap();
        let now = Time::UNIX_EPOCH;
        let base = Base::create(cache.path(), "7k3f", Path::new("/r"), now).unwrap();
        base.folder("town", now).unwrap();
        base.link("bin", Path::new("/nowhere"), now).unwrap();
        let kinds: Vec<String> =
            registry::read(&registry::file_of(base.root())).unwrap().entries.into_iter().map(|e| e.kind).collect();
        assert_eq!(kinds, ["owner", "directory", "link"]);
        assert!(Base::create(cache.path(), "7k3f", Path::new("/r"), now).is_err());
    }

    #[test]
    fn a_cache_too_deep_for_sockets_is_refused_with_a_hint() {
        let cache = tempfile::tempdir().unwrap();
        let deep = cache.path().join("x".repeat(100));
        let halt = Base::create(&deep, "7k3f", Path::new("/r"), Time::UNIX_EPOCH).unwrap_err();
        assert!(halt.message.contains("too long"), "{halt}");
        assert!(halt.hint.is_some());
    }

    #[test]
    fn addresses_of_folders_are_plain() {
        assert_eq!(file_url(Path::new("/c/runs/7k3f/origins")), "file:///c/runs/7k3f/origins");
        assert_eq!(file_url(Path::new("/a%20b/it's #1/ü")), "file:///a%2520b/it%27s%20%231/%C3%BC");
    }

    #[test]
    fn nothing_of_the_user_reaches_the_town() {
        let env = town_environment(Path::new("/c/runs/7k3f"), "7k3f", 42);
        assert_eq!(env["PATH"], "/c/runs/7k3f/bin:/usr/local/bin:/usr/bin:/bin");
        assert_eq!(env["HOME"], "/c/runs/7k3f/home");
        assert_eq!(env["PROCTOR_RUN_ID"], "7k3f");
    }
}
