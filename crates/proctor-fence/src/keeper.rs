//! One process inside a fence that starts programs for a process outside: all of them share its domain and its namespaces.
//!
//! Signals and abstract sockets are scoped to a domain, so programs that each went inside by themselves could not reach one
//! another.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, WaitOptions, getpid, setpgid, wait};
use serde::{Deserialize, Serialize};

use crate::channel::{Channel, Received};
use crate::run::{self, status_of};
use crate::start::{self, Work};
use crate::support::Missing;
use crate::sys::{self, Fork, Signals};
use crate::{Command, Fence, FenceError, Leftover, Status, descendants};

/// How long what is left may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);

/// A program that a keeper starts. Its three standard streams travel with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The program; one without a slash is looked for in its own `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// Its working directory; absent: the keeper's.
    pub cwd: Option<PathBuf>,
}

/// What is said to a keeper.
#[derive(Debug, Serialize, Deserialize)]
enum Asked {
    /// Start the [`Order`] in the first descriptor, as leader of a process group, with the other three as standard streams.
    Start(u64),
    /// Go on when nobody listens any more.
    Stay,
    /// End everything, and yourself.
    End,
}

/// What a keeper says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum News {
    /// It is inside, without what is missing.
    Ready(Vec<Missing>),
    /// It cannot be inside.
    Failed(String),
    /// A program was started.
    Started {
        /// The number of the order.
        id: u64,
        /// Its process, the leader of a group.
        pid: u32,
    },
    /// A program could not be started.
    NotStarted {
        /// The number of the order.
        id: u64,
        /// The number of the system's error; 0 when it has none.
        error: i32,
        /// The error.
        reason: String,
    },
    /// A program ended.
    Ended {
        /// The number of the order.
        id: u64,
        /// How.
        status: Status,
    },
    /// The keeper has ended everything, at the end this, and ends.
    Gone(Vec<Leftover>),
}

/// The end of the line to a keeper that a process outside holds. When it is closed, the keeper ends everything below it.
#[derive(Debug)]
pub struct Line(Channel);

impl Line {
    /// A new line, and its other end: the standard input of `proctor-fence --keeper`.
    ///
    /// # Errors
    /// When no more descriptors can be had.
    pub fn new() -> io::Result<(Self, OwnedFd)> {
        let (mine, its) = Channel::pair()?;
        Ok((Self(mine), its.into_inner()))
    }

    /// Asks for a program. What came of it is the news of that number.
    ///
    /// # Errors
    /// When the keeper is gone, or the order cannot be written down.
    pub fn start(&self, id: u64, order: &Order, streams: [BorrowedFd<'_>; 3]) -> io::Result<()> {
        // An environment may be longer than a message.
        let mut file = File::from(memfd_create(c"order", MemfdFlags::CLOEXEC)?);
        serde_json::to_writer(&mut file, order)?;
        file.flush()?;
        let [input, output, errors] = streams;
        self.0.send(&Asked::Start(id), &[file.as_fd(), input, output, errors])
    }

    /// Asks the keeper to go on when this line is closed, until nothing is left below it.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub fn stay(&self) -> io::Result<()> {
        self.0.send(&Asked::Stay, &[])
    }

    /// Asks the keeper to end everything below it.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub fn end(&self) -> io::Result<()> {
        self.0.send(&Asked::End, &[])
    }

    /// The next news that is there already.
    ///
    /// # Errors
    /// `UnexpectedEof` when the keeper is gone.
    pub fn news(&self) -> io::Result<Option<News>> {
        match self.0.receive()? {
            Received::Message((news, _)) => Ok(Some(news)),
            Received::Nothing => Ok(None),
            Received::Closed => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Keeps a keeper inside the fence that serves this line, and stays outside as its parent until it ends. A PID namespace is not
/// made: the process at the other end of the line must see the same ids.
///
/// # Errors
/// When the fence cannot be set up; the line says so, too.
pub fn keep(fence: &Fence, line: OwnedFd, clock: fn() -> chrono::DateTime<chrono::Utc>) -> Result<(), FenceError> {
    run::one_thread()?;
    let mut fence = fence.clone();
    if let Some(namespaces) = &mut fence.namespaces {
        namespaces.processes = false;
    }
    let line = Channel::of(line);
    let signals = run::supervise()?;
    let started = match start::start(&fence, &Keeper { line: &line }) {
        Ok(started) => started,
        Err(error) => {
            _ = line.send(&News::Failed(error.to_string()), &[]);
            return Err(error);
        }
    };
    // Whoever listens can wait for this only: a line that broke has an end of its own.
    _ = line.send(&News::Ready(started.missing.clone()), &[]);
    drop(line);
    run::look_after(&fence, signals, started, GRACE, clock).map(drop)
}

/// What the process inside does.
struct Keeper<'a> {
    line: &'a Channel,
}

impl Work for Keeper<'_> {
    fn go(&self, _: &Channel, _: bool) -> ! {
        let Ok(signals) = run::supervise() else { sys::exit_now(126) };
        let mut service = Service { line: self.line, signals, running: BTreeMap::new(), stays: false, listened: true };
        service.serve();
        let leftovers = descendants::end_all(GRACE, None, None, || service.a_little());
        _ = self.line.send(&News::Gone(leftovers), &[]);
        sys::exit_now(0)
    }
}

/// A keeper at work.
struct Service<'a> {
    line: &'a Channel,
    signals: Signals,
    /// Numbers of orders by the processes that they became.
    running: BTreeMap<u32, u64>,
    stays: bool,
    listened: bool,
}

impl Service<'_> {
    /// Starts what is asked for and tells what ended, until it is told to end or nobody is left to listen.
    fn serve(&mut self) {
        loop {
            let mut sources = vec![PollFd::new(&self.signals, PollFlags::IN)];
            if self.listened {
                sources.push(PollFd::new(self.line, PollFlags::IN));
            }
            _ = rustix::event::poll(&mut sources, None);
            drop(sources);
            let mut told_to_end = false;
            while let Some(came) = self.signals.next() {
                told_to_end |= came.signal == libc::SIGTERM && came.by_process;
            }
            let nothing_left = self.collect();
            told_to_end |= self.listened && !self.hear();
            if told_to_end || (!self.listened && nothing_left) {
                return;
            }
        }
    }

    /// Tells of everything that ended; says whether nothing is left.
    fn collect(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let id = self.running.remove(&pid.as_raw_nonzero().get().unsigned_abs());
                    if let (Some(id), Some(status)) = (id, status_of(status.as_raw())) {
                        _ = self.line.send(&News::Ended { id, status }, &[]);
                    }
                }
                Ok(None) => return false,
                Err(error) => return error == rustix::io::Errno::CHILD,
            }
        }
    }

    /// Does what is asked; says whether to go on.
    fn hear(&mut self) -> bool {
        loop {
            match self.line.receive::<Asked>() {
                Ok(Received::Message((Asked::Start(id), descriptors))) => self.start(id, descriptors),
                Ok(Received::Message((Asked::Stay, _))) => self.stays = true,
                Ok(Received::Message((Asked::End, _))) => return false,
                Ok(Received::Nothing) => return true,
                Ok(Received::Closed) | Err(_) => {
                    self.listened = false;
                    return self.stays;
                }
            }
        }
    }

    fn start(&mut self, id: u64, descriptors: Vec<OwnedFd>) {
        let news = match spawn(descriptors) {
            Ok(pid) => {
                self.running.insert(pid, id);
                News::Started { id, pid }
            }
            Err(error) => News::NotStarted { id, error: error.raw_os_error().unwrap_or_default(), reason: error.to_string() },
        };
        _ = self.line.send(&news, &[]);
    }

    fn a_little(&self) {
        let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        _ = rustix::event::poll(&mut [PollFd::new(&self.signals, PollFlags::IN)], Some(&timeout));
        while self.signals.next().is_some() {}
    }
}

/// Starts the program that is written down in the first descriptor.
fn spawn(descriptors: Vec<OwnedFd>) -> io::Result<u32> {
    let [order, input, output, errors] =
        <[OwnedFd; 4]>::try_from(descriptors).map_err(|_| io::Error::other("an order comes with four descriptors"))?;
    let command = command(order)?;
    let (mut failure, failed) = io::pipe()?;
    let keeper = getpid();
    let pid = match sys::fork()? {
        Fork::Child => {
            drop(failure);
            let error = become_it(&command, keeper, [input, output, errors]);
            _ = (&failed).write_all(&error.raw_os_error().unwrap_or(libc::EIO).to_ne_bytes());
            sys::exit_now(127)
        }
        Fork::Parent(pid) => pid,
    };
    drop(failed);
    let mut said = Vec::new();
    failure.read_to_end(&mut said)?;
    match <[u8; 4]>::try_from(said) {
        Ok(error) => Err(io::Error::from_raw_os_error(i32::from_ne_bytes(error))),
        Err(_) => Ok(pid),
    }
}

fn command(order: OwnedFd) -> io::Result<Command> {
    let mut file = File::from(order);
    file.rewind()?;
    let Order { program, args, env, cwd } = serde_json::from_reader(io::BufReader::new(file))?;
    Ok(Command {
        program: program.into(),
        args: args.into_iter().map(Into::into).collect(),
        env: env.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
        cwd,
        grace: GRACE,
        clock: chrono::Utc::now,
    })
}

fn become_it(command: &Command, keeper: Pid, [input, output, errors]: [OwnedFd; 3]) -> io::Error {
    let streams = rustix::stdio::dup2_stdin(&input)
        .and_then(|()| rustix::stdio::dup2_stdout(&output))
        .and_then(|()| rustix::stdio::dup2_stderr(&errors))
        .and_then(|()| setpgid(None, None));
    match streams {
        Ok(()) => start::become_program(command, Some(keeper)),
        Err(error) => error.into(),
    }
}
