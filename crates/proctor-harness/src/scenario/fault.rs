//! Planned failures: what can fail, and which keys each kind takes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::Span;

/// A planned failure.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Its name in the evidence.
    pub name: String,
    /// What fails.
    pub kind: FaultKind,
    /// Whom it hits: `*`, a role, or `role:rig`. With `program`: whose first model request is the moment.
    pub agent: String,
    /// What it hits instead of the agent: a program that the town consists of, such as `dolt`.
    #[serde(default)]
    pub program: Option<String>,
    /// HTTP status of a provider fault.
    #[serde(default)]
    pub status: Option<u16>,
    /// How many requests of each conversation, or how many deliveries of the prompt, it hits; 0: all.
    #[serde(default)]
    pub times: u32,
    /// How long it lasts; absent: until the run ends.
    #[serde(default)]
    pub lasts: Option<Span>,
}

/// Kinds of planned failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The model provider answers with an error status.
    Provider,
    /// The agent gets no telemetry addresses.
    Telemetry,
    /// The agent's telemetry goes to a listener that accepts connections and answers nothing.
    Collector,
    /// The agent's program ends at once, with exit code 1.
    Leave,
    /// The agent's process, or a server of the town, is killed (SIGKILL) at the agent's first model request after the prompt was
    /// received.
    Kill,
    /// The agent's process, or a server of the town, is stopped (SIGSTOP) at that moment.
    Freeze,
    /// From that moment on a program is not found.
    Missing,
    /// The prompt does not reach the coordinator.
    Nudge,
}

/// Which keys a kind of fault takes besides `name`, `kind` and `agent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    No,
    May,
    Must,
}

/// The keys of a kind: `program`, `status`, `times`, `lasts`.
type Keys = [Key; 4];

impl FaultKind {
    /// The word for it in a scenario.
    pub fn word(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Telemetry => "telemetry",
            Self::Collector => "collector",
            Self::Leave => "leave",
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::Missing => "missing",
            Self::Nudge => "nudge",
        }
    }

    /// Whether it strikes at a model request.
    pub(crate) fn strikes(self) -> bool {
        matches!(self, Self::Kill | Self::Freeze | Self::Missing)
    }

    fn keys(self) -> Keys {
        use Key::{May, Must, No};
        match self {
            Self::Provider => [No, Must, May, No],
            Self::Telemetry | Self::Collector | Self::Leave => [No, No, No, No],
            Self::Kill => [May, No, No, No],
            Self::Freeze => [May, No, No, May],
            Self::Missing => [Must, No, No, May],
            Self::Nudge => [No, No, May, No],
        }
    }
}

impl Fault {
    /// What of it does not fit its kind, one sentence each.
    pub(super) fn misfits(&self) -> Vec<String> {
        let given = [self.program.is_some(), self.status.is_some(), self.times > 0, self.lasts.is_some()];
        let names = ["program", "status", "times", "lasts"];
        let of_key = |((key, given), name): ((Key, bool), &str)| match (key, given) {
            (Key::No, true) => Some(format!("the {} fault `{}` takes no `{name}`", self.kind.word(), self.name)),
            (Key::Must, false) => Some(format!("the {} fault `{}` has no `{name}`", self.kind.word(), self.name)),
            _ => None,
        };
        let mut misfits: Vec<String> = self.kind.keys().into_iter().zip(given).zip(names).filter_map(of_key).collect();
        if let Some(status) = self.status.filter(|status| !(400..600).contains(status)) {
            misfits.push(format!("status {status} of the fault `{}` is no error status (400 to 599)", self.name));
        }
        if self.kind == FaultKind::Nudge && self.agent != "mayor" {
            misfits.push(format!("the nudge fault `{}` must hit the mayor: only the mayor is handed a prompt", self.name));
        }
        misfits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: FaultKind) -> Fault {
        Fault { name: "f".into(), kind, agent: "mayor".into(), program: None, status: None, times: 0, lasts: None }
    }

    #[test]
    fn each_kind_takes_its_own_keys_and_no_other() {
        let span = Some(Span(std::time::Duration::from_secs(1)));
        assert_eq!(fault(FaultKind::Provider).misfits(), ["the provider fault `f` has no `status`"]);
        assert_eq!(fault(FaultKind::Missing).misfits(), ["the missing fault `f` has no `program`"]);
        let frozen = Fault { program: Some("dolt".into()), lasts: span, ..fault(FaultKind::Freeze) };
        assert!(frozen.misfits().is_empty());
        let killed = Fault { kind: FaultKind::Kill, times: 1, ..frozen };
        assert_eq!(killed.misfits(), ["the kill fault `f` takes no `times`", "the kill fault `f` takes no `lasts`"]);
        let provider = Fault { status: Some(200), ..fault(FaultKind::Provider) };
        assert_eq!(provider.misfits(), ["status 200 of the fault `f` is no error status (400 to 599)"]);
        let nudge = Fault { agent: "polecat".into(), ..fault(FaultKind::Nudge) };
        assert_eq!(nudge.misfits(), ["the nudge fault `f` must hit the mayor: only the mayor is handed a prompt"]);
    }
}
