//! Served origins: the bare repositories of the rigs, which agents reach over HTTP only, as people reach a forge.
//!
//! Here lies what needs no HTTP: who asks for what, what a push changed, and the log of it. Listening, and running git's own
//! `http-backend`, are the edge's (`crates/proctor/src/services/origins/`). No agent can read or write the repositories, so that they hold
//! no hooks, settings, grafts, replacements or attributes of an agent's making.

mod asked;
mod forge;
mod identity;
pub mod log;

use std::path::PathBuf;

pub use asked::{Asked, Commands, Pack, commands};
pub(crate) use forge::backend_of;
pub use forge::{Change, Forge};
pub use identity::{DAEMON, Identity, TOWN, Trust, identify};

use crate::cycle::Clock;
use crate::landed::git::Git;

/// What the edge needs to serve the origins of a run.
#[derive(Clone)]
pub struct OriginsSpec {
    /// The folder of bare repositories `<rig>.git`.
    pub folder: PathBuf,
    /// A folder of Proctor's own for what is on its way to them.
    pub scratch: PathBuf,
    /// What the tokens of the run's agents are made with.
    pub secret: String,
    /// Proctor's own git.
    pub git: Git,
    /// Whether the first push to an origin that is not there makes it.
    pub may_create: bool,
    /// The time of day.
    pub clock: Clock,
}
