//! Speaking to the coordinator of a real town: whether it listens, a prompt typed to it, what its terminal shows.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::calls::{CALL, Calls};
use super::{pieces, tmux};
use crate::halt::Halt;

/// The coordinator's tmux session.
pub(super) const SESSION: &str = "hq-mayor";
/// How often its terminal is looked at while it is busy.
const LISTENING_POLL: Duration = Duration::from_millis(200);
/// What an agent prints when it waits for input.
const PROMPT_SIGN: &str = "❯";
/// How many lines an agent of somebody's own may show below its input.
const LINES_BELOW: usize = 8;
/// What Claude Code shows below its input for as long as a turn runs.
const BUSY: &str = "esc to interrupt";

/// The coordinator in its session.
pub(super) struct Mayor<'a> {
    /// Calls in its town.
    pub(super) calls: &'a Calls,
    /// Name of the town's tmux socket.
    pub(super) socket: &'a str,
    /// Whether a screen like this is one of an agent that waits for input.
    pub(super) listens: fn(&str) -> bool,
}

impl Mayor<'_> {
    /// Types a prompt, or, when that was done before, presses Enter once more.
    pub(super) async fn deliver(&self, text: &str, again: u32) -> Result<(), Halt> {
        if again > 0 {
            return tmux::press_enter(self.calls, self.socket, SESSION).await;
        }
        self.until_it_listens(CALL).await;
        let mut program = self.calls.program("gt", &["nudge", "mayor", "--mode", "immediate", "--stdin"]);
        program.stdin = Some(pieces::harmless(text).into_bytes());
        self.calls.must(program).await.map(drop)
    }

    /// Types a prompt without the Enter that ends it.
    pub(super) async fn lose(&self, text: &str) -> Result<(), Halt> {
        self.until_it_listens(CALL).await;
        tmux::type_text(self.calls, self.socket, SESSION, text).await
    }

    /// What its terminal shows.
    pub(super) async fn screen(&self) -> Option<String> {
        tmux::pane(self.calls, self.socket, SESSION, false).await
    }

    /// A text typed into a running turn would end that turn.
    async fn until_it_listens(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let mut seen = 0;
        while seen < 2 && Instant::now() < until {
            let screen = self.screen().await.unwrap_or_default();
            seen = if (self.listens)(&screen) { seen + 1 } else { 0 };
            sleep(LISTENING_POLL).await;
        }
    }
}

/// Proctor's own agent shows nothing below its prompt sign.
pub(super) fn last_line_is_prompt(screen: &str) -> bool {
    screen.lines().rev().find(|line| !line.trim().is_empty()).is_some_and(|line| line.starts_with(PROMPT_SIGN))
}

/// Whether any program that plays a role in a fresh town waits for input: Proctor's own agent, or one that draws a frame around an empty
/// input, with what it has to say of itself below.
pub(super) fn waits(screen: &str) -> bool {
    let mut lines = screen.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    let mut is_framed = false;
    while let Some(line) = lines.next() {
        if line.trim_matches('│').trim() == PROMPT_SIGN {
            is_framed = lines.peek().is_some_and(|below| below.starts_with(['─', '╰']));
        }
    }
    last_line_is_prompt(screen) || is_framed && !screen.contains(BUSY)
}

/// An agent that draws more than its input: an empty input near the end, and no sign of a running turn.
pub(super) fn shows_an_empty_input(screen: &str) -> bool {
    let mut last = screen.lines().rev().map(str::trim).filter(|line| !line.is_empty()).take(LINES_BELOW);
    let is_empty = |line: &str| {
        line.trim_start_matches('│')
            .trim_start()
            .strip_prefix(PROMPT_SIGN)
            .is_some_and(|rest| rest.trim_end_matches('│').trim().is_empty())
    };
    !screen.contains(BUSY) && last.any(is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_is_known_by_the_last_line_or_by_an_empty_frame() {
        let frame = "─".repeat(80);
        let drawn = |input: &str, below: &str| format!("● done\n{frame}\n❯ {input}\n{frame}\n  {below}\n");
        assert!(waits("done\n❯ \n\n") && waits(&drawn("", "⏵⏵ bypass permissions on")));
        assert!(waits("● done\n╭────╮\n│ ❯  │\n╰────╯\n"));
        // The sign that Proctor's own agent shows before its first turn stays above what it does then.
        assert!(!waits("❯ \n● I read my hook.\n  │ gt prime"));
        for busy in [drawn("half a text", ""), drawn("", "esc to interrupt"), "starting".into(), String::new()] {
            assert!(!waits(&busy), "{busy}");
        }
    }

    #[test]
    fn an_agent_listens_when_its_input_is_empty_and_no_turn_runs() {
        assert!(last_line_is_prompt("done\n❯ \n\n"));
        assert!(!last_line_is_prompt("❯ make it\nmaking"));
        let drawn = |input: &str, below: &str| format!("● done\n\n╭────╮\n│ ❯ {input} │\n╰────╯\n  {below}\n");
        assert!(shows_an_empty_input(&drawn("", "? for shortcuts")));
        assert!(!shows_an_empty_input(&drawn("half a text", "? for shortcuts")));
        assert!(!shows_an_empty_input(&drawn("", "esc to interrupt")));
        assert!(shows_an_empty_input("ready\n❯ \n"));
        assert!(!shows_an_empty_input("starting"));
    }
}
