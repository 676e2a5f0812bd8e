//! `report.html`: one page without any outside resource. The verdict first, then what is wrong with its evidence opened in place,
//! the picture, what was delivered, who did it, telemetry, and what exactly ran.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::sections;
use crate::findings::FOLLOWED;
use crate::lanes::{Lanes, Material};
use crate::opened::{self, Opened};
use crate::outcome::Outcome;
use crate::picture::{Options, timeline_svg};
use crate::run::Run;
use crate::summary::{ClauseSummary, Evidence, EvidenceKind, Finding, Level, Summary};
use crate::telemetry::Telemetry;
use crate::wording::{after, dollars, duration, grouped, seconds, short_count};

const CSS: &str = include_str!("report.css");

/// The whole page.
pub(super) fn render(summary: &Summary, run: &Run, telemetry: &Telemetry) -> String {
    let title = format!("{} · {} · run {}", summary.outcome.shout(), summary.run.title, summary.run.id);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(CSS)) }
            }
            body {
                header { (verdict(summary)) }
                main {
                    (findings(summary, run, telemetry))
                    (sections::failed_checks(summary))
                    (landed(summary))
                    (picture(run))
                    (sections::delivered(summary))
                    (sections::exercises(summary))
                    (sections::checks(summary))
                    (sections::agents(summary))
                    (sections::queries(summary))
                    (sections::fence(summary))
                    (sections::what_ran(summary, run))
                }
                footer { "Made by proctor from the files in " (place("evidence/")) ". The same evidence gives the same page: " code { "proctor judge " (summary.run.id) } }
            }
        }
    };
    page.into_string()
}

/// The class that colours an outcome.
fn mood(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "good",
        Outcome::Failed | Outcome::NotLanded => "bad",
        _ => "odd",
    }
}

fn verdict(summary: &Summary) -> Markup {
    let totals = &summary.totals;
    let tokens = totals.input_tokens + totals.output_tokens + totals.cache_read_tokens + totals.cache_creation_tokens;
    let judged = totals.checks_passed + totals.checks_failed + totals.checks_unknown;
    let figures = [
        (duration(summary.run.duration_s), "the run took".to_owned()),
        (format!("{} of {}", totals.checks_passed, judged), "checks hold".to_owned()),
        (grouped(totals.model_calls), "model calls".to_owned()),
        (short_count(tokens), "tokens".to_owned()),
        (dollars(totals.cost_usd), if summary.run.models == "script" { "scripted models" } else { "cost" }.to_owned()),
        (grouped(totals.events), "log records".to_owned()),
    ];
    html! {
        div class={"verdict " (mood(summary.outcome))} {
            h1 { (summary.outcome.shout()) }
            p { (summary.headline) }
            p class="repeat" { "Repeat it: " code { (summary.run.command) } }
        }
        ul class="figures" { @for (value, label) in &figures { li { b { (value) } span { (label) } } } }
        nav {
            @for (anchor, name) in [("findings", "Findings"), ("landed", "Landed"), ("picture", "Picture"), ("delivered", "Delivered"), ("exercises", "Exercises"),
                ("checks", "Checks"), ("agents", "Agents"), ("telemetry", "Telemetry"), ("fence", "Fence"), ("ran", "What ran")] {
                a href={"#" (anchor)} { (name) }
            }
        }
    }
}

/// Widths of the picture in CSS pixels, and the class by which the page's width chooses among them.
const PICTURES: [(&str, f64); 3] = [("narrow", 360.0), ("middle", 1100.0), ("wide", 1800.0)];

fn picture(run: &Run) -> Markup {
    let lanes = Material::read(&run.dir).map(|material| Lanes::of(&material));
    html! {
        h2 id="picture" { "The run" }
        @match lanes {
            // The picture is our own SVG, in which every text is escaped already.
            Ok(lanes) => @for (class, width) in PICTURES {
                div class={"picture " (class)} { (PreEscaped(timeline_svg(&lanes, &Options { width, dark: None }))) }
            },
            Err(why) => p class="soft" { "No picture: " (why) },
        }
    }
}

fn landed(summary: &Summary) -> Markup {
    html! {
        @if !summary.landed.is_empty() {
            h2 id="landed" { "Landed" }
            div class="scroll" { table {
                thead { tr { th { "clause" } th { "now" } th class="n" { "true since" } th class="n" { "last seen false" } th { "seen in" } th { "evidence" } } }
                tbody { @for clause in &summary.landed { (clause_row(summary, clause)) } }
            } }
        }
    }
}

fn clause_row(summary: &Summary, clause: &ClauseSummary) -> Markup {
    let (class, sign) = match clause.value {
        Some(true) => ("good", "✓ "),
        Some(false) => ("bad", "✗ "),
        None => ("odd", "? "),
    };
    html! {
        tr {
            td { (clause.title) }
            td class={(class) " w"} { (sign) (clause.now) }
            td class="n" { (moment(summary, clause.first_true)) }
            td class="n" { (moment(summary, clause.last_false)) }
            td { (clause.source) }
            td { @if let Some(at) = &clause.evidence { (place(at)) } }
        }
    }
}

/// A moment on the run's own clock; the wall clock's time stands behind it.
fn moment(summary: &Summary, at: Option<crate::evidence::Time>) -> Markup {
    html! {
        @if let Some(at) = at {
            span title=(at.format("%Y-%m-%d %H:%M:%S%.3f UTC")) { (after(seconds(summary.run.started_at, at))) }
        } @else { "–" }
    }
}

fn findings(summary: &Summary, run: &Run, telemetry: &Telemetry) -> Markup {
    let wrong: Vec<&Finding> = summary.findings.iter().filter(|f| f.level != Level::Note).collect();
    let notes: Vec<&Finding> = summary.findings.iter().filter(|f| f.level == Level::Note).collect();
    html! {
        h2 id="findings" { "Findings" }
        @if wrong.is_empty() { p { "Nothing is wrong." } }
        @if !wrong.is_empty() { div class={"findings" @if wrong.len() > 1 { " many" }} {
            @for (index, item) in wrong.iter().enumerate() { (finding(summary, run, telemetry, item, index < 12)) }
        } }
        @if !notes.is_empty() {
            details { summary { (notes.len()) " worth knowing" } @for item in &notes { (finding(summary, run, telemetry, item, false)) } }
        }
    }
}

/// A finding. Beyond the first dozen the evidence is named and not opened, so that the page stays a page.
fn finding(summary: &Summary, run: &Run, telemetry: &Telemetry, item: &Finding, open: bool) -> Markup {
    let (class, sign) = match item.level {
        Level::Problem => ("bad", "✗ "),
        Level::Warning => ("odd", "! "),
        Level::Note => ("note", ""),
    };
    let listed = item.id == FOLLOWED;
    let pieces = if open { opened::of_finding(run, telemetry, summary, item) } else { Vec::new() };
    html! {
        section class={"finding " (class)} id={"finding-" (item.id)} {
            span class="id mono" { (item.id) }
            h3 { span class=(class) { (sign) } (item.title) }
            dl {
                @if let Some(text) = &item.expected { dt { "expected" } dd { (text) } }
                @if let Some(text) = &item.saw { dt { "saw" } dd { (text) } }
                @if !listed { @for detail in &item.details { dt { (detail.label) } dd { (several(&detail.text)) } } }
                @for place in &item.evidence { (evidence(place)) }
                @if let Some(command) = &item.next { dt { "next" } dd { code { (command) } } }
            }
            @if listed { (list(item)) }
            @for (index, piece) in pieces.iter().enumerate() { (shown(piece, index == 0)) }
        }
    }
}

/// The details of a finding that is a list, folded.
fn list(item: &Finding) -> Markup {
    html! {
        details {
            summary { "which" }
            dl { @for detail in &item.details { dt { (detail.label) } dd { code { (detail.text) } } } }
        }
    }
}

/// A text as it stands, or lines of a terminal as a block.
fn several(text: &str) -> Markup {
    html! { @if text.contains('\n') { pre class="lines" { (text) } } @else { (text) } }
}

fn evidence(given: &Evidence) -> Markup {
    html! {
        @if given.kind == EvidenceKind::Path { dt { "evidence" } dd { (place(&given.at)) } }
        @else { dt { "query" } dd { a href="evidence/telemetry/" title="the store that it asks" { code { (given.at) } } } }
    }
}

/// A link to a place in the run's folder; `file:41` leads to the file.
pub(super) fn place(at: &str) -> Markup {
    html! { a href=(href(at)) { code { (at) } } }
}

/// The address of a place, relative to the page: whatever stands in a name is part of the path.
pub(super) fn href(at: &str) -> String {
    let file = at.rsplit_once(':').filter(|(_, line)| line.parse::<u32>().is_ok()).map_or(at, |(file, _)| file);
    let mut out = String::new();
    for byte in file.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' | b'~' | b'+' | b'@' | b',' => {
                out.push(char::from(byte))
            }
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

fn shown(piece: &Opened, open: bool) -> Markup {
    html! {
        details open[open] {
            summary { (piece.title) }
            pre { (piece.text) }
            @if piece.cut > 0 { p class="cut" { (grouped(piece.cut as u64)) " more characters in the file" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_stands_in_a_name_is_part_of_the_path() {
        let cases = [
            ("evidence/signs.ndjson:12", "evidence/signs.ndjson"),
            ("evidence/git/bob/tree/a b#c?d:e.md", "evidence/git/bob/tree/a%20b%23c%3Fd%3Ae.md"),
            ("evidence/exercise/bob.signature/", "evidence/exercise/bob.signature/"),
            ("evidence/git/x\"y<z/é", "evidence/git/x%22y%3Cz/%C3%A9"),
        ];
        for (at, expected) in cases {
            assert_eq!(href(at), expected);
        }
    }
}
