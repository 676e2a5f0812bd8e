//! The listeners of a run: telemetry in and queries out on one port, the gateway on another, the origins on a third. Loopback only.

mod address;
mod connections;
mod counts;
mod exchange;
mod guards;
pub(crate) mod listener;
mod origins;
pub(crate) mod otlp;
mod parameters;
pub(crate) mod queries;
mod run;
mod serving;
mod spans;
mod strays;

pub(crate) use run::{Ports, RunServices};
