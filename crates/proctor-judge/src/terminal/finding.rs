//! Findings on a terminal: a list of all, or one in full with its evidence opened in place.

use super::{Dress, Page, Style, facts, titled};
use crate::opened::Opened;
use crate::summary::{Finding, Level, Summary};
use crate::wording::{count, grouped};

/// Every finding of a run, one line each, worst first, with the name that [`Summary::finding`] takes.
#[must_use]
pub fn findings(summary: &Summary, style: Style, width: usize) -> String {
    let mut page = Page { text: String::new(), style, width: width.max(40) };
    let run = &summary.run;
    let head = format!("run {} · {} on {} · {}", run.id, run.scenario, run.town, summary.outcome.shout());
    page.line(&format!("{head} · {}", count(summary.findings.len(), "finding")));
    page.line("");
    let names = summary.finding_names();
    let widest = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    for (finding, name) in summary.findings.iter().zip(&names) {
        let (sign, dress) = sign(finding.level);
        let sign = page.dressed(sign, dress);
        let indent = widest + 4;
        let room = page.width.saturating_sub(indent);
        for (index, part) in super::wrapped(&finding.title, room.max(30)).iter().enumerate() {
            let lead = if index == 0 { format!("{sign} {name:<widest$}  ") } else { " ".repeat(indent) };
            page.line(&format!("{lead}{part}"));
        }
    }
    page.line("");
    page.line(&format!("  one in full       proctor finding {} ID", run.id));
    page.line(&format!("  as a bug report   proctor finding {} ID --markdown", run.id));
    page.text
}

/// One finding: level, expected, seen, further facts, evidence, next, and then the evidence itself.
#[must_use]
pub fn finding(finding: &Finding, opened: &[Opened], style: Style, width: usize) -> String {
    let mut page = Page { text: String::new(), style, width: width.max(40) };
    let (sign, dress) = sign(finding.level);
    titled(&mut page, finding, sign, dress);
    page.labelled("level", level(finding.level));
    facts(&mut page, finding);
    opened.iter().for_each(|piece| shown(&mut page, piece));
    page.text
}

fn sign(level: Level) -> (&'static str, Dress) {
    match level {
        Level::Problem => ("✗", Dress::Bad),
        Level::Warning => ("!", Dress::Odd),
        Level::Note => ("·", Dress::Faint),
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Problem => "problem: it decides the outcome, or is a reason for it",
        Level::Warning => "warning: something is wrong, and the outcome does not depend on it",
        Level::Note => "note: worth knowing",
    }
}

/// A piece of evidence under its own heading. Its lines are not wrapped: they are what stands in the file.
fn shown(page: &mut Page, piece: &Opened) {
    page.line("");
    let head = page.dressed(&format!("  {}", piece.title), Dress::Strong);
    page.line(&head);
    let bar = page.dressed("│", Dress::Faint);
    piece.text.trim_end().lines().for_each(|line| page.line(&format!("  {bar} {line}")));
    if piece.cut > 0 {
        page.line(&format!("  … {} more characters in the file", grouped(piece.cut as u64)));
    }
}
