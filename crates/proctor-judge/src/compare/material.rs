//! What a comparison takes from one run: its summary and what can be counted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proctor_store::{MetricKind, MetricPoint, PointValue, Temporality};
use serde_json::Value;

use crate::assemble;
use crate::error::JudgeError;
use crate::evidence::path;
use crate::run::Run;
use crate::summary::{AgentSummary, Summary};
use crate::telemetry::Telemetry;
use crate::wording::{round, short_agent};

/// Longest name of an event; a program that logs sentences is compared by their beginning.
const NAME: usize = 60;

/// One run, as far as it is compared.
#[derive(Clone, Debug)]
pub(crate) struct Material {
    pub(crate) summary: Summary,
    /// Log events by name.
    pub(crate) events: BTreeMap<String, u64>,
    /// See [`super::Comparison::metrics`].
    pub(crate) metrics: BTreeMap<String, f64>,
    /// The town's own events by kind.
    pub(crate) happenings: BTreeMap<String, u64>,
    /// Messages by route.
    pub(crate) mail: BTreeMap<String, u64>,
    /// Merge requests by status.
    pub(crate) merge_requests: BTreeMap<String, u64>,
    /// Convoys by status.
    pub(crate) convoys: BTreeMap<String, u64>,
    /// Work items by kind and status.
    pub(crate) beads: BTreeMap<String, u64>,
}

impl Material {
    /// Reads and judges the run in `dir`.
    pub(crate) fn read(dir: &Path) -> Result<Self, JudgeError> {
        let summary = assemble::summary(dir, &crate::Options::default())?;
        let run = Run::read(dir)?;
        let telemetry = Telemetry::open(&run);
        let route = |m: &crate::evidence::Mail| format!("{} to {}", role(&summary.agents, &m.from), role(&summary.agents, &m.to));
        let mail = tally(run.mail.rows.iter().map(route));
        Ok(Self {
            events: tally(telemetry.logs.iter().map(|r| name(&r.body))),
            metrics: metrics(telemetry.points()),
            happenings: tally(happenings(&run)),
            mail,
            merge_requests: tally(run.merge_requests.rows.iter().map(|m| m.status.clone())),
            convoys: tally(run.convoys.rows.iter().map(|c| c.status.clone())),
            beads: tally(run.beads.rows.iter().map(|b| format!("{} {}", b.kind, b.status))),
            summary,
        })
    }
}

fn tally(names: impl Iterator<Item = String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_insert(0) += 1;
    }
    counts
}

fn name(body: &str) -> String {
    let line = body.lines().next().unwrap_or_default();
    let short: String = line.chars().take(NAME).collect();
    if short.len() < body.len() { format!("{short}…") } else { short }
}

/// The role of whom a mail address means; the address itself when nobody of that name took part.
fn role(agents: &[AgentSummary], address: &str) -> String {
    let address = short_agent(address);
    let found = agents.iter().find(|a| short_agent(&a.agent) == address);
    found.map_or(address, |a| a.role.clone())
}

/// Kinds of the town's own events, as it wrote them.
fn happenings(run: &Run) -> impl Iterator<Item = String> {
    let file = run.dir.join("evidence").join(path::RAW).join("events.jsonl");
    let text = fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let kind = |line: &str| serde_json::from_str::<Value>(line).ok()?.get("type")?.as_str().map(str::to_owned);
    text.lines().filter_map(kind).collect::<Vec<_>>().into_iter()
}

/// What makes a series one: its process, its labels, and since when it counts.
type Series = (String, String, String);

/// By name: what sums counted, how many values histograms took, how many series gauges had.
fn metrics<'a>(points: impl Iterator<Item = &'a MetricPoint>) -> BTreeMap<String, f64> {
    let mut series: BTreeMap<Series, (crate::evidence::Time, f64)> = BTreeMap::new();
    for point in points {
        let Some(value) = counted(point) else { continue };
        let entry = series.entry(series_of(point)).or_insert((point.time, 0.0));
        let delta = point.metric.temporality == Temporality::Delta;
        if delta {
            entry.1 += value;
        } else if point.time >= entry.0 {
            *entry = (point.time, value);
        }
    }
    let mut sums = BTreeMap::new();
    for ((name, _, _), (_, value)) in series {
        *sums.entry(name).or_insert(0.0) += value;
    }
    sums.into_iter().map(|(name, sum)| (name, round(sum))).collect()
}

fn counted(point: &MetricPoint) -> Option<f64> {
    match (&point.metric.kind, &point.value) {
        (_, PointValue::NoValue) => None,
        (MetricKind::Gauge, _) => Some(1.0),
        (_, PointValue::Histogram(h)) => Some(h.count as f64),
        (_, PointValue::Exponential(h)) => Some(h.count as f64),
        (_, PointValue::Summary(s)) => Some(s.count as f64),
        (_, value) => value.number(),
    }
}

fn series_of(point: &MetricPoint) -> Series {
    let name = point.metric.name.clone();
    let labels = point.attributes.to_json().to_string();
    let process = format!(
        "{} {} {}",
        point.origin.agent.as_deref().unwrap_or_default(),
        point.start.map(|t| t.to_rfc3339()).unwrap_or_default(),
        point.origin.resource.to_json()
    );
    (name, labels, process)
}
