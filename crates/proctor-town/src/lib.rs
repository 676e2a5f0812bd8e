//! The built-in town: what `gt` and `bd` mean.
//!
//! A town is a folder with real git repositories, a SQLite store of beads, and a daemon that starts agents in
//! pseudo-terminals and merges what they submit. [`gt`] and [`bd`] take a [`Call`] and give back an [`Output`]; they read no
//! environment, print nothing and exit nothing. `docs/builtin-town.md` says where this town differs from the real one.

mod agents;
mod args;
mod bd;
mod beads;
mod call;
mod caller;
mod convoys;
mod credentials;
mod daemon;
mod emission;
mod error;
mod events;
mod front;
mod git;
mod gt;
mod ids;
mod invocation;
mod launch;
mod mail;
mod merges;
mod processes;
mod render;
mod settings;
mod telemetry;
mod town;

pub use call::{Call, Clock, Output, RunIds};
pub use telemetry::Telemetry;

/// Runs one `gt` command line and says what to print and with which code to exit.
///
/// `gt daemon run` is the one long call: it returns when the daemon is told to stop, by `gt daemon stop`, `gt down`, SIGTERM
/// or SIGINT. It writes to the town's log, transcripts and socket only.
pub fn gt(call: Call) -> Output {
    invocation::run(&gt::PROGRAM, call).0
}

/// Runs one `bd` command line and says what to print and with which code to exit.
pub fn bd(call: Call) -> Output {
    let caller = call.caller();
    let began = std::time::Instant::now();
    let (output, verb) = invocation::run(&bd::PROGRAM, call);
    if let Some(verb) = verb {
        caller.bd_storage(verb, began.elapsed(), output.code != 0);
    }
    output
}
