//! The surroundings in which scripts are played, and what holds only in some of them.

/// The surroundings of a run, as far as scripts may depend on them. The default is the built-in town with its merge queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// The town that the roles are played in.
    pub town: Town,
    /// How finished work reaches the main branch.
    pub merge: Merge,
    /// Whether the daemon of a town that can do without one runs; never in the built-in town.
    pub daemon: bool,
}

impl World {
    /// Every combination: what must be right for a script folder to be right everywhere.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let kinds = [(Town::Builtin, false), (Town::Gastown, false), (Town::Gastown, true)];
        kinds.into_iter().flat_map(|(town, daemon)| Merge::ALL.map(|merge| Self { town, merge, daemon })).collect()
    }
}

/// A town, by the name that conditions and `{{town}}` use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Town {
    /// Proctor's own.
    #[default]
    Builtin,
    /// The real Gas Town.
    Gastown,
}

impl Town {
    /// Every town.
    pub const ALL: [Self; 2] = [Self::Builtin, Self::Gastown];

    /// `builtin` or `gastown`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Gastown => "gastown",
        }
    }
}

/// How finished work reaches the main branch, by the name that conditions and `{{merge}}` use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Merge {
    /// A merge queue takes it, and its refinery merges.
    #[default]
    Queue,
    /// The worker pushes it there itself.
    Direct,
}

impl Merge {
    /// Every way.
    pub const ALL: [Self; 2] = [Self::Queue, Self::Direct];

    /// `queue` or `direct`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Direct => "direct",
        }
    }
}

/// `only = { town = …, merge = …, daemon = … }`: where a script, turn or step is played. Without keys: everywhere.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Condition {
    pub(super) town: Option<Town>,
    pub(super) merge: Option<Merge>,
    pub(super) daemon: Option<bool>,
}

impl Condition {
    pub(super) fn holds(self, world: World) -> bool {
        self.town.is_none_or(|town| town == world.town)
            && self.merge.is_none_or(|merge| merge == world.merge)
            && self.daemon.is_none_or(|daemon| daemon == world.daemon)
    }
}
