//! `report.html`: one page without any outside resource. The verdict first, then the picture, what is wrong with its evidence
//! opened in place, what was delivered, who did it, telemetry, and what exactly ran.

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
use crate::wording::{after, dollars, duration, grouped, short_count};

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
                    (picture(run))
                    (landed(&summary.landed))
                    (findings(summary, run, telemetry))
                    (sections::delivered(summary))
                    (sections::exercises(summary))
                    (sections::checks(summary))
                    (sections::agents(summary))
                    (sections::queries(summary))
                    (sections::fence(summary))
                    (sections::what_ran(summary, run))
                }
                footer { "Made by proctor from the files in " code { "evidence/" } ". The same evidence gives the same page: " code { "proctor judge " (summary.run.id) } }
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
            @for (anchor, name) in [("picture", "Picture"), ("findings", "Findings"), ("delivered", "Delivered"), ("exercises", "Exercises"),
                ("checks", "Checks"), ("agents", "Agents"), ("telemetry", "Telemetry"), ("fence", "Fence"), ("ran", "What ran")] {
                a href={"#" (anchor)} { (name) }
            }
        }
    }
}

fn picture(run: &Run) -> Markup {
    let drawn = Material::read(&run.dir).map(|material| timeline_svg(&Lanes::of(&material), &Options::default()));
    html! {
        h2 id="picture" { "The run" }
        @match drawn {
            // The picture is our own SVG, in which every text is escaped already.
            Ok(svg) => div class="picture" { (PreEscaped(svg)) },
            Err(why) => p class="soft" { "No picture: " (why) },
        }
    }
}

fn landed(clauses: &[ClauseSummary]) -> Markup {
    html! {
        @if !clauses.is_empty() {
            h2 id="landed" { "Landed" }
            div class="scroll" { table {
                thead { tr { th { "clause" } th { "now" } th class="n" { "true since" } th class="n" { "last seen false" } th { "seen in" } th { "evidence" } } }
                tbody { @for clause in clauses { (clause_row(clause)) } }
            } }
        }
    }
}

fn clause_row(clause: &ClauseSummary) -> Markup {
    let (class, sign) = match clause.value {
        Some(true) => ("good", "✓ "),
        Some(false) => ("bad", "✗ "),
        None => ("odd", "? "),
    };
    html! {
        tr {
            td { (clause.title) }
            td class={(class) " w"} { (sign) (clause.now) }
            td class="n" { (clause.true_after_s.map_or_else(|| "–".into(), after)) }
            td class="n" { (clause.last_false.map_or_else(|| "–".into(), |t| t.format("%H:%M:%S%.3f").to_string())) }
            td { (clause.source) }
            td { @if let Some(at) = &clause.evidence { code { (at) } } }
        }
    }
}

fn findings(summary: &Summary, run: &Run, telemetry: &Telemetry) -> Markup {
    let wrong: Vec<&Finding> = summary.findings.iter().filter(|f| f.level != Level::Note).collect();
    let notes: Vec<&Finding> = summary.findings.iter().filter(|f| f.level == Level::Note).collect();
    html! {
        h2 id="findings" { "Findings" }
        @if wrong.is_empty() { p { "Nothing is wrong." } }
        @for (index, item) in wrong.iter().enumerate() { (finding(summary, run, telemetry, item, index < 12)) }
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
                @if !listed { @for detail in &item.details { dt { (detail.label) } dd { (detail.text) } } }
                @for place in &item.evidence { (evidence(place)) }
                @if let Some(command) = &item.next { dt { "next" } dd { code { (command) } } }
            }
            @if listed { (list(item)) }
            @for (index, piece) in pieces.iter().enumerate() { (shown(piece, index == 0 || item.level == Level::Problem && index < 3)) }
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

fn evidence(place: &Evidence) -> Markup {
    let file = place.at.rsplit_once(':').filter(|(_, line)| line.parse::<u32>().is_ok()).map_or(place.at.as_str(), |(f, _)| f);
    html! {
        @if place.kind == EvidenceKind::Path { dt { "evidence" } dd { a href=(file) { code { (place.at) } } } }
        @else { dt { "query" } dd { code { (place.at) } } }
    }
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
