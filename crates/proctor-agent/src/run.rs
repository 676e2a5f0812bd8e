//! The agent's life: texts in, turns played one after the other, until there is a reason to end.
//!
//! Input, turns and the request to stop each have a thread and report here, so that neither a slow provider nor a blocked
//! read keeps the agent from ending.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::config::{Config, Surroundings, Telemetry, Terminal};
use crate::events::Events;
use crate::input::{LineFeed, read_texts};
use crate::screen::Screen;
use crate::stop::Stop;
use crate::tool::Shell;
use crate::turn::{Conversation, TurnEnd};

/// How long a turn that is asked to stop may take to report what it did. A request that hangs is left hanging.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How an agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Its input ended, or it was asked to stop, or its work was handed in.
    Ended,
    /// The provider did not answer usefully in all tries.
    Provider,
}

impl ExitStatus {
    /// The process's exit code: 0, or 3 for [`ExitStatus::Provider`].
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ended => 0,
            Self::Provider => 3,
        }
    }
}

/// What the threads report.
enum Report {
    Text(String),
    InputEnded,
    TurnEnded(TurnEnd),
    Stop,
}

/// Runs an agent until its input ends, `stop` is asked for, a polecat's `gt done` succeeded, or the provider failed it (in a
/// pane: failed a polecat).
/// Texts that arrive during a turn are played after it; at the end of input those that are queued are still played.
/// Telemetry is flushed before it returns. Threads that are blocked in reading `input`, in a hanging request or in waiting
/// for `stop` outlive the call: its caller is expected to end the process.
pub fn run(
    config: Config,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    stop: &Stop,
    surroundings: Surroundings,
    telemetry: Telemetry,
) -> ExitStatus {
    let events = Arc::new(Events::begin(telemetry, surroundings));
    let screen = Screen::new(output);
    let shell = Shell::new(config.directory.clone());
    greet(&screen, &config, &events);
    let (sender, reports) = mpsc::channel();
    watch_input(input, config.terminal, &sender);
    watch_stop(stop.clone(), sender.clone());
    let queue = config.beacon.iter().cloned().collect();
    let stays = config.terminal == Terminal::Pane && !config.is_polecat();
    let conversation = Conversation {
        client: Client::new(&config, stop.clone()),
        shell: shell.clone(),
        screen: screen.clone(),
        events: events.clone(),
        messages: Vec::new(),
        config,
    };
    let turns = start_turns(conversation, sender);
    let status = Life { queue, busy: false, input_ended: false, stays, turns, screen, shell }.live(&reports);
    events.flush();
    status
}

fn greet(screen: &Screen, config: &Config, events: &Events) {
    let role = config.role.as_deref().unwrap_or("no role");
    screen.line(&format!(
        "proctor-agent {} · {role} · {} · session {}\n",
        env!("CARGO_PKG_VERSION"),
        config.model,
        events.session()
    ));
    if config.terminal == Terminal::Pane && config.beacon.is_some() {
        screen.prompt();
        screen.line("");
    }
}

// A report that nobody takes any more is no loss: the agent is ending.
fn report(reports: &Sender<Report>, report: Report) {
    let _ = reports.send(report);
}

fn watch_input(input: impl Read + Send + 'static, terminal: Terminal, reports: &Sender<Report>) {
    let (texts, end) = (reports.clone(), reports.clone());
    let line_feed = match terminal {
        Terminal::Plain => LineFeed::CanBeEnter,
        Terminal::Pane => LineFeed::NeverEnter,
    };
    read_texts(input, line_feed, move |text| report(&texts, Report::Text(text)), move || report(&end, Report::InputEnded));
}

fn watch_stop(stop: Stop, reports: Sender<Report>) {
    thread::spawn(move || {
        stop.wait();
        report(&reports, Report::Stop);
    });
}

/// The thread that plays turns; it ends when the returned sender is dropped.
fn start_turns(mut conversation: Conversation, reports: Sender<Report>) -> Sender<String> {
    let (turns, texts) = mpsc::channel::<String>();
    thread::spawn(move || {
        for text in texts {
            report(&reports, Report::TurnEnded(conversation.play(&text)));
        }
    });
    turns
}

/// What the agent is doing.
struct Life {
    /// Texts that wait for their turn.
    queue: VecDeque<String>,
    busy: bool,
    input_ended: bool,
    /// Whether it waits for the next text when the provider failed it: towns start whoever leaves a pane again, for ever, but
    /// not polecats.
    stays: bool,
    turns: Sender<String>,
    screen: Screen,
    shell: Shell,
}

impl Life {
    fn live(mut self, reports: &Receiver<Report>) -> ExitStatus {
        self.next();
        while self.busy || !self.input_ended {
            match reports.recv() {
                Ok(Report::Text(text)) => {
                    // A town that types a text and Enter looks whether the terminal changes, and waits for seconds when it does not.
                    if self.busy {
                        self.screen.will_hear(&text);
                    }
                    self.queue.push_back(text);
                    if !self.busy {
                        self.next();
                    }
                }
                Ok(Report::InputEnded) => self.input_ended = true,
                Ok(Report::TurnEnded(TurnEnd::Over)) => self.next(),
                Ok(Report::TurnEnded(TurnEnd::ProviderGone)) if self.stays => self.next(),
                Ok(Report::TurnEnded(TurnEnd::ProviderGone)) => return ExitStatus::Provider,
                Ok(Report::TurnEnded(TurnEnd::HandedIn | TurnEnd::Stopped)) => return ExitStatus::Ended,
                Ok(Report::Stop) | Err(_) => {
                    self.last_words(reports);
                    return ExitStatus::Ended;
                }
            }
        }
        ExitStatus::Ended
    }

    /// Plays the next text, or shows that the agent waits for one.
    fn next(&mut self) {
        let text = self.queue.pop_front();
        self.busy = text.is_some();
        match text {
            Some(text) => drop(self.turns.send(text)),
            None if self.input_ended => {}
            None => self.screen.prompt(),
        }
    }

    /// Ends the running command and lets its turn report.
    fn last_words(&self, reports: &Receiver<Report>) {
        self.shell.close();
        if !self.busy {
            return;
        }
        let deadline = Instant::now() + LAST_WORDS;
        loop {
            match reports.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Report::TurnEnded(_)) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }
}
