//! Flags that choose the town under test.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use proctor_harness::scenario::spec::Merge;
use proctor_harness::scenario::{RigsBy, Scenario};
use proctor_harness::town::TownKind;

use crate::failure::Failure;

/// `--town`, `--merge` and `--daemon`, for whatever plays runs.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TownChoice {
    /// The orchestrator under test
    #[arg(long, value_name = "TOWN", value_parser = PlaceParser, default_value = "builtin")]
    town: Place,
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
    pub(crate) fn kind(&self) -> TownKind {
        self.town.town.kind()
    }

    /// The folder of a town that is there already.
    pub(crate) fn live(&self) -> Option<&Path> {
        self.town.live.as_deref()
    }

    /// Refuses a town that is there already, for what plays in fresh ones only.
    ///
    /// # Errors
    /// When one was named.
    pub(crate) fn must_be_fresh(&self) -> Result<(), Failure> {
        if self.live().is_none() {
            return Ok(());
        }
        Err(Failure::usage("sabotage and series are played in fresh towns only").hint("leave out the folder: --town gastown"))
    }

    /// Lays the choice over a scenario.
    ///
    /// # Errors
    /// When the town does not leave that choice.
    pub(crate) fn settle(&self, scenario: &mut Scenario) -> Result<(), Failure> {
        if self.live().is_some() {
            self.fits_a_live_town(scenario)?;
        }
        let builtin = self.kind() == TownKind::Builtin;
        if builtin && self.merge == Some(MergeBy::Direct) {
            return Err(Failure::usage("the built-in town merges by its queue only").hint("--merge direct needs --town gastown"));
        }
        if builtin && self.daemon {
            let failure = Failure::usage("the built-in town always has its daemon");
            return Err(failure.hint("--daemon needs --town gastown"));
        }
        scenario.spec.daemon |= self.daemon;
        scenario.spec.merge = self.merge.map_or(scenario.spec.merge, Merge::from);
        Ok(())
    }

    /// Whether a scenario can be played in a town of somebody's own, whose agents, daemon and programs are its owner's.
    fn fits_a_live_town(&self, scenario: &mut Scenario) -> Result<(), Failure> {
        let refused = |what: &str, hint: &str| Err(Failure::usage(format!("a live town {what}")).hint(hint.to_owned()));
        if self.daemon {
            return refused("has its own daemon or none", "leave out --daemon");
        }
        if let Some(fault) = scenario.spec.fault.first() {
            return refused(
                &format!("is not broken on purpose: the scenario plans the fault `{}`", fault.name),
                "play it in a fresh town: --town gastown",
            );
        }
        if !scenario.spec.agents.is_empty() {
            return refused("has its own agents: the scenario names some", "play it in a fresh town: --town gastown");
        }
        if scenario.spec.rigs == RigsBy::Prepared {
            return refused(
                "gets no rigs from Proctor, and the scenario wants them made before",
                "let the prompt tell the mayor to make them",
            );
        }
        scenario.spec.daemon = false;
        Ok(())
    }

    /// The flags that repeat the choice, but for the folder of a live town; none for what is the default.
    pub(crate) fn words(&self) -> Vec<String> {
        let is_fresh = self.kind() != TownKind::Builtin && self.live().is_none();
        let town = is_fresh.then(|| format!("--town {}", self.kind().word()));
        let merge = self.merge.map(|merge| format!("--merge {}", Merge::from(merge).word()));
        let daemon = self.daemon.then(|| "--daemon".to_owned());
        town.into_iter().chain(merge).chain(daemon).collect()
    }

    /// Whether this scenario runs the daemon of a real town.
    pub(crate) fn has_daemon(&self, scenario: &Scenario) -> bool {
        self.kind() == TownKind::Gastown && scenario.spec.daemon
    }
}

/// A kind of town, and where one is that is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    town: Town,
    live: Option<PathBuf>,
}

/// Takes `builtin`, `gastown` and `gastown:PATH`.
#[derive(Clone)]
struct PlaceParser;

/// What stands before the folder of a live town.
const LIVE: &str = "gastown:";

impl TypedValueParser for PlaceParser {
    type Value = Place;

    fn parse_ref(&self, command: &clap::Command, arg: Option<&clap::Arg>, value: &OsStr) -> Result<Place, clap::Error> {
        if let Some(path) = value.to_str().and_then(|value| value.strip_prefix(LIVE)).filter(|path| !path.is_empty()) {
            return Ok(Place { town: Town::Gastown, live: Some(PathBuf::from(path)) });
        }
        EnumValueParser::<Town>::new().parse_ref(command, arg, value).map(|town| Place { town, live: None })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        // The values of a parser that is gone at the end of this function.
        let values: Vec<PossibleValue> = EnumValueParser::<Town>::new().possible_values().into_iter().flatten().collect();
        Some(Box::new(values.into_iter()))
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
