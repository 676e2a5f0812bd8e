//! What a terminal shows: the end of a run with its verdict, what does not hold and where to look; findings; two runs side by side.

mod comparison;
mod finding;

pub use comparison::comparison;
pub use finding::{finding, findings};

use crate::outcome::Outcome;
use crate::sealing::in_words;
use crate::summary::{ClauseSummary, EvidenceKind, Finding, Level, Summary};
use crate::visible::{visible, visible_line};
use crate::wording::{after, count, dollars, duration, grouped, short_count};

/// How the text is dressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether ANSI colour sequences are written.
    pub ansi: bool,
}

/// Findings of level `problem` that are shown whole; of the others the titles follow.
const WHOLE: usize = 4;

/// The verdict block, the landed table when the run did not land, and every failed check and problem with expected, saw,
/// evidence and next. Lines are wrapped at `width` columns where words allow it; commands and paths are never broken.
///
/// `report` is the path of `report.html` as a person would type it.
#[must_use]
pub fn render(summary: &Summary, report: &str, style: Style, width: usize) -> String {
    let mut page = Page { text: String::new(), style, width: width.max(40) };
    verdict(&mut page, summary);
    landed(&mut page, summary);
    problems(&mut page, summary);
    warnings(&mut page, summary);
    page.line("");
    page.line(&format!("  report  {}", visible_line(report)));
    page.line(&format!("  look    proctor view {}", summary.run.id));
    page.line(&format!("  sealed  {}", in_words(&summary.seal)));
    if summary.outcome != Outcome::Passed {
        page.line(&format!("  repeat  {}", summary.run.command));
    }
    page.text
}

/// Text under construction.
struct Page {
    text: String,
    style: Style,
    width: usize,
}

/// SGR codes of the few dresses in use.
#[derive(Clone, Copy)]
enum Dress {
    Good,
    Bad,
    Odd,
    Strong,
    Faint,
}

impl Page {
    fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    fn dressed(&self, text: &str, dress: Dress) -> String {
        let text = visible(text);
        if !self.style.ansi {
            return text.into_owned();
        }
        let code = match dress {
            Dress::Good => "1;32",
            Dress::Bad => "1;31",
            Dress::Odd => "1;33",
            Dress::Strong => "1",
            Dress::Faint => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// `label   text`, the text wrapped below itself.
    fn labelled(&mut self, label: &str, text: &str) {
        let head = format!("    {label:<10} ");
        let indent = head.chars().count();
        for (index, part) in wrapped(text, self.width.saturating_sub(indent)).iter().enumerate() {
            let lead = if index == 0 { self.dressed(&head, Dress::Faint) } else { " ".repeat(indent) };
            self.line(&format!("{lead}{part}"));
        }
    }

    /// `label   text` on one line, whatever its length: it is meant to be pasted.
    fn pasted(&mut self, label: &str, text: &str) {
        let head = self.dressed(&format!("    {label:<10} "), Dress::Faint);
        self.line(&format!("{head}{}", visible_line(text)));
    }
}

fn verdict(page: &mut Page, summary: &Summary) {
    let totals = &summary.totals;
    let dress = match summary.outcome {
        Outcome::Passed => Dress::Good,
        Outcome::Failed | Outcome::NotLanded => Dress::Bad,
        _ => Dress::Odd,
    };
    let time = duration(summary.run.duration_s);
    let after = if summary.outcome == Outcome::NotLanded { "after" } else { "in" };
    let word = page.dressed(&format!("{} {after} {time}", summary.outcome.shout()), dress);
    page.line(&format!("{word}     {}", figures(summary)));
    let words = wrapped(&summary.headline, page.width.saturating_sub(2));
    words.iter().for_each(|part| page.line(&format!("  {part}")));
    // Of a failed run the sentence says so.
    if totals.checks_unknown > 0 && !matches!(summary.outcome, Outcome::Passed | Outcome::Failed) {
        let unknown = usize::try_from(totals.checks_unknown).unwrap_or(usize::MAX);
        page.line(&format!("  {} could not be judged", count(unknown, "check")));
    }
}

fn figures(summary: &Summary) -> String {
    let totals = &summary.totals;
    let tokens = totals.input_tokens + totals.output_tokens + totals.cache_read_tokens + totals.cache_creation_tokens;
    let scripted = if summary.run.models == "script" { " (scripted)" } else { "" };
    let calls = if totals.model_calls == 1 { "model call" } else { "model calls" };
    format!("{} {calls} · {} tokens · {}{scripted}", grouped(totals.model_calls), short_count(tokens), dollars(totals.cost_usd))
}

/// The clauses of a run that came to wait for landing and did not land, whoever is to blame.
fn landed(page: &mut Page, summary: &Summary) {
    let clauses = &summary.landed;
    let asked = matches!(summary.outcome, Outcome::NotLanded | Outcome::ProviderError | Outcome::HarnessError);
    if !asked || !clauses.iter().any(|c| c.value == Some(false)) {
        return;
    }
    page.line("");
    let wide = |least: usize, of: fn(&ClauseSummary) -> &str| {
        clauses.iter().map(|c| of(c).chars().count() + 2).max().unwrap_or(0).max(least)
    };
    let (title, now) = (wide(18, |c| &c.title), wide(8, |c| &c.now));
    let head = format!("  {:<title$}{:<now$}{:<13}{}", "clause", "now", "true since", "seen in");
    let head = page.dressed(&head, Dress::Faint);
    page.line(&head);
    for clause in clauses {
        let since = clause.true_after_s.map_or_else(|| "–".to_owned(), after);
        let told = visible_line(&clause.now);
        let row = format!("  {:<title$}{told:<now$}{since:<13}{}", clause.title, clause.source);
        let row = if clause.value == Some(true) { row } else { page.dressed(&row, Dress::Strong) };
        page.line(&row);
    }
}

fn problems(page: &mut Page, summary: &Summary) {
    let problems: Vec<&Finding> = summary.findings.iter().filter(|f| f.level == Level::Problem).collect();
    for finding in problems.iter().take(WHOLE) {
        page.line("");
        whole(page, finding);
    }
    let rest = problems.get(WHOLE..).unwrap_or_default();
    if !rest.is_empty() {
        page.line("");
        let head = format!("  {} more, each with expected, saw, evidence and next in the report:", grouped(rest.len() as u64));
        let head = page.dressed(&head, Dress::Faint);
        page.line(&head);
    }
    for finding in rest {
        titled(page, finding, "✗", Dress::Bad);
    }
}

fn whole(page: &mut Page, finding: &Finding) {
    titled(page, finding, "✗", Dress::Bad);
    facts(page, finding);
}

/// Expected, seen, further facts, evidence and next, in this order.
fn facts(page: &mut Page, finding: &Finding) {
    if let Some(text) = &finding.expected {
        page.labelled("expected", text);
    }
    if let Some(text) = &finding.saw {
        page.labelled("saw", text);
    }
    for detail in &finding.details {
        page.labelled(&detail.label, &detail.text);
    }
    for evidence in &finding.evidence {
        let label = if evidence.kind == EvidenceKind::Path { "evidence" } else { "query" };
        page.pasted(label, &evidence.at);
    }
    if let Some(command) = &finding.next {
        page.pasted("next", command);
    }
}

/// The sign, the title, and the id at the right edge, on a line of its own when there is no room.
fn titled(page: &mut Page, finding: &Finding, sign: &str, dress: Dress) {
    let sign = page.dressed(sign, dress);
    let parts = wrapped(&finding.title, page.width.saturating_sub(2));
    let last = parts.len().saturating_sub(1);
    let edge = page.width.min(100);
    let id = page.dressed(&finding.id, Dress::Faint);
    let gap = |used: usize| edge.checked_sub(used + finding.id.chars().count()).map(|gap| " ".repeat(gap));
    for (index, part) in parts.iter().enumerate() {
        let lead = if index == 0 { format!("{sign} ") } else { "  ".into() };
        let room = gap(2 + part.chars().count()).filter(|gap| gap.len() >= 2);
        let title = page.dressed(part, Dress::Strong);
        match room {
            _ if index < last => page.line(&format!("{lead}{title}")),
            Some(gap) => page.line(&format!("{lead}{title}{gap}{id}")),
            None => {
                page.line(&format!("{lead}{title}"));
                page.line(&format!("{}{id}", gap(0).unwrap_or_default()));
            }
        }
    }
}

fn warnings(page: &mut Page, summary: &Summary) {
    let warnings: Vec<&Finding> = summary.findings.iter().filter(|f| f.level == Level::Warning).collect();
    if !warnings.is_empty() {
        page.line("");
    }
    for finding in warnings {
        titled(page, finding, "!", Dress::Odd);
    }
}

/// Breaks text between words and at its own line breaks; a word longer than a line stays whole.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    text.split('\n').flat_map(|line| wrapped_line(&visible_line(line), width)).collect()
}

fn wrapped_line(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let current = lines.last().map_or(0, |l| l.chars().count());
        if current > 0 && current + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_breaks_between_words_and_never_inside() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(
            wrapped("evidence/exercise/bob.signature_bit/ is long", 10),
            ["evidence/exercise/bob.signature_bit/", "is long"]
        );
        assert_eq!(wrapped("", 10), [""]);
        assert_eq!(wrapped("one\n✗ two three\u{1b}[2J", 20), ["one", "✗ two three\\x1b[2J"]);
    }
}
