//! The real binary in a cleared environment: real processes, real git, real signals.
//!
//! Every test has a home, a cache and a working directory of its own and shares nothing with the machine's user.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a failing unwrap is a failing test, and a skipped test says so"
)]

mod attacks;
mod bad_luck;
mod disks;
mod documented;
mod gastown;
mod gastown_daemon;
mod gate;
mod isolation;
mod killed;
mod learned;
mod live_town;
mod looking;
mod machine;
mod mini;
mod passing;
mod phases;
mod poorer;
mod repair;
mod runtime;
mod sandbox;
mod sealing;
mod selftest;
mod towns;
mod usage;
