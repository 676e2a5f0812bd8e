//! Everything that only Linux has: inotify, `/proc`, handles of processes, the subreaper, proportional memory.
//!
//! Another system needs another file of this form and nothing else.

mod newcomers;
mod opens;
mod sockets;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use futures::{FutureExt, StreamExt};
use inotify::{EventStream, Inotify, WatchMask};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::IFlags;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions};
use rustix::time::{ClockId, clock_gettime};

use crate::short_file;

pub use newcomers::Newcomers;
pub use opens::Opens;
pub use sockets::{process_at, processes_at};

/// Waits for changes in folders and files.
pub struct Watcher {
    stream: EventStream<Vec<u8>>,
}

impl Watcher {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// When the machine allows no further inotify instance.
    pub fn new() -> io::Result<Self> {
        Ok(Self { stream: Inotify::init()?.into_event_stream(vec![0; 8192])? })
    }

    /// Watches a file being written, or a folder's entries being written, made, renamed into place or removed. Watching twice is
    /// harmless; what is missing is passed over.
    ///
    /// # Errors
    /// When the limit of watches is reached.
    pub fn watch(&self, path: &Path) -> io::Result<()> {
        let mask = WatchMask::MODIFY | WatchMask::CREATE | WatchMask::MOVED_TO | WatchMask::DELETE;
        match self.stream.watches().add(path, mask) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Waits until something changed; takes all changes that are there.
    ///
    /// # Errors
    /// When the kernel's queue cannot be read.
    pub async fn changed(&mut self) -> io::Result<()> {
        let mut next = self.stream.next().await;
        while let Some(event) = next {
            event?;
            next = self.stream.next().now_or_never().flatten();
        }
        Ok(())
    }
}

/// A process as `/proc` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent's id.
    pub parent: u32,
    /// `R`, `S`, `Z`, …
    pub state: char,
    /// When it began, in clock ticks since boot: with the id, names one process for ever.
    pub started: u64,
    /// The file name of its program, or what it calls itself, cut to 15 bytes (proc_pid_comm(5)).
    pub name: String,
    /// Whether it has a controlling terminal.
    pub has_terminal: bool,
}

/// All processes that can be seen now.
pub fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(process).collect()
}

/// The ids of all processes that can be seen now, in ascending order.
pub fn process_ids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut ids: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    ids.sort_unstable();
    ids
}

/// Clock ticks a second, as `/proc` counts them on every system (proc_pid_stat(5), `sysconf(_SC_CLK_TCK)`).
const TICKS: f64 = 100.0;

/// How long ago the system was started, in seconds: the clock by which `/proc` states when processes began.
pub fn uptime() -> f64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

impl Process {
    /// How long the process had been there, in seconds, when the system had been up for `uptime` seconds.
    pub fn age_at(&self, uptime: f64) -> f64 {
        (uptime - self.started as f64 / TICKS).max(0.0)
    }
}

/// How long ago a process began, in seconds.
pub fn age(process: &Process) -> f64 {
    process.age_at(uptime())
}

/// Processor seconds that a process has used, in user mode and in the kernel, to 10 ms; its children not counted.
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = stat(pid)?;
    let fields = stat_fields(&stat)?;
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some((ticks(11)? + ticks(12)?) as f64 / TICKS)
}

fn stat(pid: u32) -> Option<String> {
    // 52 numbers of at most 20 digits and a name.
    short_file::read::<2048>(Path::new(&format!("/proc/{pid}/stat")))
}

/// The fields from the third on: the second, the name in parentheses, may hold anything, so they are counted from its end
/// (proc_pid_stat(5)).
fn stat_fields(stat: &str) -> Option<Vec<&str>> {
    Some(stat.get(stat.rfind(')')? + 1..)?.split_whitespace().collect())
}

/// One process; absent when it is gone.
pub fn process(pid: u32) -> Option<Process> {
    let stat = stat(pid)?;
    let fields = stat_fields(&stat)?;
    Some(Process {
        pid,
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
        has_terminal: fields.get(4).is_some_and(|terminal| *terminal != "0"),
        name: stat.get(stat.find('(')? + 1..stat.rfind(')')?)?.to_owned(),
    })
}

/// The name of a process as in [`Process::name`], for much less work, and for next to none when it is asked again.
#[derive(Debug)]
pub struct ProcessName(fs::File);

impl ProcessName {
    /// Where the name of a process stands; absent when it is gone.
    pub fn of(pid: u32) -> Option<Self> {
        fs::File::open(format!("/proc/{pid}/comm")).ok().map(Self)
    }

    /// What it is called now; absent when it is gone, also when another process has its id.
    pub fn now(&self) -> Option<String> {
        short_file::again::<64>(&self.0).map(|name| name.trim_end_matches('\n').to_owned())
    }
}

/// One process, also when another one has its id later. Whether it lives is asked of the kernel for much less work than `/proc` takes.
#[derive(Debug)]
pub struct ProcessHandle(OwnedFd);

impl ProcessHandle {
    /// A handle of this very process; absent when it is gone, or where the kernel gives none (before Linux 5.3, or forbidden).
    pub fn of(wanted: &Process) -> Option<Self> {
        let handle = rustix::process::pidfd_open(known_pid(wanted.pid)?, PidfdFlags::empty()).ok()?;
        process(wanted.pid).filter(|found| found.started == wanted.started).map(|_| Self(handle))
    }

    /// Asks it to end, or (`hard`) ends it; `false` when it is gone already or may not be signalled. Another process that has its id by
    /// now is never meant.
    pub fn end(&self, hard: bool) -> bool {
        rustix::process::pidfd_send_signal(&self.0, if hard { Signal::KILL } else { Signal::TERM }).is_ok()
    }

    /// Whether it has not ended: a zombie has.
    pub fn lives(&self) -> bool {
        let mut asked = [PollFd::new(&self.0, PollFlags::IN)];
        // A handle becomes readable when its process ends (pidfd_open(2)).
        matches!(rustix::event::poll(&mut asked, Some(&Timespec::default())), Ok(0))
    }
}

/// A process's working directory; absent when it is gone or may not be read.
pub fn working_directory(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// A process's environment as it was when its program began; empty when it may not be read.
pub fn environment(pid: u32) -> BTreeMap<String, String> {
    Variables::of(pid).all().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The environment as in [`environment`], for whoever asks for one or two variables of many processes.
#[derive(Debug)]
pub struct Variables(String);

impl Variables {
    /// Reads them; there are none when the process is gone, is just becoming another program, or may not be read.
    pub fn of(pid: u32) -> Self {
        Self(short_file::whole(Path::new(&format!("/proc/{pid}/environ"))).unwrap_or_default())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of one.
    pub fn get(&self, wanted: &str) -> Option<&str> {
        self.all().find(|(key, _)| *key == wanted).map(|(_, value)| value)
    }

    fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.split('\0').filter_map(|pair| pair.split_once('='))
    }
}

/// A process's command line, its arguments separated by spaces.
pub fn command_line(pid: u32) -> String {
    arguments(pid).join(" ")
}

/// A process's program and arguments; none when it is gone or dead.
pub fn arguments(pid: u32) -> Vec<String> {
    let text = short_file::whole(Path::new(&format!("/proc/{pid}/cmdline"))).unwrap_or_default();
    let text = text.trim_end_matches('\0');
    if text.is_empty() { Vec::new() } else { text.split('\0').map(str::to_owned).collect() }
}

/// The processes that stem from any of `roots`, without the roots.
pub fn descendants(all: &[Process], roots: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    loop {
        let more: Vec<u32> = all
            .iter()
            .filter(|p| {
                (roots.contains(&p.parent) || found.contains(&p.parent)) && !roots.contains(&p.pid) && !found.contains(&p.pid)
            })
            .map(|p| p.pid)
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// Makes orphans of this process's descendants its own children, so that none escapes by double forking.
///
/// # Errors
/// When the kernel refuses.
pub fn become_subreaper() -> io::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(io::Error::from)
}

/// Asks a process to end, or (`hard`) ends it; `false` when it is gone already or may not be signalled.
pub fn end(pid: u32, hard: bool) -> bool {
    signal(pid, if hard { Signal::KILL } else { Signal::TERM })
}

/// Stops a process until somebody continues it; `false` when it is gone or may not be signalled.
pub fn freeze(pid: u32) -> bool {
    signal(pid, Signal::STOP)
}

/// Continues a stopped process; `false` when it is gone or may not be signalled.
pub fn thaw(pid: u32) -> bool {
    signal(pid, Signal::CONT)
}

fn signal(pid: u32, signal: Signal) -> bool {
    known_pid(pid).is_some_and(|pid| rustix::process::kill_process(pid, signal).is_ok())
}

/// Asks the parent of a fence to end the program in it by force, and everything that is left.
pub fn ask_fence_to_end(pid: u32) {
    signal(pid, Signal::ALARM);
}

/// Ends a whole process group at once.
pub fn kill_group(leader: u32) {
    if let Some(pid) = known_pid(leader) {
        _ = rustix::process::kill_process_group(pid, Signal::KILL);
    }
}

fn known_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().filter(|pid| *pid > 1).and_then(Pid::from_raw)
}

/// Whether a child of this process is dead and not collected, which stays so. Looking at all of them for it would be a large part of what a
/// run costs.
fn has_dead_children() -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(rustix::process::waitid(WaitId::All, look), Ok(Some(_)))
}

/// The ids of this process's children; where the kernel does not list them by parent (`CONFIG_PROC_CHILDREN`), of all processes.
fn children() -> Vec<u32> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists: Vec<String> = threads.filter_map(|thread| short_file::whole(&thread.path().join("children"))).collect();
    if lists.is_empty() {
        return process_ids();
    }
    lists.iter().flat_map(|list| list.split_whitespace()).filter_map(|pid| pid.parse().ok()).collect()
}

/// Collects orphans that ended: without it their ids stay taken, and whoever waits for them to be gone waits for ever.
#[derive(Default)]
pub struct Reaper {
    before: BTreeSet<u32>,
}

impl Reaper {
    /// Collects the children of this process that have been dead since the last call and are not in `own`, which somebody waits for.
    pub fn collect(&mut self, own: &BTreeSet<u32>) {
        if !has_dead_children() {
            self.before.clear();
            return;
        }
        let me = std::process::id();
        let orphans = children().into_iter().filter(|pid| !own.contains(pid)).filter_map(process);
        let dead: BTreeSet<u32> = orphans.filter(|p| p.parent == me && p.state == 'Z').map(|p| p.pid).collect();
        for pid in dead.intersection(&self.before) {
            _ = rustix::process::waitpid(known_pid(*pid), WaitOptions::NOHANG);
        }
        self.before = dead;
    }
}

/// Proportional memory of a process in KiB: its private pages and its share of those that others map too.
pub fn proportional_memory_kib(pid: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What the machine is: `os`, `kernel`, `cpu`, `cores`.
pub fn machine() -> BTreeMap<String, String> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let quoted =
        |text: String, key: &str| text.lines().find_map(|line| Some(line.strip_prefix(key)?.trim_matches('"').to_owned()));
    let cpu = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim().to_owned()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    BTreeMap::from([
        ("os".to_owned(), quoted(read("/etc/os-release"), "PRETTY_NAME=").unwrap_or_else(|| "Linux".into())),
        ("kernel".to_owned(), read("/proc/sys/kernel/osrelease").trim().to_owned()),
        ("cpu".to_owned(), cpu.unwrap_or_else(|| std::env::consts::ARCH.into())),
        ("cores".to_owned(), cores.to_string()),
    ])
}

/// How many files this process may have open.
pub fn descriptor_limit() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Most descriptors that are asked for: programs that close every possible one when they start another would take seconds with more.
const DESCRIPTORS: u64 = 1 << 16;

/// Lets this process open as many files as it may, within reason. Where that is refused the limit stays what it was.
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let most = maximum.map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
    if current.is_some_and(|current| current < most) {
        _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum });
    }
}

/// Finds a program on a search path, as `execvp` would; gives its absolute path, since what is started begins elsewhere.
pub fn find_program(name: &str, path: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let runnable = |file: &PathBuf| fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    let found = if name.contains('/') {
        Some(PathBuf::from(name)).filter(runnable)
    } else {
        std::env::split_paths(&OsString::from(path)).map(|folder| folder.join(name)).find(runnable)
    };
    found.and_then(|file| std::path::absolute(file).ok())
}

/// TCP ports on which somebody listens, on any address.
pub fn listening_ports() -> BTreeSet<u16> {
    const LISTENING: &str = "0A";
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let port = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state) = (fields.get(1)?, fields.get(3)?);
        (*state == LISTENING).then(|| u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()).flatten()
    };
    tables.iter().flat_map(|table| table.lines().filter_map(port)).collect()
}

/// Asks the disk to lay the folders in this one far from each other, where it can (ext4; `chattr +T`).
///
/// ext4 does not give the inode of a removed file to a new one for a minute or more, and looks for another one among its neighbours: where
/// thousands were just removed, making a file costs ten times as much.
pub fn spread(folder: &Path) {
    let Ok(open) = fs::File::open(folder) else { return };
    // A disk that knows no such thing needs none.
    if let Ok(flags) = rustix::fs::ioctl_getflags(&open).map(|flags| flags | IFlags::TOPDIR) {
        _ = rustix::fs::ioctl_setflags(&open, flags);
    }
}

/// The range of ports that the system hands out to whoever does not name one.
pub fn handed_out_ports() -> std::ops::RangeInclusive<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_whitespace().filter_map(|word| word.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(first), Some(last)) => first..=last,
        _ => 32_768..=60_999,
    }
}

/// The id of the user that this process acts for.
pub fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn cpu_seconds_grow_with_work_and_not_with_waiting() {
        let own = || cpu_seconds(std::process::id()).unwrap();
        let before = own();
        while own() < before + 0.05 {
            std::hint::black_box((0..100_000_u64).sum::<u64>());
        }
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert_eq!(cpu_seconds(child.id()).map(|seconds| seconds < 0.05), Some(true));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(cpu_seconds(child.id()), None);
    }

    #[test]
    fn a_process_is_known_by_name_and_age_and_its_handle_tells_that_it_ended_before_it_is_collected() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let name = ProcessName::of(child.id()).unwrap();
        while name.now().as_deref() != Some("sleep") {
            std::thread::yield_now();
        }
        let found = process(child.id()).unwrap();
        assert!((0.0..30.0).contains(&age(&found)), "{} s", age(&found));
        let earlier = Process { started: found.started - 1, ..found.clone() };
        assert!(ProcessHandle::of(&earlier).is_none(), "another process had the id before");
        let handle = ProcessHandle::of(&found).unwrap();
        assert!(handle.lives());
        child.kill().unwrap();
        while handle.lives() {
            std::thread::yield_now();
        }
        assert_eq!(process(child.id()).map(|process| process.state), Some('Z'));
        child.wait().unwrap();
        assert!(!handle.lives() && ProcessHandle::of(&found).is_none());
        assert!(name.now().is_none() && ProcessName::of(child.id()).is_none());
    }
}
