//! What the judge asks of the run's store: log records per agent, metric names per agent, and queries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proctor_store::{LogRecord, Loss, MetricPoint, Origin, QueryError, Span, Store, TimeRange, logsql, promql};

use crate::evidence::{Time, path};
use crate::run::Run;

/// The bodies of Claude Code's events that the judge counts by.
pub(crate) const API_REQUEST: &str = "claude_code.api_request";
pub(crate) const TOOL_RESULT: &str = "claude_code.tool_result";

/// The store, read once.
pub(crate) struct Telemetry {
    store: Result<Store, String>,
    /// Every log record, by the time at which it has its place in the run.
    pub(crate) logs: Vec<Arc<LogRecord>>,
    /// What was sent and is not in the store, or not as it was sent.
    pub(crate) losses: Vec<Loss>,
    points: Vec<Arc<MetricPoint>>,
    spans: Vec<Arc<Span>>,
    claims: Claims,
    /// The moment of instant queries: the end of the run, or when its newest telemetry came, when that is later. What times records
    /// bear does not matter.
    at: Time,
}

impl Telemetry {
    /// Opens the store of `run`; a store that cannot be opened answers nothing and says why.
    pub(crate) fn open(run: &Run) -> Self {
        let dir = run.dir.join("evidence").join(path::TELEMETRY);
        let journal = format!("evidence/{}/journal.bin", path::TELEMETRY);
        let store = match run.seal.change(&journal) {
            Some(change) => Err(format!("{journal} {}", change.what)),
            None => Store::open_read_only(&dir).map_err(|error| in_run(&error.to_string(), run)),
        };
        let mut logs = store.as_ref().map_or_else(|_| Vec::new(), |s| s.logs(TimeRange::ALL));
        logs.sort_by_key(|record| (record.placed(), record.seq));
        let losses = store.as_ref().map_or_else(|_| Vec::new(), Store::losses);
        let points = store.as_ref().map_or_else(|_| Vec::new(), |s| s.points(TimeRange::ALL));
        let spans = store.as_ref().map_or_else(|_| Vec::new(), |s| s.spans(TimeRange::ALL));
        let newest = store.as_ref().ok().and_then(Store::clock);
        let at = newest.into_iter().chain([run.last_moment()]).max().unwrap_or(run.record.started_at);
        let claims = if run.is_live() { Claims::Trusted } else { Claims::Ignored };
        Self { store, logs, losses, points, spans, claims, at }
    }

    /// Every metric point.
    pub(crate) fn points(&self) -> impl Iterator<Item = &MetricPoint> {
        self.points.iter().map(AsRef::as_ref)
    }

    /// Why the store answers nothing, when it does not.
    pub(crate) fn unreadable(&self) -> Option<&str> {
        self.store.as_ref().err().map(String::as_str)
    }

    /// Rows that a LogsQL query gives over the whole run.
    pub(crate) fn logsql(&self, query: &str) -> Result<logsql::Answer, String> {
        let store = self.store.as_ref().map_err(Clone::clone)?;
        store.logsql(query, TimeRange::ALL, None).map_err(|error| refused(&error))
    }

    /// What a PromQL query gives at the end of the run.
    pub(crate) fn promql(&self, query: &str) -> Result<Vec<(String, f64)>, String> {
        let store = self.store.as_ref().map_err(Clone::clone)?;
        let answer = store.promql_instant(query, self.at).map_err(|error| refused(&error))?;
        Ok(flat(answer))
    }

    /// Log records that count for `agent`.
    pub(crate) fn records_of<'a>(&'a self, agent: &'a str) -> impl Iterator<Item = &'a LogRecord> {
        self.logs.iter().map(AsRef::as_ref).filter(move |r| counted_for(r, self.claims).as_deref() == Some(agent))
    }

    /// Names of the metrics of which points count for `agent`, in OTLP's spelling, with the number of series.
    pub(crate) fn metrics_of(&self, agent: &str) -> BTreeMap<String, BTreeSet<String>> {
        let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for point in self.points.iter().filter(|p| p.origin.counted_for() == Some(agent)) {
            let series = point.attributes.to_json().to_string();
            names.entry(point.metric.name.clone()).or_default().insert(series);
        }
        names
    }

    /// Every agent that some record counts for.
    pub(crate) fn agents(&self) -> BTreeSet<String> {
        let logs = self.logs.iter().filter_map(|r| counted_for(r, self.claims));
        let points = self.points.iter().filter_map(|p| p.origin.counted_for().map(str::to_owned));
        logs.chain(points).filter(|a| !a.is_empty()).collect()
    }

    /// Records that contradict the address they came by, as (address, claim) with their number.
    pub(crate) fn contradictions(&self) -> BTreeMap<(String, String), u64> {
        let mut pairs = BTreeMap::new();
        let logs = self.logs.iter().map(|record| (&record.agent, &record.contradicted));
        let others = self.origins().map(|origin| (&origin.agent, &origin.contradicted));
        for both in logs.chain(others) {
            if let (Some(address), Some(claim)) = both {
                *pairs.entry((address.to_string(), claim.to_string())).or_insert(0) += 1;
            }
        }
        pairs
    }

    /// Number of records that count for nobody, because they contradict their address or came without its token.
    pub(crate) fn contradicted(&self) -> u64 {
        let logs = self.logs.iter().filter(|record| record.contradicted.is_some()).count();
        (logs + self.origins().filter(|origin| origin.contradicted.is_some()).count()) as u64
    }

    /// Where points and spans came from.
    fn origins(&self) -> impl Iterator<Item = &Origin> {
        self.points.iter().map(|point| &point.origin).chain(self.spans.iter().map(|span| &span.origin))
    }

    /// The name under which PromQL knows a metric that OTLP calls `name`.
    pub(crate) fn promql_name(&self, name: &str) -> Option<String> {
        let store = self.store.as_ref().ok()?;
        let names = store.label_values("__name__", &[], TimeRange::ALL).ok()?;
        let wanted = name.replace('.', "_");
        names.into_iter().find(|n| n.starts_with(&wanted))
    }

    /// Whether any metric is called `name` in OTLP's spelling or in PromQL's.
    pub(crate) fn has_metric(&self, name: &str) -> bool {
        self.points.iter().any(|p| p.metric.name.replace('.', "_").starts_with(&name.replace('.', "_")))
    }
}

/// What a record says of its sender where its address says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claims {
    /// It counts: a town that was there before has no addresses of the run.
    Trusted,
    /// It does not: every agent has an address of its own.
    Ignored,
}

/// The agent that a log record counts for: the address it came by, unless it contradicts it; on the plain paths, where there is no
/// address, the Claude Code records of a town that was there before are taken at their word.
pub fn counted_for(record: &LogRecord, claims: Claims) -> Option<String> {
    if record.contradicted.is_some() {
        return None;
    }
    match &record.agent {
        Some(agent) => Some(agent.to_string()),
        None if claims == Claims::Trusted && record.body.starts_with("claude_code.") => record.attribute("gt.role"),
        None => None,
    }
}

fn refused(error: &QueryError) -> String {
    match &error.hint {
        Some(hint) => format!("the query was refused: {error} ({hint})"),
        None => format!("the query was refused: {error}"),
    }
}

/// The message with the run's folder left out, so that a moved run is judged in the same words.
fn in_run(message: &str, run: &Run) -> String {
    message.replace(&format!("{}/", run.dir.display()), "").replace(&run.dir.display().to_string(), ".")
}

fn flat(answer: promql::Answer) -> Vec<(String, f64)> {
    match answer {
        promql::Answer::Scalar(_, value) => vec![(String::new(), value)],
        promql::Answer::Text(_, text) => vec![(text, f64::NAN)],
        promql::Answer::Vector(samples) => samples.into_iter().map(|s| (labels(&s.labels), s.value)).collect(),
        promql::Answer::Matrix(series) => {
            series.into_iter().filter_map(|s| Some((labels(&s.labels), s.values.last()?.1))).collect()
        }
    }
}

/// Labels that every series of a process has and that tell nothing of it beside the others; they are left out of what is shown.
const DULL: [&str; 11] = [
    "__name__",
    "job",
    "service_name",
    "service_version",
    "proctor_run_id",
    "gt_town",
    "gt_actor",
    "gt_session",
    "gt_agent",
    "gt_topic",
    "gt_prompt",
];

fn labels(labels: &proctor_store::Labels) -> String {
    // The address says who it was; the role repeats it.
    let dull = |name: &str| DULL.contains(&name) || (name == "gt_role" && labels.contains_key("proctor_agent"));
    let pairs: Vec<String> = labels.iter().filter(|(k, _)| !dull(k)).map(|(k, v)| format!("{k}={v:?}")).collect();
    match (labels.get("__name__"), pairs.is_empty()) {
        (Some(name), true) => name.clone(),
        (Some(name), false) => format!("{name}{{{}}}", pairs.join(",")),
        (None, true) => "all".into(),
        (None, false) => format!("{{{}}}", pairs.join(",")),
    }
}
