//! Programs that play agents without being ours, and what every agent's telemetry says: the real binary on a scenario of seconds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a failing unwrap is a failing test, and a skipped test says so"
)]

mod hostile;
mod identity;
#[path = "../support/mini.rs"]
mod mini;
mod panes;
mod programs;
#[allow(dead_code, reason = "what answers the agent's own tests answers these")]
#[path = "../../../proctor-agent/tests/provider/mod.rs"]
mod provider;
#[allow(dead_code, reason = "the sandbox serves several test programs")]
#[path = "../end_to_end/sandbox.rs"]
mod sandbox;
mod silent;
mod telemetry;
