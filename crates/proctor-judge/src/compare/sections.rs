//! A comparison in words: the same tables for a terminal and for Markdown.

use super::{Amount, CheckPair, ClausePair, Comparison, Count, FindingPair, PhasePair, RolePair, VersionPair};
use crate::markup;
use crate::summary::{CheckStatus, Level};
use crate::wording::{after, dollars, duration, grouped, short_count};

/// A table with its heading.
pub(crate) struct Section {
    /// What it shows.
    pub(crate) title: &'static str,
    /// Names of the columns; the first may be empty.
    pub(crate) head: Vec<String>,
    /// Which columns hold figures.
    pub(crate) figures: &'static [usize],
    pub(crate) rows: Vec<Vec<String>>,
}

/// Nothing of that kind in this run.
const NONE: &str = "–";

/// Every table that has a row, in order.
pub(crate) fn sections(comparison: &Comparison) -> Vec<Section> {
    let town = &comparison.town;
    let all = [
        runs(comparison),
        section(comparison, "Phases", "phase", &["times"], &[1, 2, 3], comparison.phases.iter().map(phase)),
        section(comparison, "Landed: true since", "clause", &[], &[1, 2], comparison.landed.iter().map(clause)),
        roles(comparison),
        section(comparison, "Checks with different answers", "id", &["check"], &[], checks(comparison).map(check)),
        section(comparison, "Findings that differ", "", &["finding"], &[1, 2], comparison.findings.iter().map(finding)),
        section(comparison, "What happened in the town", "event", &[], &[1, 2], town.events.iter().map(count)),
        section(comparison, "Mail", "from and to", &[], &[1, 2], town.mail.iter().map(count)),
        section(comparison, "Merge requests", "status", &[], &[1, 2], town.merge_requests.iter().map(count)),
        section(comparison, "Convoys", "status", &[], &[1, 2], town.convoys.iter().map(count)),
        section(comparison, "Work items", "kind and status", &[], &[1, 2], town.beads.iter().map(count)),
        section(comparison, "Log events", "event", &[], &[1, 2], comparison.events.iter().map(count)),
        section(comparison, "Metrics", "metric", &[], &[1, 2], comparison.metrics.iter().map(amount)),
    ];
    all.into_iter().filter(|s| !s.rows.is_empty()).collect()
}

/// A table of which the second and third column are the two runs.
fn section(
    comparison: &Comparison,
    title: &'static str,
    first: &str,
    more: &[&str],
    figures: &'static [usize],
    rows: impl Iterator<Item = Vec<String>>,
) -> Section {
    let [a, b] = &comparison.runs;
    let mut head = vec![first.to_owned(), a.id.clone(), b.id.clone()];
    head.extend(more.iter().map(|name| (*name).to_owned()));
    Section { title, head, figures, rows: rows.collect() }
}

fn runs(comparison: &Comparison) -> Section {
    let row = |label: &str, of: fn(&super::Side) -> String| {
        let [a, b] = &comparison.runs;
        vec![label.to_owned(), of(a), of(b)]
    };
    let mut rows = vec![
        row("outcome", |s| s.outcome.shout()),
        row("town", |s| s.town.clone()),
        row("scenario", |s| s.scenario.clone()),
        row("models", |s| s.models.clone()),
        row("seed", |s| s.seed.to_string()),
        row("began (UTC)", |s| s.started_at.format("%Y-%m-%d %H:%M:%S").to_string()),
        row("took", |s| duration(s.duration_s)),
    ];
    rows.extend(comparison.versions.iter().map(version));
    section(comparison, "Runs", "", &[], &[], rows.into_iter())
}

fn version(pair: &VersionPair) -> Vec<String> {
    let [a, b] = pair.versions.clone().map(|v| v.unwrap_or_else(|| NONE.into()));
    vec![pair.name.clone(), a, b]
}

fn phase(pair: &PhasePair) -> Vec<String> {
    let [a, b] = pair.seconds.map(|s| s.map_or_else(|| NONE.into(), duration));
    let ratio = pair.ratio.map_or_else(|| NONE.into(), times);
    vec![format!("{} {}", pair.number, pair.name), a, b, ratio]
}

/// `×12`, `×1.3`, `×0.25`.
fn times(ratio: f64) -> String {
    match ratio {
        r if r >= 10.0 => format!("×{r:.0}"),
        r if r >= 1.0 => format!("×{r:.1}"),
        r => format!("×{r:.2}"),
    }
}

fn clause(pair: &ClausePair) -> Vec<String> {
    let cell = |index: usize| match (pair.true_after_s[index], &pair.now[index]) {
        (Some(s), _) => after(s),
        (None, Some(now)) => format!("no, {now}"),
        (None, None) => NONE.into(),
    };
    vec![pair.title.clone(), cell(0), cell(1)]
}

/// Two lines per role, so that the figures of both stand below each other.
fn roles(comparison: &Comparison) -> Section {
    let names = ["role", "run", "agents", "sessions", "model calls", "input", "output", "cost"];
    let rows = comparison.roles.iter().flat_map(|pair| role(comparison, pair)).collect();
    Section { title: "Agents", head: names.map(str::to_owned).to_vec(), figures: &[2, 3, 4, 5, 6, 7], rows }
}

fn role(comparison: &Comparison, pair: &RolePair) -> Vec<Vec<String>> {
    let row = |index: usize| {
        let used = &pair.used[index];
        vec![
            if index == 0 { pair.role.clone() } else { String::new() },
            comparison.runs[index].id.clone(),
            grouped(used.agents),
            grouped(used.sessions),
            grouped(used.model_calls),
            short_count(used.input_tokens),
            short_count(used.output_tokens),
            dollars(used.cost_usd),
        ]
    };
    vec![row(0), row(1)]
}

/// Those that can be compared: of different scenarios only the checks that both have.
fn checks(comparison: &Comparison) -> impl Iterator<Item = &CheckPair> {
    comparison.checks.iter().filter(|pair| comparison.same_scenario || pair.status.iter().all(Option::is_some))
}

fn check(pair: &CheckPair) -> Vec<String> {
    let [a, b] = pair.status.map(|status| status.map_or(NONE, answer).to_owned());
    vec![pair.id.clone(), a, b, pair.title.clone()]
}

fn answer(status: CheckStatus) -> &'static str {
    match status {
        CheckStatus::Passed => "holds",
        CheckStatus::Failed => "fails",
        CheckStatus::Unknown => "unknown",
    }
}

fn finding(pair: &FindingPair) -> Vec<String> {
    let sign = match pair.level {
        Level::Problem => "✗",
        Level::Warning => "!",
        Level::Note => "·",
    };
    let [a, b] = pair.counts.map(|n| if n == 0 { NONE.into() } else { grouped(n) });
    vec![format!("{sign} {}", pair.id), a, b, pair.title.clone()]
}

fn count(pair: &Count) -> Vec<String> {
    let [a, b] = pair.counts.map(|n| if n == 0 { NONE.into() } else { grouped(n) });
    vec![pair.name.clone(), a, b]
}

fn amount(pair: &Amount) -> Vec<String> {
    let [a, b] = pair.amounts.map(|n| match n {
        0.0 => NONE.into(),
        n if n.fract() == 0.0 && (0.0..1e15).contains(&n) => grouped(n as u64),
        n => format!("{n:.4}"),
    });
    vec![pair.name.clone(), a, b]
}

/// What to know before any figure is read: that the scenarios differ.
pub(crate) fn caution(comparison: &Comparison) -> Option<String> {
    let [a, b] = &comparison.runs;
    (!comparison.same_scenario).then(|| {
        format!(
            "These runs played different scenarios, {} and {}: their figures do not measure the same work.",
            a.scenario, b.scenario
        )
    })
}

/// The whole comparison in Markdown.
#[must_use]
pub fn markdown(comparison: &Comparison) -> String {
    let [a, b] = &comparison.runs;
    let mut text = format!("# Run {} and run {}\n\n", a.id, b.id);
    if let Some(caution) = caution(comparison) {
        text += &format!("**{}**\n\n", markup::line(&caution));
    }
    for side in [a, b] {
        text += &format!("- {} **{}**: {}\n", side.id, side.outcome.shout(), markup::line(&side.headline));
    }
    text.push('\n');
    for section in sections(comparison) {
        let head: Vec<&str> = section.head.iter().map(String::as_str).collect();
        text += &format!("## {}\n\n{}", section.title, markup::table(&head, section.rows));
    }
    text
}
