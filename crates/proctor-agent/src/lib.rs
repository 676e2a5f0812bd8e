//! The built-in agent: model API, one shell tool, turns.
//!
//! It takes texts from its input (a beacon, then nudges typed into its terminal), plays each as one turn against the
//! Messages API, and tells what it does through OpenTelemetry as Claude Code does. It reads no environment, and leaves exiting
//! to its caller.

mod client;
mod config;
mod events;
mod input;
mod message;
mod price;
mod run;
mod screen;
mod sse;
mod stop;
mod terminal;
mod tool;
mod turn;
mod window;

pub use config::{Config, Credential, Retry, Surroundings, Telemetry, Terminal, default_system_prompt};
pub use run::{ExitStatus, run};
pub use stop::Stop;
pub use terminal::{RawMode, TerminalError};
