//! Proctor's harness: scenario files, the phases of a run, processes, towns, exercises, evidence.
//!
//! [`cycle::run`] executes phases 1 to 7 and leaves evidence on disk; judging is another crate's work. The harness drives every
//! town as processes and files only, and is handed addresses of the telemetry store and the gateway by the edge ([`cycle::Services`]).

pub mod base;
pub mod clean;
pub mod cycle;
pub mod digest;
pub mod doctor;
pub mod exercise;
pub mod fence;
mod file_lock;
pub mod halt;
pub mod keeper;
pub mod landed;
pub mod launch;
pub mod ledger;
pub mod linux;
pub mod lives;
pub mod namespace;
pub mod origins;
pub mod process;
pub mod registry;
mod remove;
pub mod runs;
pub mod scenario;
mod short_file;
mod tmux_variables;
pub mod town;
pub mod untrusted;

pub use halt::Halt;
