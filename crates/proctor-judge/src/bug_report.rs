//! A finding as a bug report, half written: everything that the evidence knows, for whoever maintains the town.

use std::fmt::Write as _;

use crate::findings::{CAUSE, VERSIONS, WAY_ROUND};
use crate::markup::{block, cell, line, table};
use crate::opened::Opened;
use crate::run::Run;
use crate::summary::{EvidenceKind, Finding, Summary};
use crate::wording::{count, duration, grouped};

/// What describes the machine and not a program.
const MACHINE: [&str; 4] = ["os", "kernel", "cpu", "cores"];

/// Programs that a reader looks for first, in this order.
const FIRST: [&str; 6] = ["gt", "bd", "dolt", "tmux", "git", "proctor"];

/// The report: title, what happened, how to repeat it, expected and actual, evidence, and what is known beyond that.
pub(crate) fn render(run: &Run, summary: &Summary, finding: &Finding, opened: &[Opened]) -> String {
    let mut text = format!("# {}\n\n", line(&finding.title));
    text += &happened(summary, finding);
    text += &steps(run, summary);
    text += &section("Expected", finding.expected.as_deref());
    text += &section("Actual", finding.saw.as_deref());
    text += &evidence(finding, opened);
    text += &section("Likely cause", fact(finding, CAUSE));
    text += &section("Way round", fact(finding, WAY_ROUND));
    text += &versions(summary, finding);
    text + &environment(run, summary)
}

fn fact<'a>(finding: &'a Finding, label: &str) -> Option<&'a str> {
    finding.details.iter().find(|d| d.label == label).map(|d| d.text.as_str())
}

fn section(title: &str, text: Option<&str>) -> String {
    text.map_or_else(String::new, |text| format!("## {title}\n\n{}\n\n", line(text)))
}

fn happened(summary: &Summary, finding: &Finding) -> String {
    let run = &summary.run;
    let mut text = format!(
        "## What happened\n\nIn a run of the scenario {} ({}) on the town {}, {} after {}: {}.\n\n",
        line(&run.scenario),
        line(&run.title),
        line(&run.town),
        summary.outcome.shout().to_lowercase(),
        duration(run.duration_s),
        line(finding.title.trim_end_matches('.')),
    );
    let known = [CAUSE, VERSIONS, WAY_ROUND];
    let facts: Vec<String> = finding
        .details
        .iter()
        .filter(|d| !known.contains(&d.label.as_str()))
        .map(|d| format!("- **{}**: {}\n", line(&d.label), line(&d.text)))
        .collect();
    if !facts.is_empty() {
        text += &facts.concat();
        text.push('\n');
    }
    text
}

fn steps(run: &Run, summary: &Summary) -> String {
    let done = run.record.phases.iter().filter(|p| p.number >= 4 && p.number <= 6);
    let phases: Vec<String> = done.map(|p| format!("{}: {}", p.name, p.detail)).collect();
    let mut text = format!("## Steps to reproduce\n\n{}\n", block("sh", &summary.run.command));
    for phase in phases {
        let _ = writeln!(text, "- {}", line(phase.trim_end_matches([':', ' '])));
    }
    text + "\n"
}

fn evidence(finding: &Finding, opened: &[Opened]) -> String {
    if finding.evidence.is_empty() {
        return String::new();
    }
    let mut text = "## Evidence\n\n".to_owned();
    for piece in opened {
        let _ = write!(text, "{}:\n\n{}", line(&piece.title), block("text", &piece.text));
        if piece.cut > 0 {
            let _ = writeln!(text, "{} more characters in the file.", grouped(piece.cut as u64));
        }
        text.push('\n');
    }
    let shown = |at: &str| opened.iter().any(|piece| piece.title.starts_with(at));
    let named: Vec<String> = finding
        .evidence
        .iter()
        .filter(|e| !shown(&e.at))
        .map(|e| format!("{}{}", if e.kind == EvidenceKind::Path { "" } else { "query " }, line(&e.at)))
        .collect();
    if !named.is_empty() {
        let _ = writeln!(text, "Also in the run: {}.\n", named.join(", "));
    }
    text
}

fn versions(summary: &Summary, finding: &Finding) -> String {
    let mut text = "## Versions\n\n".to_owned();
    if let Some(known) = fact(finding, VERSIONS) {
        let _ = writeln!(text, "Known of: {}.\n", line(known.trim_end_matches('.')));
    }
    let first = FIRST.iter().filter_map(|name| summary.versions.get_key_value(*name));
    let others = summary.versions.iter().filter(|(name, _)| {
        let name = name.as_str();
        !FIRST.contains(&name) && !MACHINE.contains(&name)
    });
    text + &table(&["program", "version"], first.chain(others).map(|(name, version)| vec![name.clone(), version.clone()]))
}

fn environment(run: &Run, summary: &Summary) -> String {
    let machine = MACHINE.iter().filter_map(|name| Some(((*name).to_owned(), summary.versions.get(*name)?.clone())));
    let info = &summary.run;
    let agents = summary.agents.iter().map(|a| a.program.as_str()).collect::<std::collections::BTreeSet<_>>();
    let own = [
        ("town", info.town.clone()),
        ("models", info.models.clone()),
        ("seed", info.seed.to_string()),
        ("agents", format!("{}: {}", count(summary.agents.len(), "agent"), agents.into_iter().collect::<Vec<_>>().join(", "))),
    ];
    // Addresses and paths of one machine tell nobody else anything.
    let local = |value: &str| value.starts_with('/') || value.contains("://");
    let notes = run.record.notes.iter().filter(|(_, value)| !local(value));
    let notes = notes.map(|(name, value)| (name.clone(), value.clone()));
    let rows = machine.chain(own.map(|(name, value)| (name.to_owned(), value))).chain(notes);
    let rows = rows.map(|(name, value)| vec![name, value]);
    let by = format!("Seen by proctor in run {} of {}.", cell(&info.id), info.started_at.format("%Y-%m-%d %H:%M UTC"));
    format!("## Environment\n\n{}{by}\n", table(&["", ""], rows))
}
