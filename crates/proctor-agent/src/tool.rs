//! The one tool: a shell command in a process group of its own, with a time limit and a limit on what it may print.
//!
//! A command is over when its shell is: a process that it leaves behind may hold the pipe open for ever, so the output is
//! collected until then and a short grace longer, never until the pipe closes.

use std::io::{self, ErrorKind, PipeReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use crate::window::Window;

/// The tool's name, as Claude Code calls it.
pub(crate) const NAME: &str = "Bash";

/// Characters of output that a result has at most.
const OUTPUT_LIMIT: usize = 30_000;

/// Time limit of a command that asks for none.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

/// How long output may still arrive after the shell has ended, when something holds the pipe open.
const GRACE: Duration = Duration::from_millis(100);

/// The tool as it is described to the model.
pub(crate) fn definition() -> Value {
    json!({
        "name": NAME,
        "description": "Runs a shell command in your working directory and returns what it printed. Each command starts a fresh shell.",
        "input_schema": {
            "type": "object",
            "properties": {
                "command": {"type": "string", "description": "The command"},
                "timeout": {"type": "number", "description": "Time limit in milliseconds; 120000 when it is left out"},
            },
            "required": ["command"],
        },
    })
}

/// What a call of the tool asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) command: String,
    pub(crate) timeout: Duration,
}

impl Call {
    /// Reads a tool input; `Err` is what the model is told.
    pub(crate) fn read(name: &str, input: &Value) -> Result<Self, String> {
        if name != NAME {
            return Err(format!("there is no tool `{name}`; use `{NAME}`"));
        }
        let command = input["command"].as_str().ok_or("the input needs `command`, a string")?;
        let timeout = match &input["timeout"] {
            Value::Null => DEFAULT_TIMEOUT,
            value => match value.as_f64().filter(|ms| *ms > 0.0 && *ms < 1e12) {
                Some(ms) => Duration::from_secs_f64(ms / 1000.0),
                None => return Err(format!("`timeout` must be a number of milliseconds above 0, not {value}")),
            },
        };
        Ok(Self { command: command.to_owned(), timeout })
    }
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What the model reads: output, then how it ended when that was not exit 0.
    pub(crate) text: String,
    pub(crate) success: bool,
    /// Bytes that the command printed, kept or not.
    pub(crate) bytes: u64,
}

impl Outcome {
    pub(crate) fn refused(why: &str) -> Self {
        Self { text: why.to_owned(), success: false, bytes: why.len() as u64 }
    }
}

/// Runs commands, one at a time. Clones share the one that runs.
#[derive(Clone, Debug)]
pub(crate) struct Shell {
    directory: PathBuf,
    running: Arc<Mutex<Running>>,
}

#[derive(Debug, Default)]
struct Running {
    group: Option<Pid>,
    closed: bool,
}

/// What the threads around a command report.
enum Report {
    Output(Vec<u8>),
    OutputEnded,
    Exited(io::Result<ExitStatus>),
}

impl Shell {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, running: Arc::default() }
    }

    /// Ends the running command with all its process group, and every later one at once.
    pub(crate) fn close(&self) {
        let mut running = self.lock();
        running.closed = true;
        running.group.into_iter().for_each(kill);
    }

    pub(crate) fn run(&self, call: &Call) -> Outcome {
        match self.start(&call.command) {
            Ok((child, output)) => self.follow(child, output, call),
            Err(error) => Outcome::refused(&format!("the shell could not be started: {error}")),
        }
    }

    fn start(&self, command: &str) -> io::Result<(Child, PipeReader)> {
        match self.spawn("bash", command) {
            Err(error) if error.kind() == ErrorKind::NotFound => self.spawn("sh", command),
            started => started,
        }
    }

    fn spawn(&self, shell: &str, command: &str) -> io::Result<(Child, PipeReader)> {
        // One pipe for both streams keeps their order.
        let (reader, writer) = io::pipe()?;
        let mut shell = Command::new(shell);
        shell.args(["-c", command]).current_dir(&self.directory).process_group(0);
        shell.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        Ok((shell.spawn()?, reader))
    }

    fn follow(&self, child: Child, output: PipeReader, call: &Call) -> Outcome {
        let group = Pid::from_child(&child);
        self.enter(group);
        let (sender, reports) = mpsc::channel();
        let exits = sender.clone();
        thread::spawn(move || report_output(output, &sender));
        thread::spawn(move || report_exit(child, &exits));
        let outcome = collect(&reports, group, call.timeout);
        self.lock().group = None;
        outcome
    }

    fn enter(&self, group: Pid) {
        let mut running = self.lock();
        running.group = Some(group);
        if running.closed {
            kill(group);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kill(group: Pid) {
    // It may have ended by itself in this moment.
    let _ = kill_process_group(group, Signal::KILL);
}

fn report_output(mut output: PipeReader, reports: &Sender<Report>) {
    let mut buffer = [0; 8192];
    loop {
        match output.read(&mut buffer) {
            Ok(0) => break,
            // Reading goes on when nobody listens any more: a process left behind must not block in its writes.
            Ok(length) => drop(reports.send(Report::Output(buffer[..length].to_vec()))),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    let _ = reports.send(Report::OutputEnded);
}

fn report_exit(mut child: Child, reports: &Sender<Report>) {
    let _ = reports.send(Report::Exited(child.wait()));
}

fn collect(reports: &Receiver<Report>, group: Pid, timeout: Duration) -> Outcome {
    let mut window = Window::new(OUTPUT_LIMIT);
    let mut limit = Instant::now() + timeout;
    let (mut exited, mut output_ended, mut timed_out) = (None, false, false);
    while exited.is_none() || !output_ended {
        match reports.recv_timeout(limit.saturating_duration_since(Instant::now())) {
            Ok(Report::Output(chunk)) => window.push(&chunk),
            Ok(Report::OutputEnded) => output_ended = true,
            Ok(Report::Exited(status)) => {
                exited = Some(status);
                limit = Instant::now() + GRACE;
            }
            Err(RecvTimeoutError::Timeout) if exited.is_none() && !timed_out => {
                timed_out = true;
                kill(group);
                // The kill cannot be refused; what is left to wait for is the report of it.
                limit += Duration::from_secs(10);
            }
            Err(_) => break,
        }
    }
    outcome(window, exited, timed_out.then_some(timeout))
}

fn outcome(window: Window, exited: Option<io::Result<ExitStatus>>, timed_out: Option<Duration>) -> Outcome {
    let status = exited.and_then(Result::ok);
    let success = timed_out.is_none() && status.is_some_and(|status| status.success());
    let note = match (timed_out, status) {
        (Some(limit), _) => Some(format!("[ended: time limit of {} s]", limit.as_secs_f64())),
        (None, Some(status)) => ending(status),
        (None, None) => Some("[how it ended is not known]".to_owned()),
    };
    let bytes = window.bytes();
    let output = window.finish();
    Outcome { text: note.map_or(output.clone(), |note| format!("{output}\n{note}")), success, bytes }
}

fn ending(status: ExitStatus) -> Option<String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("[exit {code}]")),
        (None, signal) => Some(format!("[ended by signal {}]", signal.unwrap_or_default())),
    }
}

/// Whether a command line has `gt done` as one of its commands.
pub(crate) fn hands_in(command: &str) -> bool {
    let commands = command.split(['\n', ';', '&', '|', '(', ')', '{', '}']);
    commands.map(str::split_whitespace).any(|mut words| {
        // Assignments in front of a command belong to it: `A=b gt done`.
        let first = words.find(|word| !word.contains('='));
        first.is_some_and(|first| first == "gt" || first.ends_with("/gt")) && words.next() == Some("done")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn run(command: &str) -> Outcome {
        let dir = tempfile::tempdir().unwrap();
        Shell::new(dir.path().to_owned()).run(&Call { command: command.to_owned(), timeout: Duration::from_secs(60) })
    }

    #[test]
    fn both_streams_come_in_the_order_they_were_written() {
        let outcome = run("echo one; echo two >&2; echo three");
        assert_eq!(outcome, Outcome { text: "one\ntwo\nthree\n".into(), success: true, bytes: 14 });
    }

    #[test]
    fn a_command_says_how_it_ended_when_it_failed() {
        assert_eq!(run("echo no; exit 3").text, "no\n\n[exit 3]");
        assert_eq!(run("kill -TERM $$").text, "\n[ended by signal 15]");
        assert!(!run("false").success);
    }

    #[test]
    fn long_output_is_cut_and_the_cut_is_counted() {
        let outcome = run("head -c 100000 /dev/zero | tr '\\0' x");
        assert_eq!(outcome.bytes, 100_000);
        assert!(outcome.text.contains("[70000 characters cut here]"));
        assert_eq!(outcome.text.matches('x').count(), OUTPUT_LIMIT);
    }

    #[test]
    fn the_time_limit_ends_the_whole_group() {
        let dir = tempfile::tempdir().unwrap();
        let shell = Shell::new(dir.path().to_owned());
        let call = Call { command: "sleep 600 & echo $! > pid; echo begun; wait".into(), timeout: Duration::from_millis(500) };
        let outcome = shell.run(&call);
        assert!(outcome.text.ends_with("[ended: time limit of 0.5 s]"), "{}", outcome.text);
        assert!(!outcome.success);
        // The pipe was closed by the group's end, or the collection would have run into its own limit of ten seconds.
        assert!(outcome.text.starts_with("begun"));
    }

    #[test]
    fn a_process_left_behind_does_not_hold_the_result_back() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("end");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        let shell = Shell::new(dir.path().to_owned());
        let command = "(read x < end; echo late > late) & echo now".to_owned();
        let outcome = shell.run(&Call { command, timeout: Duration::from_secs(60) });
        assert_eq!(outcome, Outcome { text: "now\n".into(), success: true, bytes: 4 });
        assert!(!dir.path().join("late").exists(), "it is still there, holding the pipe");
        fs::OpenOptions::new().write(true).open(&fifo).unwrap().write_all(b"x\n").unwrap();
    }

    #[test]
    fn a_closed_shell_ends_what_runs() {
        let dir = tempfile::tempdir().unwrap();
        let shell = Shell::new(dir.path().to_owned());
        shell.close();
        let outcome = shell.run(&Call { command: "sleep 600".into(), timeout: Duration::from_secs(600) });
        assert_eq!(outcome.text, "\n[ended by signal 9]");
    }

    #[test]
    fn inputs_are_checked() {
        let call = Call::read("Bash", &json!({"command":"ls","timeout":1500})).unwrap();
        assert_eq!(call, Call { command: "ls".into(), timeout: Duration::from_millis(1500) });
        for (name, input, part) in [
            ("Read", json!({}), "there is no tool `Read`"),
            ("Bash", json!({}), "needs `command`"),
            ("Bash", json!({"command":"ls","timeout":-1}), "above 0"),
        ] {
            assert!(Call::read(name, &input).unwrap_err().contains(part));
        }
    }

    #[test]
    fn handing_in_is_recognised_among_other_commands() {
        for yes in [
            "gt done",
            "git push && gt done --status COMPLETED",
            "GT_X=1 /b/bin/gt done",
            "cat <<E\nx\nE\ngt done\n",
            "(gt done)",
        ] {
            assert!(hands_in(yes), "{yes}");
        }
        for no in ["echo gt done", "gt doner", "gt hook", "git commit -m 'gt done'", "not-gt done"] {
            assert!(!hands_in(no), "{no}");
        }
    }
}
