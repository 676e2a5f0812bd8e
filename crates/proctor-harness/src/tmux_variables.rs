//! Global variables that a run sets in somebody's own tmux server: sessions made from then on have them.
//!
//! The registry has each before it is set, with what it was, so that whoever cleans can put it back, whatever became of the run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::base::Base;
use crate::cycle::Clock;
use crate::halt::Halt;
use crate::registry;

/// The kind of registry entry; its `what` is a [`Variable`] as JSON.
const KIND: &str = "tmux_variable";

/// One variable that was set.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Variable {
    /// Path of the server's socket.
    socket: String,
    name: String,
    /// What it was set to.
    set: String,
    /// What it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    /// The program that set it. What stands under its name in the base directory by then may be anybody's.
    #[serde(default = "on_the_path")]
    tmux: PathBuf,
}

fn on_the_path() -> PathBuf {
    PathBuf::from("tmux")
}

/// Sets variables in the server on `socket`. One that does not run yet gets them from whoever starts it: then they are entered only.
///
/// # Errors
/// When the registry cannot be written, or the server refuses.
pub(crate) fn set(base: &Base, clock: &Clock, socket: &Path, with: &[(String, String)]) -> Result<(), Halt> {
    let socket = socket.display().to_string();
    let tmux = &fs::read_link(base.path("bin/tmux")).unwrap_or_else(|_| on_the_path());
    let runs = ask(tmux, &socket, &["show-environment", "-g"]).is_some();
    for (name, value) in with {
        let before = value_of(tmux, &socket, name);
        let (name, set) = (name.clone(), value.clone());
        let variable = Variable { socket: socket.clone(), name: name.clone(), set, before, tmux: tmux.clone() };
        let what = serde_json::to_string(&variable).map_err(|error| Halt::harness(error.to_string()))?;
        base.note(KIND, &what, clock())?;
        if runs && ask(tmux, &socket, &["set-environment", "-g", &name, value]).is_none() {
            let halt = Halt::environment(format!("the tmux server on {socket} does not take the variable {name}"));
            return Err(halt.hint(format!("try `tmux -S {socket} set-environment -g {name} x` by hand")));
        }
    }
    Ok(())
}

/// Puts back what a run set, by its registry. What is not as the run set it any more is somebody else's by now.
pub(crate) fn put_back(root: &Path) {
    let entries = registry::read(&registry::file_of(root)).unwrap_or_default().entries;
    for variable in entries.iter().filter(|entry| entry.kind == KIND).filter_map(|entry| serde_json::from_str(&entry.what).ok()) {
        let Variable { socket, name, set, before, tmux } = variable;
        if value_of(&tmux, &socket, &name) != Some(set) {
            continue;
        }
        _ = match before {
            Some(before) => ask(&tmux, &socket, &["set-environment", "-g", &name, &before]),
            None => ask(&tmux, &socket, &["set-environment", "-gu", &name]),
        };
    }
}

fn value_of(tmux: &Path, socket: &str, name: &str) -> Option<String> {
    let shown = ask(tmux, socket, &["show-environment", "-g", name])?;
    shown.trim_end_matches('\n').strip_prefix(name)?.strip_prefix('=').map(str::to_owned)
}

/// What tmux says; absent when it fails.
fn ask(tmux: &Path, socket: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(tmux).args(["-S", socket]).args(args).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and a skipped one says so")]
    use super::*;
    use proctor_judge::evidence::Time;
    use std::sync::Arc;

    struct Server(tempfile::TempDir);

    impl Server {
        fn start() -> Option<Self> {
            let folder = tempfile::tempdir().unwrap();
            let socket = folder.path().join("s");
            let begun = Command::new("tmux")
                .args(["-f", "/dev/null", "-S"])
                .arg(&socket)
                .args(["new-session", "-d", "sleep 600"])
                .status();
            if begun.is_err() {
                eprintln!("skipped: tmux not found");
                return None;
            }
            Some(Self(folder))
        }

        fn socket(&self) -> std::path::PathBuf {
            self.0.path().join("s")
        }

        fn has(&self, name: &str) -> Option<String> {
            value_of(&on_the_path(), &self.socket().display().to_string(), name)
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            _ = Command::new("tmux").arg("-S").arg(self.socket()).arg("kill-server").status();
        }
    }

    #[test]
    fn variables_are_put_back_by_the_registry_unless_somebody_else_set_them_since() {
        let Some(server) = Server::start() else { return };
        let cache = tempfile::tempdir().unwrap();
        let clock: Clock = Arc::new(|| Time::UNIX_EPOCH);
        let base = Base::create(cache.path(), "7k3f", Path::new("/r"), Time::UNIX_EPOCH).unwrap();
        let socket = server.socket().display().to_string();
        ask(&on_the_path(), &socket, &["set-environment", "-g", "HAD", "old = value"]).unwrap();
        let with = ["HAD", "NEW", "OTHERS"].map(|name| (name.to_owned(), "http://run".to_owned()));
        set(&base, &clock, &server.socket(), &with).unwrap();
        assert!(with.iter().all(|(name, value)| server.has(name).as_ref() == Some(value)));
        ask(&on_the_path(), &socket, &["set-environment", "-g", "OTHERS", "http://next-run"]).unwrap();
        put_back(base.root());
        let now = ["HAD", "NEW", "OTHERS"].map(|name| server.has(name));
        assert_eq!(now, [Some("old = value".to_owned()), None, Some("http://next-run".to_owned())]);
    }

    #[test]
    fn a_server_that_does_not_run_is_no_error() {
        let cache = tempfile::tempdir().unwrap();
        let clock: Clock = Arc::new(|| Time::UNIX_EPOCH);
        let base = Base::create(cache.path(), "7k3f", Path::new("/r"), Time::UNIX_EPOCH).unwrap();
        set(&base, &clock, &cache.path().join("none"), &[("A".to_owned(), "b".to_owned())]).unwrap();
        assert!(registry::read(&registry::file_of(base.root())).unwrap().entries.iter().any(|entry| entry.kind == KIND));
        put_back(base.root());
    }
}
