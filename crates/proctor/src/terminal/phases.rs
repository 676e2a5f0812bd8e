//! What a run shows while it goes on: a header, a row per phase, and between them what happens.
//!
//! A terminal shows the present in lines that change; a pipe gets one line per change; `--json` gets nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proctor_harness::cycle::{Happening, Progress};
use proctor_judge::evidence::{Phase, Time};
use proctor_judge::{visible, visible_line};

use super::happenings::sentence;
use super::live::Live;
use super::{Screen, print};

/// Widest row of a phase: the eye has to find the time at its end.
const ROW_WIDTH: usize = 92;

/// Columns before a row's detail: number and name.
const HEAD_WIDTH: usize = 23;

/// Columns of the time at a row's end.
const TIME_WIDTH: usize = 10;

/// A pipe is told what a long phase does at most this often.
const SAY_AGAIN: Duration = Duration::from_secs(5);

/// Shows one run.
#[derive(Debug)]
pub(crate) struct RunDisplay {
    screen: Screen,
    mode: Mode,
    /// When the current phase began, as the harness says.
    phase_began: Option<Time>,
    /// When a pipe was last told what goes on.
    said: Instant,
    /// The last sentence about each clause: an observation that is made again is no change.
    last: BTreeMap<String, String>,
}

/// How much is shown.
#[derive(Debug)]
enum Mode {
    /// Nothing: the caller prints JSON or a table of many runs.
    Silent,
    /// Lines in order.
    Plain,
    /// Lines that change in place.
    Live(Live),
}

impl RunDisplay {
    /// Shows a run on standard output.
    pub(crate) fn of_stdout() -> Self {
        let screen = Screen::of_stdout();
        let mode = if screen.live { Mode::Live(Live::new(screen)) } else { Mode::Plain };
        Self::new(screen, mode)
    }

    /// Shows nothing.
    pub(crate) fn silent() -> Self {
        Self::new(Screen::of_stdout(), Mode::Silent)
    }

    fn new(screen: Screen, mode: Mode) -> Self {
        Self { screen, mode, phase_began: None, said: Instant::now(), last: BTreeMap::new() }
    }

    /// The first line of a run.
    pub(crate) fn header(&self, parts: &[&str]) {
        self.line(&format!("proctor {} · {}\n", env!("CARGO_PKG_VERSION"), parts.join(" · ")));
    }

    /// Takes in what the harness tells.
    pub(crate) fn event(&mut self, event: Progress) {
        match event {
            Progress::PhaseBegan { number, name, at } => self.began(number, name, at),
            Progress::PhaseEnded(phase) => self.ended(&phase),
            Progress::Doing(text) => self.doing(&text),
            Progress::Happened(happening) => self.happened(&happening),
            Progress::Agents(agents) => self.live(|live| live.agents(&agents)),
            Progress::Clauses(clauses) => self.live(|live| live.clauses(&clauses)),
            Progress::Totals(totals) => self.live(|live| live.totals(&totals)),
        }
    }

    fn live(&mut self, show: impl FnOnce(&mut Live)) {
        if let Mode::Live(live) = &mut self.mode {
            show(live);
        }
    }

    fn began(&mut self, number: u8, name: &str, at: Time) {
        self.phase_began = Some(at);
        self.said = Instant::now();
        self.live(|live| live.began(number, name));
    }

    /// The row of a phase that ended, also of one that the caller ran itself.
    pub(crate) fn ended(&mut self, phase: &Phase) {
        let seconds = phase.ended_at.map(|end| (end - phase.started_at).as_seconds_f64());
        let text = row(phase, seconds, self.screen);
        self.live(Live::ended);
        self.line(&text);
    }

    fn doing(&mut self, text: &str) {
        self.live(|live| live.doing(text));
        if matches!(self.mode, Mode::Plain) && self.said.elapsed() >= SAY_AGAIN {
            self.said = Instant::now();
            self.line(&format!("      {}", visible_line(text)));
        }
    }

    /// On a pipe, each thing that happens while the town works is a line with its time since the phase began.
    fn happened(&mut self, happening: &Happening) {
        if !matches!(self.mode, Mode::Plain) {
            return;
        }
        let Some(sentence) = sentence(happening) else {
            return;
        };
        if self.is_repeated(happening, &sentence) {
            return;
        }
        let began = self.phase_began.unwrap_or(happening.at);
        let after = (happening.at - began).as_seconds_f64().max(0.0);
        self.line(&format!("      +{after:.2} s  {}", visible_line(&sentence)));
    }

    fn is_repeated(&mut self, happening: &Happening, sentence: &str) -> bool {
        let Some(clause) = happening.values.get("clause") else {
            return false;
        };
        let before = self.last.insert(clause.to_string(), sentence.to_owned());
        before.as_deref() == Some(sentence)
    }

    /// Writes a line above whatever changes in place.
    fn line(&self, text: &str) {
        match &self.mode {
            Mode::Silent => {}
            Mode::Plain => print(&format!("{text}\n")),
            Mode::Live(live) => live.above(|| print(&format!("{text}\n"))),
        }
    }

    /// Takes the changing lines off the screen for good.
    pub(crate) fn finish(&mut self) {
        self.live(Live::ended);
    }
}

/// A phase's row: number, name, detail, time; a phase that did not do what it is for has a cross.
fn row(phase: &Phase, seconds: Option<f64>, screen: Screen) -> String {
    let width = screen.width.min(ROW_WIDTH);
    let detail_width = width.saturating_sub(HEAD_WIDTH + TIME_WIDTH).max(16);
    let mark = if phase.ok { ' ' } else { '✗' };
    let mut lines = wrap(&visible(&phase.detail), detail_width).into_iter();
    let first = lines.next().unwrap_or_default();
    let pad = detail_width.saturating_sub(first.chars().count());
    let time = seconds.map_or_else(|| "–".to_owned(), duration);
    let head = format!("{mark}{}  {:<19}", phase.number, phase.name);
    let head = paint(&head, phase.ok, screen.colour);
    let mut text = format!("{head}{first}{}{time:>TIME_WIDTH$}", " ".repeat(pad));
    for line in lines {
        text.push('\n');
        text.push_str(&" ".repeat(HEAD_WIDTH));
        text.push_str(&line);
    }
    text
}

fn paint(text: &str, ok: bool, colour: bool) -> String {
    if ok || !colour {
        return text.to_owned();
    }
    let red = anstyle::AnsiColor::Red.on_default().bold();
    format!("{red}{text}{red:#}")
}

/// Seconds as rows show them.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 99.995 { format!("{seconds:.2} s") } else { format!("{seconds:.0} s") }
}

/// Breaks text between words; a word that is wider than a line stays whole.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(detail: &str, ok: bool) -> Phase {
        Phase {
            number: 2,
            name: "reset town".to_owned(),
            started_at: Time::UNIX_EPOCH,
            ended_at: None,
            ok,
            detail: detail.to_owned(),
            facts: Vec::new(),
        }
    }

    const SCREEN: Screen = Screen { live: false, colour: false, width: 80 };

    #[test]
    fn times_stand_in_one_column() {
        let short = row(&phase("fresh town", true), Some(0.11), SCREEN);
        let long = row(&phase("fresh town, seed 42 · 3 rigs", true), Some(12.5), SCREEN);
        assert_eq!(short.chars().count(), 80);
        assert_eq!(long.chars().count(), 80);
        assert!(short.ends_with("0.11 s") && long.ends_with("12.50 s"));
    }

    #[test]
    fn a_long_detail_goes_on_below_itself() {
        let text = row(&phase(&"word ".repeat(30), true), Some(1.0), SCREEN);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() > 2);
        assert!(lines[1].starts_with(&" ".repeat(HEAD_WIDTH)));
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_phase_that_failed_has_a_cross_and_one_without_end_a_dash() {
        let text = row(&phase("no Python", false), None, SCREEN);
        assert!(text.starts_with('✗') && text.ends_with('–'), "{text}");
    }
}
