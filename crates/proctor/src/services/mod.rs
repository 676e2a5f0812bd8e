//! The listeners of a run: telemetry in and queries out on one port, the gateway on another. Loopback only.

mod counts;
mod exchange;
pub(crate) mod listener;
pub(crate) mod otlp;
mod parameters;
pub(crate) mod queries;
mod run;
mod spans;

pub(crate) use run::{Ports, RunServices};
