//! What an OTLP metric and its labels are called in PromQL.
//!
//! The first name is the one that VictoriaMetrics gives with Prometheus naming: dots become `_`, the unit's word is
//! appended when it is missing, monotonic sums end in `_total`, gauges of unit `1` in `_ratio`. The same metric also answers to
//! its name without the unit's word (`bd_ai_request_duration`), with the unit as sent (`bd_ai_request_duration_ms`), and to its
//! OTLP name (`{__name__="bd.ai.request.duration"}`).

use promql_parser::label::METRIC_NAME;

use crate::record::{Attributes, Labels, Metric, MetricKind, Value};

/// All names of a metric, the first one shown in answers.
pub(super) fn names(metric: &Metric) -> Vec<String> {
    let tokens = words(&metric.name);
    let ending = ending(metric);
    let mut full = tokens.clone();
    for unit in unit_words(&metric.unit) {
        if !full.contains(&unit) {
            full.push(unit);
        }
    }
    let mut names = vec![ended(full, ending), ended(tokens.clone(), ending)];
    let unit = words(&metric.unit).join("_");
    if !unit.is_empty() && tokens.last() != Some(&unit) {
        names.push(ended(tokens.iter().cloned().chain([unit]).collect(), ending));
    }
    names.push(label_name(&metric.name));
    names.push(metric.name.clone());
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn ending(metric: &Metric) -> Option<&'static str> {
    match metric.kind {
        MetricKind::Sum { monotonic: true } => Some("total"),
        MetricKind::Gauge if metric.unit == "1" => Some("ratio"),
        _ => None,
    }
}

/// Moves the ending to the end, or adds it there.
fn ended(mut tokens: Vec<String>, ending: Option<&str>) -> String {
    if let Some(ending) = ending {
        tokens.retain(|word| word != ending);
        tokens.push(ending.to_owned());
    }
    let name = tokens.join("_");
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// `By/s` gives `bytes`, `per`, `second`; what stands in braces says nothing about the unit.
fn unit_words(unit: &str) -> Vec<String> {
    let unit: String = unit.split('{').enumerate().map(|(at, part)| if at == 0 { part } else { after_brace(part) }).collect();
    let (main, per) = unit.split_once('/').map_or((unit.as_str(), None), |(main, per)| (main, Some(per)));
    let mut all: Vec<String> = words(main_word(main.trim()));
    if let Some(per) = per.map(str::trim).filter(|per| !per.is_empty()) {
        all.push("per".to_owned());
        all.extend(words(per_word(per)));
    }
    all
}

fn after_brace(part: &str) -> &str {
    part.split_once('}').map_or("", |(_, after)| after)
}

fn main_word(unit: &str) -> &str {
    match unit {
        "1" => "",
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "%" => "percent",
        other => other,
    }
}

fn per_word(unit: &str) -> &str {
    match unit {
        "s" => "second",
        "m" | "min" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        other => other,
    }
}

/// A label's name: everything but letters, digits and `_` becomes `_`.
pub(super) fn label_name(name: &str) -> String {
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// Resource attributes that say where a process ran, not what it did: they would part the figures of short-lived processes
/// into a series each.
const PLACE: [&str; 4] = ["host.", "os.", "process.", "telemetry."];

/// The labels of a point: its attributes, then its resource's (without those of [`PLACE`]), `job` and `instance` after
/// `service.name` and `service.instance.id`, and the agent it came from.
pub(super) fn labels(attributes: &Attributes, resource: &Attributes, agent: Option<&str>, contradicted: Option<&str>) -> Labels {
    let mut labels = Labels::new();
    let named = [("job", resource.text("service.name")), ("instance", resource.text("service.instance.id"))];
    let owned = [("proctor_agent", agent), ("proctor_agent_contradicted", contradicted)];
    let is_taken = |label: &str| {
        owned.iter().any(|(own, _)| *own == label) || named.iter().any(|(own, text)| *own == label && text.is_some())
    };
    let mut collide = false;
    for (name, value) in sent(attributes, resource) {
        let text = value.to_string();
        if !text.is_empty() {
            collide |= labels.insert(label_of(name, &is_taken), text).is_some();
        }
    }
    if collide {
        labels = joined(attributes, resource, &is_taken);
    }
    for (label, text) in named.iter().map(|(label, text)| (*label, text.as_deref())).chain(owned) {
        if let Some(text) = text {
            labels.insert(label.to_owned(), text.to_owned());
        }
    }
    labels.retain(|_, text| !text.is_empty());
    labels
}

/// The attributes that make labels. A point's own attribute hides its resource's of the same name.
fn sent<'a>(attributes: &'a Attributes, resource: &'a Attributes) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let is_placed = |name: &str| PLACE.iter().any(|prefix| name.starts_with(prefix));
    resource.iter().filter(move |(name, _)| !is_placed(name) && attributes.get(name).is_none()).chain(attributes.iter())
}

/// An attribute's label. One that Proctor gives itself is the sender's as `exported_…`, as in Prometheus.
fn label_of(name: &str, is_taken: &impl Fn(&str) -> bool) -> String {
    let label = label_name(name);
    if is_taken(&label) || label == METRIC_NAME { format!("exported_{label}") } else { label }
}

/// Attributes whose labels are one: their values with `;` between them, in the order of their names, as OpenTelemetry asks for
/// Prometheus.
fn joined(attributes: &Attributes, resource: &Attributes, is_taken: &impl Fn(&str) -> bool) -> Labels {
    let mut all: Vec<(&str, String)> = sent(attributes, resource).map(|(name, value)| (name, value.to_string())).collect();
    all.retain(|(_, text)| !text.is_empty());
    all.sort_by(|a, b| a.0.cmp(b.0));
    let mut labels = Labels::new();
    for (name, text) in all {
        let known = labels.entry(label_of(name, is_taken)).or_default();
        if !known.is_empty() {
            known.push(';');
        }
        known.push_str(&text);
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Temporality;

    const COUNTER: MetricKind = MetricKind::Sum { monotonic: true };

    fn named(name: &str, unit: &str, kind: MetricKind) -> Vec<String> {
        names(&Metric { name: name.into(), unit: unit.into(), kind, temporality: Temporality::Cumulative })
    }

    #[test]
    fn the_first_name_is_the_one_victoriametrics_gives() {
        for (name, unit, kind, full) in [
            ("gastown.bd.calls.total", "", COUNTER, "gastown_bd_calls_total"),
            ("gastown.bd.duration_ms", "ms", MetricKind::Histogram, "gastown_bd_duration_ms_milliseconds"),
            ("claude_code.token.usage", "tokens", COUNTER, "claude_code_token_usage_tokens_total"),
            ("claude_code.cost.usage", "USD", COUNTER, "claude_code_cost_usage_USD_total"),
            ("claude_code.active_time.total", "s", COUNTER, "claude_code_active_time_seconds_total"),
            ("gastown.dolt.disk_usage_bytes", "By", MetricKind::Gauge, "gastown_dolt_disk_usage_bytes"),
            ("cpu.use", "1", MetricKind::Gauge, "cpu_use_ratio"),
            ("net.io", "By/s", MetricKind::Gauge, "net_io_bytes_per_second"),
            ("requests", "{request}", COUNTER, "requests_total"),
        ] {
            assert_eq!(named(name, unit, kind).first().map(String::as_str), Some(full));
        }
    }

    #[test]
    fn people_may_leave_the_units_word_out_or_write_the_unit_as_sent() {
        let names = named("bd.ai.request.duration", "ms", MetricKind::Histogram);
        for name in [
            "bd_ai_request_duration_milliseconds",
            "bd_ai_request_duration",
            "bd_ai_request_duration_ms",
            "bd.ai.request.duration",
        ] {
            assert!(names.iter().any(|own| own == name), "{name} not in {names:?}");
        }
        assert!(named("claude_code.token.usage", "tokens", COUNTER).contains(&"claude_code_token_usage_total".to_owned()));
    }
}
