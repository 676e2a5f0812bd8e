//! Flags that choose the town under test.

use proctor_harness::scenario::Scenario;
use proctor_harness::scenario::spec::Merge;
use proctor_harness::town::TownKind;

use crate::failure::Failure;

/// `--town`, `--merge` and `--daemon`, for whatever plays runs.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct TownChoice {
    /// The orchestrator under test
    #[arg(long, value_enum, default_value_t = Town::Builtin)]
    town: Town,
    /// How finished work reaches main, in a town that leaves the choice [default: the scenario's]
    #[arg(long, value_enum, value_name = "HOW")]
    merge: Option<MergeBy>,
    /// Run the real town's daemon, which closes convoys and looks after agents, in a PID namespace of the run's own [default: the
    /// scenario's]
    #[arg(long)]
    daemon: bool,
}

impl TownChoice {
    /// The harness's word for the town.
    pub(crate) fn kind(self) -> TownKind {
        self.town.kind()
    }

    /// Lays the choice over a scenario.
    ///
    /// # Errors
    /// When the town does not leave that choice.
    pub(crate) fn settle(self, scenario: &mut Scenario) -> Result<(), Failure> {
        if self.town == Town::Builtin && self.merge == Some(MergeBy::Direct) {
            return Err(Failure::usage("the built-in town merges by its queue only").hint("--merge direct needs --town gastown"));
        }
        if self.town == Town::Builtin && self.daemon {
            let failure = Failure::usage("the built-in town always has its daemon");
            return Err(failure.hint("--daemon needs --town gastown"));
        }
        scenario.spec.daemon |= self.daemon;
        scenario.spec.merge = self.merge.map_or(scenario.spec.merge, Merge::from);
        Ok(())
    }

    /// The flags that repeat the choice; none for what is the default.
    pub(crate) fn words(self) -> Vec<String> {
        let town = (self.town != Town::Builtin).then(|| format!("--town {}", self.kind().word()));
        let merge = self.merge.map(|merge| format!("--merge {}", Merge::from(merge).word()));
        let daemon = self.daemon.then(|| "--daemon".to_owned());
        town.into_iter().chain(merge).chain(daemon).collect()
    }

    /// Whether this scenario runs the daemon of a real town.
    pub(crate) fn has_daemon(self, scenario: &Scenario) -> bool {
        self.town == Town::Gastown && scenario.spec.daemon
    }
}

/// The towns that can be tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Town {
    /// The town that ships with Proctor
    Builtin,
    /// The real Gas Town: gt, bd, dolt and tmux from PROCTOR_GASTOWN_BIN or PATH, installed fresh for the run
    Gastown,
}

impl Town {
    /// The harness's word for it.
    pub(crate) fn kind(self) -> TownKind {
        match self {
            Self::Builtin => TownKind::Builtin,
            Self::Gastown => TownKind::Gastown,
        }
    }
}

/// How finished work reaches main.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum MergeBy {
    /// Through the merge queue of its rig
    Queue,
    /// The worker pushes it
    Direct,
}

impl From<MergeBy> for Merge {
    fn from(by: MergeBy) -> Self {
        match by {
            MergeBy::Queue => Self::Queue,
            MergeBy::Direct => Self::Direct,
        }
    }
}
