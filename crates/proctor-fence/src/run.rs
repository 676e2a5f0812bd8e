//! The parent that stays outside: starts a program inside a fence, passes signals on, and ends what the program leaves behind.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, getpid, set_child_subreaper, wait};

use crate::channel::{Channel, Received};
use crate::descendants::CutOff;
use crate::observe::{Observer, Root};
use crate::start::{self, Said, Started, Work};
use crate::sys::{self, Came, Fork, Signals};
use crate::{Command, Ended, Fence, FenceError, Leftover, Missing, Status, descendants};

/// The signals that are passed on to the program.
const PASSED: [i32; 8] =
    [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGWINCH, libc::SIGUSR1, libc::SIGUSR2, libc::SIGCONT];

/// Those that tell a program to end.
const TOLD_TO_END: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// The signal that asks the parent outside to end the program by force, and everything that is left.
pub const END: i32 = libc::SIGALRM;

/// Runs a program inside a fence to its end, with the standard streams, process group and session of this process, and ends
/// what it leaves behind. Signals that ask this process to end are passed on to the program.
///
/// The program is killed when this process is. This process becomes a subreaper, and has to have one thread.
///
/// # Errors
/// When the fence cannot be set up or the program cannot be started.
pub fn run(fence: &Fence, command: &Command) -> Result<Ended, FenceError> {
    one_thread()?;
    let signals = supervise()?;
    let started = start::start(fence, &Program { command, parent: getpid() })?;
    match look_after(fence, signals, started, command.grace, command.clock)? {
        (End::Status(status), leftovers, missing) => Ok(Ended { status, leftovers, missing }),
        (End::NotStarted(reason), ..) => {
            Err(FenceError::Start { program: command.program.to_string_lossy().into_owned(), reason })
        }
    }
}

/// Looks after a process inside until it ends, and ends what it left behind.
pub(crate) fn look_after(
    fence: &Fence,
    signals: Signals,
    started: Started,
    grace: Duration,
    clock: fn() -> DateTime<Utc>,
) -> Result<(End, Vec<Leftover>, Vec<Missing>), FenceError> {
    let Started { pid, is_init, channel, listener, missing, own } = started;
    let observer = listener.map(|listener| Observer::new(listener, fence, &own, Root { pid, is_init }, clock));
    let supervisor = Supervisor {
        signals,
        child: pid,
        is_init,
        channel,
        speaks: Cell::new(true),
        observer: RefCell::new(observer),
        cut_off: RefCell::default(),
    };
    let end = supervisor.wait();
    let cut_off = supervisor.cut_off.take();
    let leftovers = descendants::end_all(grace, is_init.then_some(pid), cut_off.as_ref(), || supervisor.a_little());
    Ok((end?, leftovers, missing))
}

pub(crate) fn one_thread() -> Result<(), FenceError> {
    match fs::read_dir("/proc/self/task").map_or(1, Iterator::count) {
        1 => Ok(()),
        several => Err(FenceError::Threads(several)),
    }
}

/// Makes this process the one that orphans below it come to, and that is told of signals by a descriptor.
pub(crate) fn supervise() -> Result<Signals, FenceError> {
    set_child_subreaper(Pid::from_raw(1)).map_err(|error| FenceError::step("becoming a subreaper", error))?;
    let mut watched = PASSED.to_vec();
    watched.extend([libc::SIGCHLD, END]);
    Signals::of(&watched).map_err(|error| FenceError::step("watching signals", error))
}

/// What the process inside does: it becomes the program, or, as the first process of a PID namespace, its parent.
struct Program<'a> {
    command: &'a Command,
    parent: Pid,
}

impl Work for Program<'_> {
    fn go(&self, channel: &Channel, is_init: bool) -> ! {
        if is_init { self.be_first(channel) } else { self.become_it(channel, Some(self.parent)) }
    }
}

impl Program<'_> {
    fn become_it(&self, channel: &Channel, parent: Option<Pid>) -> ! {
        let error = start::become_program(self.command, parent);
        _ = channel.send(&Said::NotStarted(error.to_string()), &[]);
        sys::exit_now(127)
    }

    /// The kernel ends a PID namespace with its first process, and protects that one from signals that it does not expect: it
    /// must not be the program.
    fn be_first(&self, channel: &Channel) -> ! {
        let me = getpid();
        let (Ok(signals), Ok(fork)) = (supervise(), sys::fork()) else { sys::exit_now(126) };
        let child = match fork {
            Fork::Child => self.become_it(channel, Some(me)),
            Fork::Parent(child) => child,
        };
        let mut sources = [PollFd::new(&signals, PollFlags::IN)];
        loop {
            if let Some(status) = collect(child) {
                _ = channel.send(&Said::Ended(status), &[]);
            }
            _ = rustix::event::poll(&mut sources, None);
            while let Some(came) = signals.next() {
                pass_on(came, child, false);
            }
        }
    }
}

/// How it came to its end.
pub(crate) enum End {
    Status(Status),
    NotStarted(String),
}

/// Everything that the parent outside looks after.
struct Supervisor {
    signals: Signals,
    child: u32,
    /// Whether the child is the first process of a PID namespace, and the program its child.
    is_init: bool,
    channel: Channel,
    /// Whether the process inside, or what it became, can still say something.
    speaks: Cell<bool>,
    observer: RefCell<Option<Observer>>,
    /// Since the program was told to end last.
    cut_off: RefCell<Option<CutOff>>,
}

impl Supervisor {
    /// Waits for the end of the program; meanwhile passes signals on, answers about calls and collects what else ended.
    fn wait(&self) -> Result<End, FenceError> {
        loop {
            let collected = collect(self.child);
            let said = self.hear();
            if let Some(end) = said.or(collected.map(End::Status)) {
                return Ok(end);
            }
            // Most turns are questions, which change nothing of this.
            while !self.turn(None).map_err(|error| FenceError::step("waiting", error))? {}
        }
    }

    /// What the process inside says about its end, if it does.
    fn hear(&self) -> Option<End> {
        match self.channel.receive::<Said>() {
            Ok(Received::Message((Said::NotStarted(reason), _))) => Some(End::NotStarted(reason)),
            Ok(Received::Message((Said::Ended(status), _))) => Some(End::Status(status)),
            Ok(Received::Closed) => {
                self.speaks.set(false);
                None
            }
            _ => None,
        }
    }

    /// Waits for whatever happens next; says whether a process may have ended or spoken. Most turns are questions, each of which
    /// keeps a program waiting: they come to nothing else.
    fn turn(&self, timeout: Option<&rustix::event::Timespec>) -> io::Result<bool> {
        let mut observer = self.observer.borrow_mut();
        let signals = || PollFd::new(&self.signals, PollFlags::IN);
        // What is not asked stands for another that is, and its answer is not looked at.
        let asks = observer.as_ref().map_or_else(signals, |observer| PollFd::new(observer, PollFlags::IN));
        let speaks = if self.speaks.get() { PollFd::new(&self.channel, PollFlags::IN) } else { signals() };
        let mut sources = [signals(), asks, speaks];
        match rustix::event::poll(&mut sources, timeout) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // A channel whose other end is closed is not readable: it hangs up.
        let [came, asked, spoke] = sources.map(|source| source.revents());
        let (came, asked, spoke) = (!came.is_empty(), asked.contains(PollFlags::IN), !spoke.is_empty());
        if let Some(observer) = observer.as_mut().filter(|_| asked) {
            observer.answer();
        }
        while came && let Some(came) = self.signals.next() {
            // The orphans of a PID namespace go to its first process, so that they cannot be told there from what has a parent.
            if TOLD_TO_END.contains(&came.signal) && !self.is_init {
                *self.cut_off.borrow_mut() = Some(CutOff::now(self.child));
            }
            pass_on(came, self.child, self.is_init);
        }
        Ok(came || spoke)
    }

    /// A turn that does not take long.
    fn a_little(&self) {
        let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        _ = self.turn(Some(&timeout));
    }
}

/// Collects every child that ended; says how the main one did.
pub(crate) fn collect(main: u32) -> Option<Status> {
    let mut ended = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid.as_raw_nonzero().get().unsigned_abs() == main {
            ended = status_of(status.as_raw());
        }
    }
    ended
}

/// How a process ended, from what wait(2) says.
pub(crate) fn status_of(raw: i32) -> Option<Status> {
    let status = std::process::ExitStatus::from_raw(raw);
    status.code().map(Status::Code).or_else(|| status.signal().map(Status::Signal))
}

/// A terminal sends its signals to the whole foreground group, so that the program has them already; that it hung up it tells
/// only the leader of the session, which may be this process.
fn pass_on(came: Came, child: u32, is_init: bool) {
    if came.signal == END {
        // The first process of a PID namespace ends the program, and stays until what is left is named.
        return descendants::signal(child, if is_init { Signal::ALARM } else { Signal::KILL });
    }
    let passed = PASSED.contains(&came.signal) && (came.by_process || matches!(came.signal, libc::SIGHUP | libc::SIGCONT));
    if let (true, Some(signal)) = (passed, Signal::from_named_raw(came.signal)) {
        descendants::signal(child, signal);
    }
}
