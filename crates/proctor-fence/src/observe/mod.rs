//! What is refused, seen from outside: the parent is asked about calls before the kernel does them, and writes down those that
//! the fence does not allow. Landlock, not this, refuses what touches files and ports: what a thread has in its memory can
//! change after it was read. Only what this kernel's Landlock knows nothing of is refused here, for want of anything better.

pub(crate) mod calls;
mod memory;
mod record;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::paths::{self, Own};
use crate::sys::{self, Asked, Reply};
use crate::{Fence, Mode, descendants, filter};
use calls::{Touch, WRITES, Whom};
use memory::{Address, Caller, Memories};
use record::{Record, Refused};

pub use record::{Refusal, Tried};

/// Since which version Landlock refuses what touches files, cuts them, goes to TCP ports, signals, and connects to a socket's file.
const FILES: u32 = 1;
const TRUNCATES: u32 = 3;
const PORTS: u32 = 4;
const SCOPES: u32 = 6;
const SOCKETS: u32 = 9;

/// The process that went inside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root {
    pub(crate) pid: u32,
    /// Whether it is the first of a PID namespace.
    pub(crate) is_init: bool,
}

/// Answers the calls of everything inside.
pub(crate) struct Observer {
    listener: OwnedFd,
    enforces: bool,
    root: Root,
    readable: Vec<PathBuf>,
    writable: Vec<PathBuf>,
    /// Folders that are empty inside, and may not be so outside.
    private: Vec<PathBuf>,
    connect: Vec<u16>,
    bind: Vec<u16>,
    scoped: bool,
    /// The version of Landlock; 0: there is none.
    landlock: u32,
    processes: Processes,
    record: Record,
    memories: Memories,
}

/// How many processes there may be, and how many there were.
struct Processes {
    most: Option<u64>,
    /// At least as many as there are: counting looks at every process of the machine.
    estimate: u64,
}

impl AsFd for Observer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Observer {
    pub(crate) fn new(listener: OwnedFd, fence: &Fence, own: &Own, root: Root, clock: fn() -> DateTime<Utc>) -> Self {
        sys::wake_in_sync(listener.as_fd());
        let devices = fence.devices();
        let writable: Vec<PathBuf> = real(fence.write.iter().chain(&own.write).chain(&devices));
        let readable = real(paths::readable(fence).iter().chain(&own.read).chain(&writable));
        Self {
            listener,
            enforces: fence.mode == Mode::On,
            root,
            readable,
            writable,
            private: own.write.clone(),
            connect: fence.connect.clone(),
            bind: fence.bind.clone(),
            scoped: fence.signals == crate::Signals::Inside,
            landlock: sys::landlock_abi().unwrap_or_default(),
            processes: Processes { most: fence.limits.processes, estimate: 0 },
            record: Record::new(fence.refusals.as_deref(), fence.agent.clone(), clock),
            memories: Memories::default(),
        }
    }

    /// Takes one question and answers it.
    pub(crate) fn answer(&mut self) {
        // Whoever asked may be gone by now.
        let Ok(asked) = sys::next_asked(self.listener.as_fd()) else { return };
        let reply = self.decide(&asked);
        _ = sys::reply(self.listener.as_fd(), asked.id, reply);
    }

    fn decide(&mut self, asked: &Asked) -> Reply {
        let namespaces = asked.arguments.first().is_some_and(|flags| filter::makes_namespaces(*flags));
        match calls::touch(asked.call) {
            Some(Touch::Fork) if !(asked.call == libc::SYS_clone && namespaces) => self.fork(asked),
            Some(Touch::Fork) | None => self.never(asked),
            Some(touch) => {
                let mut memories = std::mem::take(&mut self.memories);
                let refused = self.refused(asked, touch, &mut memories);
                if matches!(touch, Touch::Execute { .. }) {
                    memories.forget(asked.pid);
                }
                self.memories = memories;
                let Some(refused) = refused else { return Reply::Continue };
                let reply = self.reply(touch, &refused);
                self.note(asked, refused);
                reply
            }
        }
    }

    /// The kernel refuses what its Landlock knows, and nothing can get past that. Mounts may refuse more, but inside a town's fence
    /// an agent's has none of its own.
    fn reply(&self, touch: Touch, refused: &Refused) -> Reply {
        let Refused { what, target, .. } = refused;
        // Of what nothing is seen the kernel says that it is not there.
        if refused.unseen || *what == Tried::Signalled {
            return Reply::Continue;
        }
        let since = match (touch, what) {
            (Touch::Describe { .. }, _) => return if self.enforces { Reply::Refuse(libc::EPERM) } else { Reply::Continue },
            (Touch::Truncate { .. }, _) => TRUNCATES,
            (Touch::Connect, _) if target.starts_with('/') => SOCKETS,
            (Touch::Connect, _) | (Touch::Bind, Tried::Bind) => PORTS,
            (Touch::Signal { .. }, _) => SCOPES,
            _ => FILES,
        };
        let errno = if matches!(touch, Touch::Signal { .. }) { libc::EPERM } else { libc::EACCES };
        if self.enforces && self.landlock < since { Reply::Refuse(errno) } else { Reply::Continue }
    }

    fn note(&mut self, asked: &Asked, refused: Refused) {
        let program = memory::program(asked.pid);
        // What was read may be another process's, when this one ended meanwhile.
        if sys::still_asks(self.listener.as_fd(), asked.id) {
            self.record.note(asked.pid, program, refused);
        }
    }

    fn never(&mut self, asked: &Asked) -> Reply {
        let target = match asked.call {
            libc::SYS_socket => socket(&asked.arguments),
            call => filter::name(call).to_owned(),
        };
        let what = if asked.call == libc::SYS_socket { Tried::Connect } else { Tried::Call };
        self.note(asked, Refused::new(what, target));
        if self.enforces { Reply::Refuse(libc::EPERM) } else { Reply::Continue }
    }

    fn fork(&mut self, asked: &Asked) -> Reply {
        let Some(most) = self.processes.most else { return Reply::Continue };
        self.processes.estimate += 1;
        if self.processes.estimate >= most {
            self.processes.estimate = descendants::below(self.root.pid).len() as u64 + 1;
        }
        if self.processes.estimate < most {
            return Reply::Continue;
        }
        self.note(asked, Refused::new(Tried::Process, format!("more than {most} processes")));
        Reply::Refuse(libc::EAGAIN)
    }

    /// What the fence refuses of a call.
    fn refused(&self, asked: &Asked, touch: Touch, memories: &mut Memories) -> Option<Refused> {
        let caller = Caller::of(asked.pid, memories);
        let argument = |at: usize| asked.arguments.get(at).copied().unwrap_or_default();
        let path = |folder: Option<usize>, at: usize| caller.path(folder.map(argument), argument(at));
        let opened = |path: PathBuf, flags: u32| {
            let writes = flags & WRITES != 0;
            if writes { self.changed(&caller, &path) } else { self.read(&caller, &path) }
        };
        match touch {
            Touch::Open { folder, path: at, flags } => opened(path(folder, at)?, argument(flags) as u32),
            Touch::OpenHow { folder, path: at, how } => opened(path(Some(folder), at)?, caller.open_how(argument(how))? as u32),
            Touch::Execute { folder, path: at } => self.read(&caller, &path(folder, at)?),
            Touch::Change { folder, path: at } | Touch::Describe { folder, path: at } => {
                self.changed(&caller, &path(folder, at)?)
            }
            Touch::Make { folder, path: at } => {
                let refused = self.changed(&caller, &path(folder, at)?)?;
                (refused.unseen || std::fs::symlink_metadata(&refused.target).is_err()).then_some(refused)
            }
            Touch::Truncate { path: at } => self.changed(&caller, &path(None, at)?),
            Touch::Move { from, to } => {
                let first = self.changed(&caller, &path(from.0, from.1)?);
                first.or_else(|| self.changed(&caller, &path(to.0, to.1)?))
            }
            Touch::Connect => self.connected(&caller, caller.address(argument(1), argument(2))?),
            Touch::Bind => self.bound(&caller, caller.address(argument(1), argument(2))?),
            Touch::Signal { whom: Whom::Id, signal } => self.signalled(argument(0) as i32, argument(signal) as i32),
            Touch::Signal { whom: Whom::Handle, signal } => {
                self.signalled(memory::process_of_handle(asked.pid, argument(0) as i32)?, argument(signal) as i32)
            }
            Touch::Fork => None,
        }
    }

    fn read(&self, caller: &Caller<'_>, path: &Path) -> Option<Refused> {
        if let Some(refused) = self.looked_into(path) {
            return Some(refused);
        }
        if (lies_in(path, &self.readable) && !lies_in(path, &self.private)) || caller.is_about_itself(path) {
            return None;
        }
        // Hidden files are not there inside, but whoever names one that is there outside wants that one.
        let Some(found) = caller.existing(path) else { return self.unseen(Tried::Read, path) };
        (!lies_in(&found, &self.readable)).then(|| Refused::new(Tried::Read, found.to_string_lossy()))
    }

    fn changed(&self, caller: &Caller<'_>, path: &Path) -> Option<Refused> {
        if lies_in(path, &self.writable) {
            return None;
        }
        let Some(found) = caller.resolved(path) else { return self.unseen(Tried::Write, path) };
        (!lies_in(&found, &self.writable)).then(|| Refused::new(Tried::Write, found.to_string_lossy()))
    }

    /// What `/proc` says of a process's inside, which the kernel shows to whoever may trace it.
    fn looked_into(&self, path: &Path) -> Option<Refused> {
        let (pid, file) = inside_of(path).filter(|_| !self.root.is_init)?;
        let process = descendants::process_of(pid).filter(|_| INSIDE.contains(&file))?;
        if self.is_own(process) {
            return None;
        }
        Some(Refused { to: lineage(process), ..Refused::new(Tried::Read, path.to_string_lossy()) })
    }

    fn is_own(&self, process: u32) -> bool {
        process == self.root.pid || descendants::descends(process, self.root.pid)
    }

    fn unseen(&self, what: Tried, path: &Path) -> Option<Refused> {
        self.enforces.then(|| Refused { unseen: true, ..Refused::new(what, path.to_string_lossy()) })
    }

    fn connected(&self, caller: &Caller<'_>, address: Address) -> Option<Refused> {
        match address {
            Address::Port(address, port) if !self.connect.contains(&port) => {
                Some(Refused::new(Tried::Connect, shown(address, port)))
            }
            Address::Path(path) => self.changed(caller, &path).map(|refused| Refused { what: Tried::Connect, ..refused }),
            _ => None,
        }
    }

    fn bound(&self, caller: &Caller<'_>, address: Address) -> Option<Refused> {
        match address {
            Address::Port(address, port) if !self.bind.contains(&port) => Some(Refused::new(Tried::Bind, shown(address, port))),
            Address::Path(path) => self.changed(caller, &path),
            _ => None,
        }
    }

    /// A signal to a process that is not below the fence.
    fn signalled(&self, whom: i32, signal: i32) -> Option<Refused> {
        // In a PID namespace of its own a program can name nobody else, and the numbers mean others here. Zero is its own group.
        if self.root.is_init || whom == 0 {
            return None;
        }
        let what = if self.scoped { Tried::Signal } else { Tried::Signalled };
        let name = signal_name(signal);
        if whom == -1 {
            return Some(Refused::new(what, format!("{name} to every process")));
        }
        // A group bears the id of its first process.
        let target = descendants::process_of(whom.unsigned_abs())?;
        if self.is_own(target) {
            return None;
        }
        let to = lineage(target);
        let target = format!("{name} to {target} {}", brief(&descendants::command_line(target)));
        Some(Refused { to, ..Refused::new(what, target) })
    }
}

/// Files below `/proc/PID` that hold what only a process and its parents know (proc(5)).
const INSIDE: [&str; 8] = ["environ", "mem", "maps", "smaps", "auxv", "pagemap", "fd", "map_files"];

/// The process, or thread, and the name of the file in `/proc/PID/FILE…` or `/proc/PID/task/TID/FILE…`.
fn inside_of(path: &Path) -> Option<(u32, &str)> {
    let mut names = path.strip_prefix("/proc").ok()?.iter().map(|name| name.to_str().unwrap_or_default());
    let pid = names.next()?.parse().ok()?;
    match names.next()? {
        "task" => Some((names.next()?.parse().ok()?, names.next()?)),
        file => Some((pid, file)),
    }
}

/// A process, and those that it descends from.
fn lineage(process: u32) -> Vec<u32> {
    std::iter::once(process).chain(descendants::ancestors(process)).collect()
}

/// The beginning of a command line, on one line: what programs are called with may be long, and anything.
fn brief(command: &str) -> String {
    const LONGEST: usize = 100;
    let words = command.split(|letter: char| letter.is_whitespace() || letter.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// What a signal is called (signal(7)).
fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGABRT => "SIGABRT",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGTERM => "SIGTERM",
        libc::SIGCONT => "SIGCONT",
        libc::SIGSTOP => "SIGSTOP",
        libc::SIGTSTP => "SIGTSTP",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}

/// The paths, and where they lead to.
fn real<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = paths.flat_map(|path| [Some(path.clone()), std::fs::canonicalize(path).ok()]).flatten().collect();
    all.sort();
    all.dedup();
    all
}

fn lies_in(path: &Path, folders: &[PathBuf]) -> bool {
    folders.iter().any(|folder| path.starts_with(folder))
}

fn shown(address: std::net::IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

/// What a refused socket would have been.
fn socket(arguments: &[u64; 6]) -> String {
    let [family, kind, ..] = arguments.map(|one| one as u32 as i32);
    let kind = kind & 0xf;
    match (family, kind) {
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM) => "udp".into(),
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_RAW) => "raw ip".into(),
        _ => format!("socket family {family} type {kind}"),
    }
}
