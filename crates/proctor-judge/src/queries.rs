//! The seed's "OTEL queries reference", asked of the run's store.
//!
//! Every query is answered as it stands. Where nothing in a town emits a metric, that is said, and the query that has the figure
//! is asked in its place.

use std::collections::BTreeMap;

use crate::checks::number;
use crate::summary::{EvidenceKind, QueryAnswer, QueryRow};
use crate::telemetry::Telemetry;

/// Rows shown of one answer; the count tells how many there are.
const SHOWN: usize = 20;

/// A reference query.
struct Reference {
    title: &'static str,
    language: EvidenceKind,
    query: &'static str,
    /// What a row of a LogsQL answer is grouped by when it is shown.
    by: &'static str,
    /// What to ask when there is no answer, and why there is none.
    instead: Option<Instead>,
}

struct Instead {
    why: &'static str,
    language: EvidenceKind,
    query: &'static str,
}

const fn promql(title: &'static str, query: &'static str) -> Reference {
    Reference { title, language: EvidenceKind::Promql, query, by: "", instead: None }
}

const fn logsql(title: &'static str, query: &'static str, by: &'static str, instead: Option<Instead>) -> Reference {
    Reference { title, language: EvidenceKind::Logsql, query, by, instead }
}

const NO_AI: &str = "bd exports bd_ai_* only when it calls a model itself, which nothing in a town asks of it; \
the agents' own programs report their tokens";

const fn tokens(title: &'static str, query: &'static str, instead: &'static str) -> Reference {
    let instead = Some(Instead { why: NO_AI, language: EvidenceKind::Logsql, query: instead });
    Reference { title, language: EvidenceKind::Promql, query, by: "", instead }
}

/// The seed's queries, and those that its harness asked besides, in their order.
const REFERENCES: &[Reference] = &[
    promql("bd call rate", "rate(gastown_bd_calls_total[5m])"),
    promql("bd calls by subcommand", "sum by (subcommand)(gastown_bd_calls_total)"),
    promql("Polecat spawn count", "gastown_polecat_spawns_total"),
    promql("Sling dispatches", "sum(gastown_sling_dispatches_total)"),
    promql("Session starts", "sum by (role)(gastown_session_starts_total)"),
    promql("Session stops", "sum(gastown_session_stops_total)"),
    promql("Nudges", "sum(gastown_nudge_total)"),
    promql("Done, by exit type", "sum by (exit_type)(gastown_done_total)"),
    promql("Convoys created", "sum(gastown_convoy_creates_total)"),
    tokens(
        "Token usage by model: input",
        "sum by (model)(bd_ai_input_tokens_total)",
        "\"claude_code.api_request\" | stats by (model) sum(input_tokens) as input_tokens",
    ),
    tokens(
        "Token usage by model: output",
        "sum by (model)(bd_ai_output_tokens_total)",
        "\"claude_code.api_request\" | stats by (model) sum(output_tokens) as output_tokens",
    ),
    tokens(
        "API latency P95",
        "histogram_quantile(0.95, bd_ai_request_duration_ms_bucket)",
        "\"claude_code.api_request\" | stats quantile(0.95, duration_ms) as p95_ms",
    ),
    logsql("All gastown events", "service_name:gastown", "_msg", None),
    logsql("Polecat spawns only", "service_name:gastown AND \"polecat.spawn\"", "_msg", None),
    logsql("Errors", "service_name:gastown AND level:error", "_msg", None),
    logsql("Claude Code per agent", "service.name:claude-code AND gt.role:*", "gt.role", None),
    logsql("Claude API requests", "\"claude_code.api_request\"", "model", None),
];

/// Every reference query with its answer.
pub(crate) fn answers(telemetry: &Telemetry) -> Vec<QueryAnswer> {
    let mut answers: Vec<QueryAnswer> = REFERENCES.iter().map(|r| answer(telemetry, r)).collect();
    answers.extend(metric_tokens(telemetry));
    answers
}

fn answer(telemetry: &Telemetry, reference: &Reference) -> QueryAnswer {
    let mut answer = ask(telemetry, reference.title, reference.language, reference.query, reference.by);
    if answer.count != Some(0) {
        return answer;
    }
    if let Some(instead) = &reference.instead {
        answer.why_empty = Some(instead.why.to_owned());
        answer.instead = Some(Box::new(ask(telemetry, reference.title, instead.language, instead.query, "")));
    } else {
        answer.why_empty = Some(why_empty(telemetry, reference));
    }
    answer
}

/// An empty answer is good news for errors, and a metric nobody counted up for counters.
fn why_empty(telemetry: &Telemetry, reference: &Reference) -> String {
    let metric = reference.query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').find(|w| w.starts_with("gastown_"));
    match (reference.language, metric) {
        (EvidenceKind::Promql, Some(metric)) => {
            let base = metric.trim_end_matches("_total");
            match telemetry.has_metric(base) {
                true => format!("{metric} was recorded, and not in the five minutes before the end of the run"),
                false => format!("nothing in this run counted {metric} up"),
            }
        }
        _ => "no record of the run matches".into(),
    }
}

fn ask(telemetry: &Telemetry, title: &str, language: EvidenceKind, query: &str, by: &str) -> QueryAnswer {
    let mut answer = QueryAnswer {
        title: title.to_owned(),
        language,
        query: query.to_owned(),
        answer: Vec::new(),
        count: None,
        why_empty: None,
        instead: None,
    };
    let rows = match language {
        EvidenceKind::Logsql => telemetry.logsql(query).map(|a| log_rows(&a, by)),
        _ => telemetry.promql(query).map(|values| (values.len(), values.iter().map(|(l, v)| row(l, &number(*v))).collect())),
    };
    match rows {
        Ok((count, rows)) => {
            answer.count = Some(count as u64);
            answer.answer = rows;
            answer.answer.truncate(SHOWN);
        }
        Err(why) => answer.why_empty = Some(why),
    }
    answer
}

fn row(label: &str, value: &str) -> QueryRow {
    QueryRow { label: label.to_owned(), value: value.to_owned() }
}

/// Rows of a stats pipe as they are; records grouped by a field with their number, most frequent first.
fn log_rows(answer: &proctor_store::logsql::Answer, by: &str) -> (usize, Vec<QueryRow>) {
    if by.is_empty() {
        return (answer.total, answer.rows.iter().map(stats_row).collect());
    }
    let mut groups: BTreeMap<&str, u64> = BTreeMap::new();
    for row in &answer.rows {
        *groups.entry(row.get(by).map_or("(none)", String::as_str)).or_insert(0) += 1;
    }
    let mut groups: Vec<(&str, u64)> = groups.into_iter().collect();
    groups.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    (answer.total, groups.iter().map(|(label, n)| row(label, &n.to_string())).collect())
}

fn stats_row(fields: &proctor_store::logsql::Row) -> QueryRow {
    let value = fields.iter().find(|(name, v)| v.parse::<f64>().is_ok() && *name != "model");
    let label: Vec<String> = fields
        .iter()
        .filter(|(name, _)| value.is_none_or(|(v, _)| v != *name))
        .map(|(name, v)| format!("{name}={v:?}"))
        .collect();
    let label = if label.is_empty() { value.map_or_else(String::new, |(name, _)| name.clone()) } else { label.join(",") };
    row(&label, value.map_or("", |(_, v)| v))
}

/// The same tokens as metrics, under whatever name the store gives them.
fn metric_tokens(telemetry: &Telemetry) -> Option<QueryAnswer> {
    let name = telemetry.promql_name("claude_code.token.usage")?;
    let query = format!("sum by (model, type)({name})");
    Some(ask(telemetry, "Token usage by model and type, from the agents' metrics", EvidenceKind::Promql, &query, ""))
}
