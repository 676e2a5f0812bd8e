//! The fence with real processes: what it refuses, each with the same attempt outside as positive control; what works inside;
//! its parent outside; and the keeper.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking, and says what it skips")]

mod inside;
mod keeper;
mod parent;
mod place;
mod poorer;
mod probes;
mod refusals;
