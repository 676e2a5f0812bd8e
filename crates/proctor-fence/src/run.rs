//! The parent that stays outside: starts a program inside a fence, passes signals on, and ends what the program leaves behind.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, set_parent_process_death_signal, waitpid};
use serde::{Deserialize, Serialize};

use crate::sys::{self, Came, Fork, Signals};
use crate::{Command, Ended, Fence, FenceError, Missing, Status, descendants, enter};

/// The signals that are passed on to the program.
const PASSED: [i32; 8] =
    [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGWINCH, libc::SIGUSR1, libc::SIGUSR2, libc::SIGCONT];

/// What the child says before it becomes the program.
#[derive(Serialize, Deserialize)]
enum Said {
    Inside(Vec<Missing>),
    Failed(String),
    NotStarted(String),
}

/// Runs a program inside a fence to its end, with the standard streams, process group and session of this process, and ends
/// what it leaves behind. Signals that ask this process to end are passed on to the program.
///
/// The program is killed when this process is. This process becomes a subreaper, and has to have one thread.
///
/// # Errors
/// When the fence cannot be set up or the program cannot be started.
pub fn run(fence: &Fence, command: &Command) -> Result<Ended, FenceError> {
    one_thread()?;
    let failed = |step: &'static str| move |error: io::Error| FenceError::step(step, error);
    set_child_subreaper(Pid::from_raw(1)).map_err(|error| FenceError::step("becoming a subreaper", error))?;
    let mut watched = PASSED.to_vec();
    watched.push(libc::SIGCHLD);
    let signals = Signals::of(&watched).map_err(failed("watching signals"))?;
    let (from_child, to_parent) = io::pipe().map_err(failed("a pipe"))?;
    let parent = rustix::process::getpid();
    let child = match sys::fork().map_err(failed("starting a process"))? {
        Fork::Child => {
            drop(from_child);
            become_program(fence, command, parent, to_parent)
        }
        Fork::Parent(child) => child,
    };
    drop(to_parent);
    let said = heard(from_child);
    let status = wait(&signals, child)?;
    let leftovers = descendants::end_all(&signals, command.grace);
    match said? {
        Said::Inside(missing) => Ok(Ended { status, leftovers, missing }),
        Said::Failed(reason) => Err(FenceError::step("inside", reason)),
        Said::NotStarted(reason) => Err(FenceError::Start { program: command.program.to_string_lossy().into_owned(), reason }),
    }
}

fn one_thread() -> Result<(), FenceError> {
    match fs::read_dir("/proc/self/task").map_or(1, Iterator::count) {
        1 => Ok(()),
        several => Err(FenceError::Threads(several)),
    }
}

/// In the child: goes inside and becomes the program. Says what was missing, and why it failed when it does.
fn become_program(fence: &Fence, command: &Command, parent: Pid, mut to_parent: io::PipeWriter) -> ! {
    let mut say = |said: &Said| {
        let mut line = serde_json::to_vec(said).unwrap_or_default();
        line.push(b'\n');
        _ = to_parent.write_all(&line);
    };
    match inside(fence, parent) {
        Ok(missing) => say(&Said::Inside(missing)),
        Err(error) => {
            say(&Said::Failed(error.to_string()));
            sys::exit_now(126);
        }
    }
    let error = exec(command);
    say(&Said::NotStarted(error.to_string()));
    sys::exit_now(127)
}

fn inside(fence: &Fence, parent: Pid) -> Result<Vec<Missing>, FenceError> {
    let missing = enter::enter(fence)?;
    let failed = |error: rustix::io::Errno| FenceError::step("ending with the parent", error);
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed)?;
    if rustix::process::getppid() != Some(parent) {
        sys::exit_now(126);
    }
    Ok(missing)
}

fn exec(command: &Command) -> io::Error {
    let mut program = std::process::Command::new(&command.program);
    program.args(&command.args).env_clear().envs(&command.env);
    if let Some(cwd) = &command.cwd {
        program.current_dir(cwd);
    }
    sys::default_signals();
    program.exec()
}

/// What the child said: its last line counts.
fn heard(mut from_child: io::PipeReader) -> Result<Said, FenceError> {
    let mut text = String::new();
    from_child.read_to_string(&mut text).map_err(|error| FenceError::step("hearing from the child", error))?;
    let line = text.lines().last().ok_or_else(|| FenceError::step("inside", "the child ended before it was there"))?;
    serde_json::from_str(line).map_err(|error| FenceError::step("hearing from the child", error))
}

/// Waits for the end of the program; meanwhile passes signals on and collects what else ended.
fn wait(signals: &Signals, child: u32) -> Result<Status, FenceError> {
    loop {
        if let Some(status) = collect(child) {
            return Ok(status);
        }
        let mut sources = [PollFd::new(signals, PollFlags::IN)];
        match rustix::event::poll(&mut sources, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(FenceError::step("waiting", error)),
        }
        while let Some(came) = signals.next() {
            pass_on(came, child);
        }
    }
}

/// Collects every child that ended; says how the main one did.
fn collect(main: u32) -> Option<Status> {
    let mut ended = None;
    while let Ok(Some((pid, status))) = waitpid(None, WaitOptions::NOHANG) {
        if pid.as_raw_nonzero().get().unsigned_abs() == main {
            let status = std::process::ExitStatus::from_raw(status.as_raw());
            ended = status.code().map(Status::Code).or_else(|| status.signal().map(Status::Signal));
        }
    }
    ended
}

/// A terminal sends its signals to the whole foreground group, so that the program has them already; that it hung up it tells
/// only the leader of the session, which may be this process.
fn pass_on(came: Came, child: u32) {
    let passed = PASSED.contains(&came.signal) && (came.by_process || matches!(came.signal, libc::SIGHUP | libc::SIGCONT));
    let pid = i32::try_from(child).ok().and_then(Pid::from_raw);
    if let (true, Some(pid), Some(signal)) = (passed, pid, Signal::from_named_raw(came.signal)) {
        // It may have ended just now.
        _ = kill_process(pid, signal);
    }
}
