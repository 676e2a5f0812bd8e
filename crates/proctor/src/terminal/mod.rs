//! Text for people: style, widths, the verdict. Colour and width follow what standard output is: a terminal or not, `NO_COLOR`.

use std::io::Write;
use std::path::{Path, PathBuf};

use proctor_judge::Summary;
use proctor_judge::terminal::Style;

use crate::failure::Failure;

pub(crate) mod doctor;
mod happenings;
pub(crate) mod live;
pub(crate) mod phases;
pub(crate) mod problems;
pub(crate) mod table;
pub(crate) mod text;

/// Columns of text that is not written to a terminal: CI logs wrap badly, so that lines stay short of most of them.
const PLAIN_WIDTH: usize = 100;

/// Widest text on a terminal, however wide it is: longer lines read badly.
const WIDEST: usize = 110;

/// What standard output can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    /// Whether lines can be replaced after they were written.
    pub(crate) live: bool,
    /// Whether colours are shown.
    pub(crate) colour: bool,
    /// Columns.
    pub(crate) width: usize,
}

impl Screen {
    /// What standard output is.
    pub(crate) fn of_stdout() -> Self {
        Self::of(&std::io::stdout())
    }

    /// What standard error is.
    pub(crate) fn of_stderr() -> Self {
        Self::of(&std::io::stderr())
    }

    fn of(stream: &impl anstream::stream::RawStream) -> Self {
        let choice = anstream::AutoStream::choice(stream);
        let terminal = stream.is_terminal();
        Self {
            live: terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
            colour: !matches!(choice, anstream::ColorChoice::Never),
            width: width(terminal),
        }
    }

    /// The judge's word for the same.
    pub(crate) fn style(self) -> Style {
        Style { ansi: self.colour }
    }
}

fn width(terminal: bool) -> usize {
    if !terminal {
        return PLAIN_WIDTH;
    }
    terminal_size::terminal_size().map_or(PLAIN_WIDTH, |(width, _)| usize::from(width.0).clamp(40, WIDEST))
}

/// Prints the verdict: the block for people, or `summary.json`.
pub(crate) fn verdict(summary: &Summary, report: &Path, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(summary);
    }
    let screen = Screen::of_stdout();
    let report = report.display().to_string();
    let text = proctor_judge::terminal::render(summary, &report, screen.style(), screen.width);
    print(&text);
    Ok(())
}

/// Prints a value as JSON for people and programs alike: indented, one final newline.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::harness(format!("cannot encode JSON: {error}")))?;
    // Escapes of JSON's own: what reads it gets the very text.
    print(&format!("{}\n", proctor_judge::visible_json(&text)));
    Ok(())
}

/// Writes to standard output. A reader that went away (`| head`) is no error worth a message.
///
/// Colours of Proctor's own are the only sequences that come through, and only where colours are shown: whatever an agent put
/// into a name or an output is seen and does nothing, on a terminal and in a file.
pub(crate) fn print(text: &str) {
    let text = text::harmless(text, Screen::of_stdout().colour);
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Writes lines to standard error, as [`print()`] does to standard output.
pub(crate) fn complain(text: &str) {
    let text = text::harmless(text, Screen::of_stderr().colour);
    let mut out = std::io::stderr().lock();
    drop(out.write_all(format!("{text}\n").as_bytes()).and_then(|()| out.flush()));
}

/// The path as a person would type it from the current directory.
pub(crate) fn relative(path: &Path) -> PathBuf {
    let here = std::env::current_dir().and_then(std::fs::canonicalize);
    match here {
        Ok(here) => path.strip_prefix(&here).unwrap_or(path).to_owned(),
        Err(_) => path.to_owned(),
    }
}
