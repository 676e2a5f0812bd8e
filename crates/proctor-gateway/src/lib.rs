//! The model gateway: plays the provider for the agents of a run.
//!
//! An answer is a pure function of the agent's address and the request's conversation; the gateway holds no turn state. It
//! speaks the Anthropic Messages API, streaming and not. Every request is in the journal before its answer ends, also one to a
//! path that does not exist or from nobody known. It never binds a port: [`Gateway::router`] is served by the caller, who says
//! with each request whose it is ([`Caller`]).

mod agent;
mod answer;
mod caller;
mod conversation;
mod dialogue;
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
pub use caller::{AskSender, Caller, Sender};
pub use dialogue::{AnswerBytes, Dialogue, Part, PartKind, Said};
pub use fault::{Fault, FaultError};
pub use gateway::{Clock, Config, Gateway, GatewayError};
pub use journal::{Exchange, JournalError, Written};
pub use script::{Merge, ScriptProblem, Scripts, Town, World};
pub use server::refusal;
