//! One living session: what it prints, whether it waits for input, what is typed into it, and its end.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use opentelemetry::KeyValue;
use portable_pty::{Child, MasterPty};
use serde_json::json;

use super::identity::Agent;
use super::{Daemon, locked};
use crate::agents::{self, Birth};
use crate::error::{Result, TownError, refused};
use crate::launch::beginning;
use crate::processes::{self, GRACE};
use crate::telemetry::record;

/// How long typing may take; a program that does not read its terminal fills the kernel's buffer.
const TYPING: Duration = Duration::from_secs(10);

/// How long a worker that has printed something may take to end before it counts as started.
const DYING: Duration = Duration::from_millis(50);

/// How much of a typed text the event `prompt.send` shows when it is asked for.
const KEYS_BYTES: usize = 256;

/// How much of the newest output is kept to find the prompt in.
const TAIL: usize = 256;

/// A session's process and terminal.
pub(crate) struct Life {
    pub(crate) n: i64,
    pub(crate) session: String,
    pub(crate) agent: String,
    pub(crate) run_id: String,
    pub(crate) pid: u32,
    pub(crate) transcript: String,
    prompt: String,
    writer: Mutex<Box<dyn Write + Send>>,
    state: Mutex<State>,
    changed: Condvar,
    daemon: Weak<Daemon>,
}

#[derive(Default)]
struct State {
    ready: bool,
    promptless: bool,
    printed: bool,
    drained: bool,
    idle: bool,
    ended: Option<String>,
    stop_reason: Option<String>,
    pending: VecDeque<String>,
    tail: Vec<u8>,
}

/// How the wait for a session's prompt ended.
pub(crate) enum Readiness {
    /// It shows its prompt, or never will and needs none.
    Ready,
    /// It ended, and well.
    Ended,
    /// It ended badly.
    Failed(String),
    /// It shows nothing yet.
    TimedOut,
}

/// What became of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// It was typed.
    Now,
    /// It will be, at the next prompt.
    Later,
}

impl Life {
    pub(super) fn new(
        daemon: &Arc<Daemon>,
        n: i64,
        birth: &Birth,
        pid: u32,
        transcript: String,
        prompt: &str,
        master: &dyn MasterPty,
    ) -> Result<Arc<Self>> {
        let writer = master.take_writer().map_err(|error| TownError::Daemon(format!("terminal: {error:#}")))?;
        let state = State { ready: prompt.is_empty(), promptless: prompt.is_empty(), ..State::default() };
        Ok(Arc::new(Self {
            n,
            session: birth.session.clone(),
            agent: birth.agent.clone(),
            run_id: birth.run_id.clone(),
            pid,
            transcript,
            prompt: prompt.trim_end().to_string(),
            writer: Mutex::new(writer),
            state: Mutex::new(state),
            changed: Condvar::new(),
            daemon: Arc::downgrade(daemon),
        }))
    }

    /// Starts the threads that read the terminal and wait for the end.
    pub(super) fn watch(
        self: &Arc<Self>,
        daemon: &Arc<Daemon>,
        child: Box<dyn Child + Send + Sync>,
        master: Box<dyn MasterPty + Send>,
    ) -> Result<()> {
        let path = daemon.root.join(&self.transcript);
        let transcript = OpenOptions::new().create(true).append(true).open(&path).map_err(TownError::io(&path))?;
        let reader = master.try_clone_reader().map_err(|error| TownError::Daemon(format!("terminal: {error:#}")))?;
        let (life, keeper) = (Arc::clone(self), Arc::clone(daemon));
        std::thread::spawn(move || life.read(&keeper, reader, transcript));
        let (life, keeper) = (Arc::clone(self), Arc::clone(daemon));
        std::thread::spawn(move || {
            life.wait(&keeper, child);
            drop(master);
        });
        Ok(())
    }

    fn read(self: &Arc<Self>, daemon: &Daemon, mut reader: Box<dyn Read + Send>, mut transcript: File) {
        let mut buffer = [0; 8192];
        while let Ok(count) = reader.read(&mut buffer) {
            if count == 0 {
                break;
            }
            if let Err(error) = transcript.write_all(&buffer[..count]) {
                daemon.log(&format!("{}: {error}", self.transcript));
            }
            self.printed(daemon, &buffer[..count]);
        }
        locked(&self.state).drained = true;
        self.changed.notify_all();
    }

    /// The last line that it printed, after a colon; nothing when it printed nothing.
    pub(super) fn last_line(&self) -> String {
        let state = locked(&self.state);
        let text = String::from_utf8_lossy(&state.tail);
        let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
        line.map_or_else(String::new, |line| format!(": {line}"))
    }

    /// Notes new output: at a prompt the session is idle, and what waits for that is typed.
    fn printed(self: &Arc<Self>, daemon: &Daemon, output: &[u8]) {
        let mut state = locked(&self.state);
        state.tail.extend_from_slice(output);
        let surplus = state.tail.len().saturating_sub(TAIL);
        state.tail.drain(..surplus);
        let idle = !self.prompt.is_empty() && at_prompt(&state.tail, &self.prompt);
        let changed = idle != state.idle;
        state.idle = idle;
        state.ready |= idle;
        state.promptless &= !idle;
        state.printed = true;
        let next = if idle { state.pending.pop_front() } else { None };
        drop(state);
        self.changed.notify_all();
        if changed && next.is_none() {
            self.note_busy(daemon, !idle);
        }
        if let Some(text) = next {
            let life = Arc::clone(self);
            std::thread::spawn(move || life.type_text(&text));
        }
    }

    fn note_busy(&self, daemon: &Daemon, busy: bool) {
        let noted = daemon.town().and_then(|mut town| town.change_as("daemon", "gt", |change| change.set_busy(self.n, busy)));
        if let Err(error) = noted {
            daemon.log(&format!("session {}: {error}", self.session));
        }
    }

    /// Waits until the session is ready or over. A worker is ready as soon as it prints anything: it begins with its beacon and
    /// shows its prompt only afterwards.
    pub(super) fn wait_ready(&self, limit: Duration, needs_prompt: bool) -> Readiness {
        let waiting = |state: &mut State| !state.ready && state.ended.is_none() && (needs_prompt || !state.printed);
        let state = locked(&self.state);
        let (state, _) = self.changed.wait_timeout_while(state, limit, waiting).unwrap_or_else(PoisonError::into_inner);
        // A program that only prints why it cannot start ends right after.
        let dying = |state: &mut State| !state.ready && state.printed && state.ended.is_none();
        let state = self.changed.wait_timeout_while(state, DYING, dying).unwrap_or_else(PoisonError::into_inner).0;
        match &state.ended {
            Some(exit) if exit == "exit 0" => Readiness::Ended,
            Some(exit) => Readiness::Failed(exit.clone()),
            None if state.ready => Readiness::Ready,
            None => Readiness::TimedOut,
        }
    }

    /// Types a text now, or at the next prompt.
    pub(super) fn send(self: &Arc<Self>, text: &str, when_idle: bool) -> Result<Typed> {
        let mut state = locked(&self.state);
        if when_idle && !state.idle && !state.promptless {
            state.pending.push_back(text.to_string());
            return Ok(Typed::Later);
        }
        drop(state);
        let (done, typed) = mpsc::channel();
        let (life, text) = (Arc::clone(self), text.to_string());
        std::thread::spawn(move || {
            life.type_text(&text);
            let _ = done.send(());
        });
        match typed.recv_timeout(TYPING) {
            Ok(()) => Ok(Typed::Now),
            Err(_) => refused(format!("session {} does not read its terminal", self.session)),
        }
    }

    /// The session shows no prompt: from now on nothing waits for one, until it shows one after all.
    pub(super) fn give_up_prompt(self: &Arc<Self>) {
        let mut state = locked(&self.state);
        state.promptless = true;
        let pending: Vec<String> = state.pending.drain(..).collect();
        drop(state);
        let life = Arc::clone(self);
        std::thread::spawn(move || pending.iter().for_each(|text| life.type_text(text)));
    }

    /// Takes the texts that wait for the prompt.
    pub(super) fn drain(&self) -> Vec<String> {
        locked(&self.state).pending.drain(..).collect()
    }

    /// Writes text and Enter. Line feeds inside stay line feeds; only Enter is a carriage return.
    fn type_text(&self, text: &str) {
        let Some(daemon) = self.daemon.upgrade() else { return };
        locked(&self.state).idle = false;
        locked(&self.state).tail.clear();
        self.note_busy(&daemon, true);
        let mut bytes = text.replace("\r\n", "\n").into_bytes();
        let keys = bytes.len();
        bytes.push(b'\r');
        let mut writer = locked(&self.writer);
        let written = writer.write_all(&bytes).and_then(|()| writer.flush());
        let error = written.err().map(|error| error.to_string());
        let outcome = error.as_deref().map_or(Ok(()), Err);
        let keys = i64::try_from(keys).unwrap_or(i64::MAX);
        let event = record("prompt.send").of_run(&self.run_id).with("session", self.session.clone());
        let event = event.with("keys_len", keys).with("debounce_ms", 0);
        let event = match daemon.caller.opted_in("GT_LOG_PROMPT_KEYS") {
            true => event.with("keys", beginning(text, KEYS_BYTES).to_string()),
            false => event,
        };
        daemon.caller.emit(event.ended(outcome));
        let label = KeyValue::new("status", crate::telemetry::status(&outcome));
        daemon.caller.count("gastown.prompt.sends.total", &[label]);
    }

    /// Ends the session: SIGTERM to its process group, SIGKILL after [`GRACE`]. Returns when it is over.
    pub(crate) fn end(&self, reason: &str) {
        let mut state = locked(&self.state);
        if state.ended.is_some() {
            return;
        }
        state.stop_reason.get_or_insert_with(|| reason.to_string());
        processes::signal_group(self.pid, false);
        let alive = |state: &mut State| state.ended.is_none();
        let (mut state, timeout) = self.changed.wait_timeout_while(state, GRACE, alive).unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            state.stop_reason = Some(format!("{reason}, killed: SIGTERM did not end it"));
            processes::signal_group(self.pid, true);
            let _ = self.changed.wait_timeout_while(state, 2 * GRACE, alive);
        }
    }

    fn wait(&self, daemon: &Arc<Daemon>, mut child: Box<dyn Child + Send + Sync>) {
        let exit = processes::wait_for_end(self.pid);
        let left = processes::end_leftovers(self.pid, &format!("GT_RUN={}", self.run_id));
        let _ = child.wait();
        locked(&daemon.roots).leave(self.pid, &self.run_id);
        let refused = daemon.door.refused(&self.session);
        if refused > 0 {
            let (agent, session, run_id) = (self.agent.clone(), self.session.clone(), self.run_id.clone());
            daemon.note_flood(&Agent { agent, session, run_id }, refused);
        }
        // What it printed last may still lie in the terminal; a process that could not be ended may keep it open.
        let state = locked(&self.state);
        let waited = self.changed.wait_timeout_while(state, GRACE, |state| !state.drained);
        let stopped = waited.unwrap_or_else(PoisonError::into_inner).0.stop_reason.clone();
        // Children of an agent that we ended ourselves were in the middle of its work, not left behind by it.
        let left = if stopped.is_some() { Vec::new() } else { left };
        let left: Vec<_> = left.iter().map(|p| json!({ "pid": p.pid, "command": p.command })).collect();
        let exit = stopped.unwrap_or(exit);
        daemon.log(&format!("session {} ended: {exit}", self.session));
        let written = daemon.town().and_then(|mut town| {
            town.change_as("daemon", "gt", |change| change.end_session(self.n, &exit, &json!(left)))?;
            self.report(daemon, &town)
        });
        if let Err(error) = written {
            daemon.log(&format!("session {}: {error}", self.session));
        }
        locked(&daemon.lives).remove(&self.session);
        locked(&self.state).ended = Some(exit);
        self.changed.notify_all();
    }

    fn report(&self, daemon: &Daemon, town: &crate::town::Town) -> Result<()> {
        let agent = agents::get(&town.db, &self.agent)?;
        let state = agent.map(|agent| agent.state).unwrap_or_default();
        let died = state == "stalled";
        if matches!(state.as_str(), "stalled" | "stopped") {
            daemon.caller.agent_state(&self.agent, &state, Some(&self.run_id));
        }
        let outcome = if died { Err("died with work on its hook") } else { Ok(()) };
        let event = record("session.stop").of_run(&self.run_id).with("session_id", self.session.clone());
        daemon.caller.emit(event.ended(outcome));
        let label = KeyValue::new("status", crate::telemetry::status(&outcome));
        daemon.caller.count("gastown.session.stops.total", &[label]);
        Ok(())
    }
}

/// Whether output ends with the prompt, escape sequences and blanks after it not counted.
fn at_prompt(tail: &[u8], prompt: &str) -> bool {
    let text = String::from_utf8_lossy(tail);
    let mut text = text.trim_end();
    while let Some(start) = text.rfind('\u{1b}') {
        let sequence = &text[start + 1..];
        let whole = sequence.starts_with('[')
            && sequence.len() >= 2
            && sequence[1..].find(|c: char| c.is_ascii_alphabetic()) == Some(sequence.len() - 2);
        if !whole {
            break;
        }
        text = text[..start].trim_end();
    }
    text.ends_with(prompt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_is_seen_at_the_end_only() {
        assert!(at_prompt("hello\r\n❯ ".as_bytes(), "❯"));
        assert!(at_prompt("❯ \u{1b}[0m\u{1b}[?25h".as_bytes(), "❯"));
        assert!(!at_prompt("❯ text".as_bytes(), "❯"));
    }

    #[test]
    fn a_cut_escape_sequence_is_no_prompt() {
        assert!(!at_prompt("❯ \u{1b}[".as_bytes(), "❯"));
    }
}
