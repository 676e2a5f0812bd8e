//! The agent's life: texts in, turns played, until there is a reason to end.

use std::io::{Read, Write};

use crate::config::{Config, Surroundings, Telemetry};
use crate::stop::Stop;

/// How an agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Its input ended, or it was asked to stop, or its work was handed in.
    Ended,
    /// The provider did not answer usefully in all tries.
    Provider,
}

impl ExitStatus {
    /// The process's exit code: 0, or 3 for [`ExitStatus::Provider`].
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ended => 0,
            Self::Provider => 3,
        }
    }
}

/// Runs an agent until its input ends, `stop` is asked for, a polecat's `gt done` succeeded, or the provider failed it.
/// Telemetry is flushed before it returns. The thread that reads `input` may outlive the call, blocked in its read.
pub fn run(
    config: Config,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    stop: &Stop,
    surroundings: Surroundings,
    telemetry: Telemetry,
) -> ExitStatus {
    let _ = (config, input, output, stop, surroundings, telemetry);
    ExitStatus::Ended
}
