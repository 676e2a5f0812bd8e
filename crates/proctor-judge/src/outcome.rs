//! The one word of a verdict and the exit code that goes with it.
//!
//! `docs/exit-codes.md` is the public table; a test compares it with this file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of a run.
///
/// `failed` and `not_landed` speak about the system under test. Every outcome below them speaks about something else and is
/// never counted as a failure of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It landed and every check holds.
    Passed,
    /// It landed and a check does not hold.
    Failed,
    /// The landed clauses did not hold together in time.
    NotLanded,
    /// The evidence does not suffice to tell.
    Unknown,
    /// The machine lacks something.
    EnvironmentError,
    /// The model provider did not answer usefully.
    ProviderError,
    /// Proctor itself or a script of the scenario is at fault.
    HarnessError,
    /// A person or a signal ended the run.
    Cancelled,
}

/// Exit code of a wrong command line; no run exists then, so no [`Outcome`] has it.
pub const USAGE_EXIT_CODE: u8 = 2;

impl Outcome {
    /// Every outcome, in the order of `docs/exit-codes.md`.
    pub const ALL: [Self; 8] = [
        Self::Passed,
        Self::Failed,
        Self::NotLanded,
        Self::Unknown,
        Self::EnvironmentError,
        Self::ProviderError,
        Self::HarnessError,
        Self::Cancelled,
    ];

    /// The exit code of `proctor run` and `proctor judge`.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed | Self::NotLanded => 100,
            Self::Unknown => 101,
            Self::EnvironmentError => 102,
            Self::ProviderError => 103,
            Self::HarnessError => 104,
            Self::Cancelled => 130,
        }
    }

    /// The word as it stands in files: `not_landed`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotLanded => "not_landed",
            Self::Unknown => "unknown",
            Self::EnvironmentError => "environment_error",
            Self::ProviderError => "provider_error",
            Self::HarnessError => "harness_error",
            Self::Cancelled => "cancelled",
        }
    }

    /// The word as people read it first: `NOT LANDED`.
    #[must_use]
    pub fn shout(self) -> String {
        self.word().replace('_', " ").to_uppercase()
    }

    /// Whether it says something about the system under test.
    #[must_use]
    pub fn is_product(self) -> bool {
        matches!(self, Self::Passed | Self::Failed | Self::NotLanded)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}
