//! The gateway as its caller sees it: made from a configuration, served through a router, read through its journal.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::broadcast;

use crate::fault::{Fault, FaultState};
use crate::journal::{Exchange, Journal, JournalError, Written};
use crate::script::Scripts;
use crate::server;

/// Where the gateway takes the time from.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// What a gateway is made from.
pub struct Config {
    /// Who answers.
    pub scripts: Scripts,
    /// Planned failures, tried in order; the first that applies fires.
    pub faults: Vec<Fault>,
    /// The folder of the journal (`evidence/gateway`); made when it is missing. It must not hold a journal already.
    pub journal_dir: PathBuf,
    /// Gives `at` and `duration_ms` of the journal's rows.
    pub clock: Clock,
}

/// Why a gateway could not be made.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The journal could not be begun.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl GatewayError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Journal(error) => error.hint(),
        }
    }
}

/// The gateway. Clones share one journal.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) inner: Arc<Inner>,
}

/// What all requests share.
pub(crate) struct Inner {
    pub(crate) scripts: Scripts,
    pub(crate) faults: FaultState,
    pub(crate) journal: Journal,
    pub(crate) clock: Clock,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}

impl Gateway {
    /// Makes a gateway and begins its journal.
    ///
    /// # Errors
    /// When the journal's folder cannot be written or holds a journal already.
    pub fn new(config: Config) -> Result<Self, GatewayError> {
        let journal = Journal::begin(&config.journal_dir)?;
        let inner = Inner { scripts: config.scripts, faults: FaultState::new(config.faults), journal, clock: config.clock };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The routes, below what names the agent: `/v1/messages`, `/v1/messages/count_tokens`, `/health` and `HEAD` of anything.
    /// Requests must bring their [`Caller`](crate::Caller). It takes everything, so it is not for merging with other routes.
    pub fn router(&self) -> axum::Router {
        server::router(self.inner.clone())
    }

    /// Every journal row from now on, in the journal's order, each after it is on disk. A receiver that falls more than
    /// 4096 rows behind is told how many it missed; the journal has them.
    #[must_use]
    pub fn exchanges(&self) -> broadcast::Receiver<Exchange> {
        self.inner.journal.subscribe()
    }

    /// The exchanges so far that nothing answered, oldest first.
    #[must_use]
    pub fn misses(&self) -> Vec<Exchange> {
        self.inner.journal.misses()
    }

    /// How many requests were answered without being journalled, by the agent that they counted for (empty: nobody), because its
    /// share of the journal was used up.
    #[must_use]
    pub fn unjournalled(&self) -> BTreeMap<String, u64> {
        self.inner.journal.unjournalled()
    }

    /// How many exchanges the journal holds.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.inner.journal.count()
    }

    /// Every file of the journal as this gateway wrote it so far.
    #[must_use]
    pub fn written(&self) -> Vec<Written> {
        self.inner.journal.written()
    }

    /// Hands the journal to the disk.
    ///
    /// # Errors
    /// The first failure of the journal, also of a row written before: such a run's evidence is not whole.
    pub fn flush(&self) -> Result<(), JournalError> {
        self.inner.journal.flush()
    }
}
