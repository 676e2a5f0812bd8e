//! The model gateway: plays the provider for the agents of a run.
//!
//! An answer is a pure function of the agent's address and the request's conversation; the gateway holds no turn state. It
//! speaks the Anthropic Messages API, streaming and not, below `/a/<agent>/`. Every exchange is in the journal before its
//! answer ends. It never binds a port: [`Gateway::router`] is served by the caller.

mod agent;
mod answer;
mod conversation;
mod exchange;
mod fault;
mod gateway;
mod journal;
mod request;
mod script;
mod server;
mod shell;
mod side;
mod tokens;
mod wire;

pub use agent::Agent;
pub use fault::{Fault, FaultError};
pub use gateway::{Clock, Config, Gateway, GatewayError};
pub use journal::{Exchange, JournalError};
pub use script::{Merge, ScriptProblem, Scripts, Town, World};
