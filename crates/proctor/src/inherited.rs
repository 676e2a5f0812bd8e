//! What a parent leaves to a process, settled before anything else: signals, variables, the mask of new files, the current folder.
//!
//! A run must not depend on how somebody started Proctor: below `nohup`, from a service that ignores SIGCHLD, in a shell with an odd
//! umask, with variables meant for another program.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::sync::OnceLock;

use rustix::fs::Mode;

use crate::failure::Failure;

/// What this process was started with.
struct Inherited {
    variables: BTreeMap<OsString, OsString>,
    /// Whether SIGHUP was ignored: whoever asked for that wants the run to outlive the terminal.
    ignores_hangup: bool,
}

static INHERITED: OnceLock<Inherited> = OnceLock::new();

/// Bits of a umask that take something from others than the owner. Who may not read what he makes cannot work.
const OTHERS: u32 = 0o077;
/// The umask of whatever runs inside a fence: the same for everybody who plays a run.
const FENCED: u32 = 0o022;

/// Settles what was left to this process, which still has one thread. `name` is what it is called by.
pub(crate) fn settle(name: &str) {
    let variables = std::env::vars_os().collect();
    let ignores_hangup = proctor_fence::undo_inherited_signals();
    if ignores_hangup {
        // A handler that does nothing; unlike "ignored", it is not handed on to what is started.
        _ = signal_hook::flag::register(signal_hook::consts::SIGHUP, std::sync::Arc::default());
    }
    // OpenTelemetry's crates read these by themselves, and some settings cannot be stated otherwise. What is played for an
    // agent has them from the run, and hands them on to the commands that the agent types.
    if !crate::personality::is_one(name) {
        proctor_fence::forget_variables(|name| name.as_encoded_bytes().starts_with(b"OTEL_"));
    }
    let before = rustix::process::umask(Mode::from_raw_mode(FENCED));
    if name != "proctor-fence" {
        rustix::process::umask(before & Mode::from_raw_mode(OTHERS));
    }
    _ = INHERITED.set(Inherited { variables, ignores_hangup });
}

/// The environment that this process was started with.
pub(crate) fn variables() -> BTreeMap<OsString, OsString> {
    INHERITED.get().map_or_else(|| std::env::vars_os().collect(), |inherited| inherited.variables.clone())
}

/// Whether the person asked that the end of the terminal be ignored (`nohup`).
pub(crate) fn ignores_hangup() -> bool {
    INHERITED.get().is_some_and(|inherited| inherited.ignores_hangup)
}

/// Refuses a current folder that is no more: no relative path means anything there, and nothing can be started in it.
///
/// # Errors
/// When there is none.
pub(crate) fn folder_is_there() -> Result<(), Failure> {
    let gone = |error: std::io::Error| {
        Failure::environment(format!("the current folder cannot be used: {error}"))
            .hint("it was removed or may not be entered any more: cd to another one")
    };
    let here = std::env::current_dir().map_err(gone)?;
    std::fs::metadata(OsStr::new(".")).map_err(gone)?;
    // A folder that was moved to the trash and made anew elsewhere has a path, but not this one.
    std::fs::metadata(here).map(drop).map_err(gone)
}
