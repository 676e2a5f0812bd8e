//! The lines of a terminal that change while a run goes on: the phase, its landed clauses, and one line per agent.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use proctor_harness::cycle::{AgentLive, ClauseLive, Totals};
use proctor_judge::visible_line;

use super::Screen;

/// How often the spinner turns and times go on.
const TICK: Duration = Duration::from_millis(100);

/// The changing lines that are on the screen, for whoever writes beside them.
static SHOWN: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Writes something while the changing lines are off the screen: written among them, it would leave copies of them behind.
pub(crate) fn aside(write: impl FnOnce()) {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match shown {
        Some(area) => area.suspend(write),
        None => write(),
    }
}

/// Takes back the line that a terminal began when it showed `^C`. The last of the changing lines fills its row, so that what is
/// typed stands on the next one, and lines that are drawn anew would begin one row too low.
pub(crate) fn below_what_was_typed() {
    let is_shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).is_some();
    let echo = rustix::termios::LocalModes::ECHO | rustix::termios::LocalModes::ECHOCTL;
    let echoes = || rustix::termios::tcgetattr(std::io::stdout()).is_ok_and(|modes| modes.local_modes.contains(echo));
    if is_shown && echoes() {
        let mut out = std::io::stdout().lock();
        drop(out.write_all(b"\r\x1b[2K\x1b[1A").and_then(|()| out.flush()));
    }
}

/// The changing lines at the end of the screen.
#[derive(Debug)]
pub(crate) struct Live {
    screen: Screen,
    area: MultiProgress,
    phase: Option<ProgressBar>,
    agents: Vec<ProgressBar>,
    /// The last line: how much there is of everything.
    totals: Option<ProgressBar>,
    clauses: String,
    doing: String,
}

impl Live {
    /// Nothing is shown yet.
    pub(crate) fn new(screen: Screen) -> Self {
        let area = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(area.clone());
        Self { screen, area, phase: None, agents: Vec::new(), totals: None, clauses: String::new(), doing: String::new() }
    }

    /// Writes something that stays, above the changing lines.
    pub(crate) fn above(&self, write: impl FnOnce()) {
        self.area.suspend(write);
    }

    /// A phase begins: its line turns until it ends.
    pub(crate) fn began(&mut self, number: u8, name: &str) {
        let line = self.area.add(ProgressBar::new_spinner());
        let style = ProgressStyle::with_template("{spinner}{prefix}{wide_msg}{elapsed:>6}");
        line.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        line.set_prefix(format!("{number}  {name:<19}"));
        line.enable_steady_tick(TICK);
        self.phase = Some(line);
    }

    /// The phase ended: nothing changing is left on the screen.
    pub(crate) fn ended(&mut self) {
        for line in self.agents.drain(..).chain(self.phase.take()).chain(self.totals.take()) {
            line.finish_and_clear();
            self.area.remove(&line);
        }
        self.clauses.clear();
        self.doing.clear();
    }

    /// What the phase does now.
    pub(crate) fn doing(&mut self, text: &str) {
        text.clone_into(&mut self.doing);
        self.show_phase();
    }

    /// The landed clauses fill up.
    pub(crate) fn clauses(&mut self, clauses: &[ClauseLive]) {
        let parts: Vec<String> = clauses.iter().map(clause).collect();
        self.clauses = parts.join(" · ");
        self.show_phase();
    }

    /// The town grows.
    pub(crate) fn totals(&mut self, totals: &Totals) {
        if self.phase.is_none() {
            return;
        }
        let line = self.totals.get_or_insert_with(|| text_line(&self.area, None));
        let parts = [(totals.agents, "agent"), (totals.beads, "bead"), (totals.mail, "mail"), (totals.events, "event")];
        line.set_message(parts.map(|(number, one)| count(number, one)).join(" · "));
    }

    fn show_phase(&self) {
        if let Some(line) = &self.phase {
            let parts = [&self.doing, &self.clauses];
            let shown: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect();
            line.set_message(visible_line(&shown.join(" · ")).into_owned());
        }
    }

    /// One line per agent: what it does now, and what it has used. Of many agents, those that wait share a line.
    pub(crate) fn agents(&mut self, agents: &[AgentLive]) {
        // Told between two phases they would stay on the screen.
        if self.phase.is_none() {
            return;
        }
        let lines = agent_lines(agents, self.screen.width.saturating_sub(5));
        while self.agents.len() < lines.len() {
            self.agents.push(text_line(&self.area, self.totals.as_ref()));
        }
        for line in self.agents.drain(lines.len()..) {
            line.finish_and_clear();
            self.area.remove(&line);
        }
        for (line, text) in self.agents.iter().zip(lines) {
            line.set_message(text);
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Agents that have a line of their own whatever they do; more than these would push the phases off a small screen.
const LINES: usize = 8;

fn agent_lines(agents: &[AgentLive], width: usize) -> Vec<String> {
    let waits = |agent: &&AgentLive| agent.doing.is_empty() && agent.state != "working" && agent.role != "mayor";
    let (waiting, busy): (Vec<&AgentLive>, Vec<&AgentLive>) = agents.iter().partition(waits);
    if agents.len() <= LINES || waiting.len() < 2 {
        return agents.iter().map(|agent| agent_line(agent, width)).collect();
    }
    let names: Vec<String> = waiting.iter().map(|agent| agent.agent.replacen("/polecats/", "/", 1)).collect();
    let waiting = cut(&format!("{} wait: {}", waiting.len(), names.join(", ")), width);
    busy.into_iter().map(|agent| agent_line(agent, width)).chain([waiting]).collect()
}

/// A line of text only, above another one or at the end.
fn text_line(area: &MultiProgress, before: Option<&ProgressBar>) -> ProgressBar {
    let line = ProgressBar::new_spinner();
    let line = match before {
        Some(before) => area.insert_before(before, line),
        None => area.add(line),
    };
    let style = ProgressStyle::with_template("     {wide_msg}");
    line.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    line
}

fn clause(clause: &ClauseLive) -> String {
    match clause.clause.as_str() {
        "issues_closed" => format!("closed {}", clause.now),
        "no_worker_busy" if clause.value => "no worker busy".to_owned(),
        // The workers' own lines say which.
        "no_worker_busy" => format!("{} busy", clause.now.split(',').count()),
        "convoy_closed" => format!("convoy {}", if clause.value { "closed" } else { "open" }),
        other => format!("{other} {}", clause.now),
    }
}

/// Address, what it does, and its figures at the right edge.
fn agent_line(agent: &AgentLive, width: usize) -> String {
    let who = visible_line(&agent.agent).replacen("/polecats/", "/", 1);
    let figures = format!("{}  {} tokens  ${:.2}", count(agent.turns, "turn"), short_count(agent.tokens), agent.cost_usd);
    let what = match agent.doing.as_str() {
        "" => agent.state.as_str(),
        doing => doing,
    };
    let room = width.saturating_sub(who.chars().count().max(18) + 2 + figures.chars().count() + 2);
    let what = cut(what, room);
    format!("{who:<18}  {what:<room$}  {figures}")
}

/// A text on one line, in at most `room` columns; one that is longer ends in `…`.
fn cut(text: &str, room: usize) -> String {
    let plain = visible_line(text.trim());
    match plain.chars().count() <= room {
        true => plain.into_owned(),
        false => plain.chars().take(room.saturating_sub(1)).chain("…".chars().take(room)).collect(),
    }
}

/// One thing or many.
fn count(number: u64, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// A count in at most five characters: `999`, `12 k`, `3.4 M`.
fn short_count(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..999_500 => format!("{} k", (count + 500) / 1_000),
        _ => format!("{:.1} M", count as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_line_fits_and_shows_no_control_characters() {
        let agent = AgentLive {
            agent: "alice/polecats/furiosa".to_owned(),
            role: "polecat".to_owned(),
            state: "working".to_owned(),
            doing: format!("cat <<EOF\n{}", "x".repeat(200)),
            since: None,
            turns: 12,
            tokens: 33_400,
            cost_usd: 0.0,
        };
        let line = agent_line(&agent, 90);
        assert_eq!(line.chars().count(), 90, "{line}");
        assert!(!line.contains('\n') && line.starts_with("alice/furiosa       cat <<EOF\\nxxx"), "{line}");
        assert!(line.contains("xxx…  12 turns"), "what is cut says so: {line}");
        assert!(line.ends_with("12 turns  33 k tokens  $0.00"), "{line}");
    }

    #[test]
    fn of_many_agents_those_that_wait_share_a_line() {
        let agent = |name: &str, role: &str, state: &str| AgentLive {
            agent: name.to_owned(),
            role: role.to_owned(),
            state: state.to_owned(),
            doing: String::new(),
            since: None,
            turns: 0,
            tokens: 0,
            cost_usd: 0.0,
        };
        let mut agents = vec![agent("mayor", "mayor", "idle")];
        for rig in ["alice", "bob", "eve"] {
            agents.push(agent(&format!("{rig}/polecats/nux"), "polecat", "working"));
            agents.push(agent(&format!("{rig}/refinery"), "refinery", "idle"));
        }
        assert_eq!(agent_lines(&agents, 90).len(), 7, "few agents have a line each");
        for rig in ["alice", "bob", "eve"] {
            agents.push(agent(&format!("{rig}/witness"), "witness", "idle"));
        }
        let lines = agent_lines(&agents, 90);
        assert_eq!(lines.len(), 5, "{lines:#?}");
        assert!(lines[0].starts_with("mayor") && lines[4].starts_with("6 wait: alice/refinery, "), "{lines:#?}");
        assert!(lines.iter().all(|line| line.chars().count() <= 90));
        let narrow = agent_lines(&agents, 40);
        assert!(narrow[4].ends_with('…') && narrow[4].chars().count() == 40, "{narrow:#?}");
    }

    #[test]
    fn what_an_agent_chose_does_nothing_to_the_screen() {
        let text = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}evil\r";
        assert_eq!(cut(text, 80), "\\x1b[2J\\x1b]0;owned\\x07\\u{202e}evil");
        assert_eq!((cut("abcdef", 4), cut("abcd", 4), cut("ab", 0)), ("abc…".into(), "abcd".into(), String::new()));
        assert_eq!((count(1, "bead"), count(2, "bead")), ("1 bead".into(), "2 beads".into()));
    }

    #[test]
    fn a_clause_says_how_far_it_is_in_a_few_letters() {
        let shown = |name: &str, value: bool, now: &str| {
            let (name, now) = (name.to_owned(), now.to_owned());
            clause(&ClauseLive { clause: name, value, now, since: None })
        };
        assert_eq!(shown("issues_closed", false, "1/3"), "closed 1/3");
        assert_eq!(shown("no_worker_busy", false, "alice/nux, bob/rust busy"), "2 busy");
        assert_eq!(shown("no_worker_busy", true, "yes"), "no worker busy");
        assert_eq!(shown("convoy_closed", false, "open"), "convoy open");
    }

    #[test]
    fn counts_stay_short() {
        let shown = [999, 1_000, 999_999, 3_450_000].map(short_count);
        assert_eq!(shown, ["999", "1 k", "1.0 M", "3.5 M"]);
    }
}
