//! Two runs side by side on a terminal.

use super::{Dress, Page, Style, wrapped};
use crate::compare::{Comparison, Section, caution, sections};
use crate::outcome::Outcome;

/// Blanks between two columns.
const GAP: usize = 2;
/// A last column of words is not made narrower than this, however wide the terminal is.
const WORDS: usize = 24;

/// The tables of a comparison, columns below each other; words in the last column are wrapped at `width`.
#[must_use]
pub fn comparison(comparison: &Comparison, style: Style, width: usize) -> String {
    let mut page = Page { text: String::new(), style, width: width.max(40) };
    for side in &comparison.runs {
        let dress = match side.outcome {
            Outcome::Passed => Dress::Good,
            Outcome::Failed | Outcome::NotLanded => Dress::Bad,
            _ => Dress::Odd,
        };
        let word = page.dressed(&side.outcome.shout(), dress);
        page.line(&format!("{} {word}", side.id));
        let parts = wrapped(&side.headline, page.width.saturating_sub(2));
        parts.iter().for_each(|part| page.line(&format!("  {part}")));
    }
    if let Some(caution) = caution(comparison) {
        page.line("");
        let parts = wrapped(&caution, page.width.saturating_sub(2));
        for (index, part) in parts.iter().enumerate() {
            let sign = if index == 0 { page.dressed("!", Dress::Odd) } else { " ".into() };
            page.line(&format!("{sign} {part}"));
        }
    }
    sections(comparison).iter().for_each(|section| table(&mut page, section));
    page.text
}

fn table(page: &mut Page, section: &Section) {
    page.line("");
    let title = page.dressed(section.title, Dress::Strong);
    page.line(&title);
    let widths = widths(section);
    let head = line(section, &section.head, &widths, None);
    let head = page.dressed(&head.concat(), Dress::Faint);
    page.line(&head);
    for row in &section.rows {
        let room = page.width.saturating_sub(indent(&widths)).max(WORDS);
        line(section, row, &widths, Some(room)).iter().for_each(|text| page.line(text));
    }
}

/// The width of every column.
fn widths(section: &Section) -> Vec<usize> {
    let rows = || section.rows.iter().chain([&section.head]);
    let of = |column: usize| rows().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    (0..section.head.len()).map(of).collect()
}

/// Where the last column begins.
fn indent(widths: &[usize]) -> usize {
    2 + widths.iter().rev().skip(1).map(|w| w + GAP).sum::<usize>()
}

/// A row as lines: the last column goes on below itself where it holds words and has no room.
fn line(section: &Section, cells: &[String], widths: &[usize], room: Option<usize>) -> Vec<String> {
    let mut text = String::from("  ");
    let last = widths.len().saturating_sub(1);
    let figures = |column: usize| section.figures.contains(&column);
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate().take(last) {
        let pad = " ".repeat(width.saturating_sub(cell.chars().count()));
        text += &if figures(column) { format!("{pad}{cell}") } else { format!("{cell}{pad}") };
        text += &" ".repeat(GAP);
    }
    let Some(cell) = cells.get(last) else { return vec![text] };
    if figures(last) {
        let width = widths.get(last).copied().unwrap_or(0);
        return vec![format!("{text}{cell:>width$}")];
    }
    let parts = room.map_or_else(|| vec![cell.clone()], |room| wrapped(cell, room));
    let blank = " ".repeat(indent(widths));
    parts.iter().enumerate().map(|(at, part)| format!("{}{part}", if at == 0 { &text } else { &blank })).collect()
}
