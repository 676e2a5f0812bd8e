//! Two runs side by side: what they have in common is left out, what differs is counted.
//!
//! A comparison is a pure function of the evidence of both runs, as a verdict is of one.

mod material;
mod sections;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use sections::markdown;
pub(crate) use sections::{Section, caution, sections};

use crate::evidence::Time;
use crate::outcome::Outcome;
use crate::summary::{AgentSummary, CheckStatus, Level, Summary};
use crate::wording::round;
pub(crate) use material::Material;

/// The version of the comparison's JSON.
pub const SCHEMA_VERSION: u32 = 1;

/// A value of the first run and of the second.
pub type Pair<T> = [T; 2];

/// Two runs side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What each run was and how it ended.
    pub runs: Pair<Side>,
    /// Whether both played the same scenario; figures of different ones say little.
    pub same_scenario: bool,
    /// Programs whose version differs, with `null` where a run has none of it.
    pub versions: Vec<VersionPair>,
    /// Every phase that one of them began.
    pub phases: Vec<PhasePair>,
    /// Every landed clause.
    pub landed: Vec<ClausePair>,
    /// What the agents of each role used.
    pub roles: Vec<RolePair>,
    /// Log events of which they have different numbers, by name.
    pub events: Vec<Count>,
    /// Metrics that counted differently, by name: what a sum counted, how many values a histogram took, how many series a gauge had.
    pub metrics: Vec<Amount>,
    /// Checks with different answers, or that only one has.
    pub checks: Vec<CheckPair>,
    /// Findings of which they have different numbers.
    pub findings: Vec<FindingPair>,
    /// What the towns did differently.
    pub town: TownPair,
}

/// One of the two runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// Short id.
    pub id: String,
    /// Scenario name.
    pub scenario: String,
    /// The town under test.
    pub town: String,
    /// How the model provider was played.
    pub models: String,
    /// Seed.
    pub seed: u64,
    /// When it began.
    pub started_at: Time,
    /// How long it took, in seconds.
    pub duration_s: f64,
    /// The verdict in one word.
    pub outcome: Outcome,
    /// The verdict in one sentence.
    pub headline: String,
    /// The command line that repeats it.
    pub command: String,
}

/// A program's version in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionPair {
    /// `gt`, `git`, `kernel`, …
    pub name: String,
    /// Its versions.
    pub versions: Pair<Option<String>>,
}

/// A phase in both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhasePair {
    /// 1 to 7.
    pub number: u8,
    /// Its name.
    pub name: String,
    /// Seconds it took; absent where it was not begun or never ended.
    pub seconds: Pair<Option<f64>>,
    /// How many times as long the second took; absent where one has no time or the first took none.
    pub ratio: Option<f64>,
}

/// A landed clause in both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClausePair {
    /// Its name.
    pub clause: String,
    /// For people.
    pub title: String,
    /// Since when it holds, in seconds after the run began; absent where it does not, or was not asked.
    pub true_after_s: Pair<Option<f64>>,
    /// How far it came; absent where it was not asked.
    pub now: Pair<Option<String>>,
}

/// The agents of a role in both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolePair {
    /// `mayor`, `polecat`, `refinery`, …
    pub role: String,
    /// What they used.
    pub used: Pair<RoleUse>,
}

/// What the agents of one role used, summed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleUse {
    /// How many there were.
    pub agents: u64,
    /// Their sessions.
    pub sessions: u64,
    /// Model calls answered.
    pub model_calls: u64,
    /// Input tokens, those read from or written to a cache included.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Cost in US dollars.
    pub cost_usd: f64,
}

/// How often something of that name is there, in both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Count {
    /// What is counted.
    pub name: String,
    /// How often.
    pub counts: Pair<u64>,
}

/// What a metric of that name counted, in both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Amount {
    /// Its name in OTLP's spelling.
    pub name: String,
    /// What it counted.
    pub amounts: Pair<f64>,
}

/// A check in both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckPair {
    /// Its id.
    pub id: String,
    /// The sentence that holds when it passes.
    pub title: String,
    /// The answers; absent where it was not asked.
    pub status: Pair<Option<CheckStatus>>,
    /// What was seen.
    pub saw: Pair<Option<String>>,
}

/// Findings of one id in both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FindingPair {
    /// Their id.
    pub id: String,
    /// The worst level of them.
    pub level: Level,
    /// The title of the first, of the run that has more.
    pub title: String,
    /// How many each has.
    pub counts: Pair<u64>,
}

/// What the towns did differently. Equal counts are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TownPair {
    /// The towns' own events, by kind.
    pub events: Vec<Count>,
    /// Messages, by the roles of sender and recipient: `mayor to polecat`.
    pub mail: Vec<Count>,
    /// Merge requests, by status.
    pub merge_requests: Vec<Count>,
    /// Convoys, by status.
    pub convoys: Vec<Count>,
    /// Work items, by kind and status: `task closed`.
    pub beads: Vec<Count>,
}

impl Comparison {
    /// Puts two runs side by side.
    pub(crate) fn of(first: &Material, second: &Material) -> Self {
        let (a, b) = (&first.summary, &second.summary);
        let town = |pick: fn(&Material) -> &BTreeMap<String, u64>| counts(pick(first), pick(second));
        Self {
            schema_version: SCHEMA_VERSION,
            runs: [side(a), side(b)],
            same_scenario: a.run.scenario == b.run.scenario,
            versions: versions(a, b),
            phases: phases(a, b),
            landed: landed(a, b),
            roles: roles(a, b),
            events: counts(&first.events, &second.events),
            metrics: amounts(&first.metrics, &second.metrics),
            checks: checks(a, b),
            findings: findings(a, b),
            town: TownPair {
                events: town(|m| &m.happenings),
                mail: town(|m| &m.mail),
                merge_requests: town(|m| &m.merge_requests),
                convoys: town(|m| &m.convoys),
                beads: town(|m| &m.beads),
            },
        }
    }
}

fn side(summary: &Summary) -> Side {
    let run = &summary.run;
    Side {
        id: run.id.clone(),
        scenario: run.scenario.clone(),
        town: run.town.clone(),
        models: run.models.clone(),
        seed: run.seed,
        started_at: run.started_at,
        duration_s: run.duration_s,
        outcome: summary.outcome,
        headline: summary.headline.clone(),
        command: run.command.clone(),
    }
}

/// The keys of both, those of `first` in their order before those that only `second` has.
fn keys<'a, K: PartialEq + Copy + 'a>(first: impl Iterator<Item = K>, second: impl Iterator<Item = K>) -> Vec<K> {
    let mut all: Vec<K> = Vec::new();
    for key in first.chain(second) {
        if !all.contains(&key) {
            all.push(key);
        }
    }
    all
}

fn versions(a: &Summary, b: &Summary) -> Vec<VersionPair> {
    let names: BTreeSet<&String> = a.versions.keys().chain(b.versions.keys()).collect();
    let pair = |name: &String| VersionPair {
        name: name.clone(),
        versions: [a.versions.get(name).cloned(), b.versions.get(name).cloned()],
    };
    names.into_iter().map(pair).filter(|p| p.versions[0] != p.versions[1]).collect()
}

fn phases(a: &Summary, b: &Summary) -> Vec<PhasePair> {
    let numbers = keys(a.phases.iter().map(|p| p.number), b.phases.iter().map(|p| p.number));
    let of = |summary: &Summary, number| summary.phases.iter().find(|p| p.number == number).cloned();
    let pair = |number: u8| {
        let (first, second) = (of(a, number), of(b, number));
        let seconds = [first.as_ref().and_then(|p| p.duration_s), second.as_ref().and_then(|p| p.duration_s)];
        PhasePair {
            number,
            name: first.or(second).map(|p| p.name).unwrap_or_default(),
            seconds,
            ratio: ratio(seconds[0], seconds[1]),
        }
    };
    let mut pairs: Vec<PhasePair> = numbers.into_iter().map(pair).collect();
    pairs.sort_by_key(|p| p.number);
    pairs
}

/// How many times the first the second is.
pub(crate) fn ratio(first: Option<f64>, second: Option<f64>) -> Option<f64> {
    let first = first.filter(|s| *s > 0.0)?;
    Some(round(second? / first))
}

fn landed(a: &Summary, b: &Summary) -> Vec<ClausePair> {
    let names = keys(a.landed.iter().map(|c| c.clause.as_str()), b.landed.iter().map(|c| c.clause.as_str()));
    let pair = |name: &str| {
        let both = [a, b].map(|s| s.landed.iter().find(|c| c.clause == name));
        ClausePair {
            clause: name.to_owned(),
            title: both.iter().flatten().next().map(|c| c.title.clone()).unwrap_or_default(),
            true_after_s: both.map(|c| c.filter(|c| c.value == Some(true)).and_then(|c| c.true_after_s)),
            now: both.map(|c| c.map(|c| c.now.clone())),
        }
    };
    names.into_iter().map(pair).collect()
}

fn roles(a: &Summary, b: &Summary) -> Vec<RolePair> {
    let names = keys(a.agents.iter().map(|x| x.role.as_str()), b.agents.iter().map(|x| x.role.as_str()));
    names.into_iter().map(|role| RolePair { role: role.to_owned(), used: [a, b].map(|s| used(&s.agents, role)) }).collect()
}

fn used(agents: &[AgentSummary], role: &str) -> RoleUse {
    let mut sum = RoleUse::default();
    for agent in agents.iter().filter(|a| a.role == role) {
        sum.agents += 1;
        sum.sessions += agent.sessions.len() as u64;
        sum.model_calls += agent.model_calls;
        sum.input_tokens += agent.input_tokens + agent.cache_read_tokens + agent.cache_creation_tokens;
        sum.output_tokens += agent.output_tokens;
        sum.cost_usd += agent.cost_usd;
    }
    sum.cost_usd = round(sum.cost_usd);
    sum
}

/// What differs between both, by name; what one does not have is nothing.
fn differing<T: Copy + Default + PartialEq>(a: &BTreeMap<String, T>, b: &BTreeMap<String, T>) -> Vec<(String, Pair<T>)> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let pair = |name: &String| (name.clone(), [a, b].map(|map| map.get(name).copied().unwrap_or_default()));
    names.into_iter().map(pair).filter(|(_, [first, second])| first != second).collect()
}

fn counts(a: &BTreeMap<String, u64>, b: &BTreeMap<String, u64>) -> Vec<Count> {
    differing(a, b).into_iter().map(|(name, counts)| Count { name, counts }).collect()
}

fn amounts(a: &BTreeMap<String, f64>, b: &BTreeMap<String, f64>) -> Vec<Amount> {
    differing(a, b).into_iter().map(|(name, amounts)| Amount { name, amounts }).collect()
}

fn checks(a: &Summary, b: &Summary) -> Vec<CheckPair> {
    let ids = keys(a.checks.iter().map(|c| c.id.as_str()), b.checks.iter().map(|c| c.id.as_str()));
    let pair = |id: &str| {
        let both = [a, b].map(|s| s.checks.iter().find(|c| c.id == id));
        CheckPair {
            id: id.to_owned(),
            title: both.iter().flatten().next().map(|c| c.title.clone()).unwrap_or_default(),
            status: both.map(|c| c.map(|c| c.status)),
            saw: both.map(|c| c.map(|c| c.saw.clone())),
        }
    };
    ids.into_iter().map(pair).filter(|p| p.status[0] != p.status[1]).collect()
}

fn findings(a: &Summary, b: &Summary) -> Vec<FindingPair> {
    let ids = keys(a.findings.iter().map(|f| f.id.as_str()), b.findings.iter().map(|f| f.id.as_str()));
    let pair = |id: &str| {
        let of = |s: &Summary| s.findings.iter().filter(|f| f.id == id).cloned().collect::<Vec<_>>();
        let (first, second) = (of(a), of(b));
        let counts = [first.len() as u64, second.len() as u64];
        let more = if first.len() >= second.len() { &first } else { &second };
        let level = first.iter().chain(&second).map(|f| f.level).min()?;
        let title = more.first()?.title.clone();
        (counts[0] != counts[1]).then(|| FindingPair { id: id.to_owned(), level, title, counts })
    };
    let mut pairs: Vec<FindingPair> = ids.into_iter().filter_map(pair).collect();
    pairs.sort_by_key(|p| p.level);
    pairs
}
