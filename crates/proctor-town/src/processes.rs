//! Processes as Linux shows them below `/proc`: who lives, who belongs to a session, and ending them.
//!
//! Everything here is Linux only; nothing else in this crate is.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

/// How long a process may take to end after SIGTERM.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// How long processes that end together with their parent may take before they count as left behind.
const SETTLE: Duration = Duration::from_millis(100);

/// How often `/proc` is looked at while processes end; there is no event for processes that are not one's children.
const LOOK: Duration = Duration::from_millis(10);

/// A process that outlived its agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leftover {
    pub(crate) pid: u32,
    pub(crate) command: String,
}

/// The fields of `/proc/<pid>/stat` after the command: state, parent, process group, session.
fn stat(pid: u32) -> Option<(char, u32, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let group = fields.nth(1)?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    Some((state, group, session))
}

/// Whether the process lives; one that only waits to be reaped does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, ..)| state != 'Z' && state != 'X')
}

fn command(pid: u32) -> String {
    let raw = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&raw).trim_end_matches('\0').replace('\0', " ")
}

fn carries(pid: u32, variable: &str) -> bool {
    let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environ.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
}

/// Living processes of the session or group `leader`, or that carry `variable` (`GT_RUN=…`), the leader not counted.
fn belonging(leader: u32, variable: &str) -> Vec<Leftover> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let others = pids.filter(|pid| *pid != leader && *pid != std::process::id());
    let theirs = others.filter(|pid| match stat(*pid) {
        Some((state, group, session)) if state != 'Z' && state != 'X' => {
            group == leader || session == leader || carries(*pid, variable)
        }
        _ => false,
    });
    theirs.map(|pid| Leftover { pid, command: command(pid) }).collect()
}

/// Blocks until the child has ended, without reaping it, so that its number stays taken; says how it ended.
pub(crate) fn wait_for_end(pid: u32) -> String {
    let status =
        to_pid(pid).and_then(|pid| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).ok().flatten());
    match status {
        Some(status) => match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => format!("exit {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "ended".to_string(),
        },
        None => "lost".to_string(),
    }
}

fn to_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// Sends SIGTERM, or SIGKILL, to the process group of `leader`.
pub(crate) fn signal_group(leader: u32, kill: bool) {
    if let Some(pid) = to_pid(leader) {
        let _ = kill_process_group(pid, if kill { Signal::KILL } else { Signal::TERM });
    }
}

/// Sends SIGTERM, or SIGKILL, to one process.
pub(crate) fn signal(pid: u32, kill: bool) {
    if let Some(pid) = to_pid(pid) {
        let _ = kill_process(pid, if kill { Signal::KILL } else { Signal::TERM });
    }
}

/// Ends what an ended agent left behind and says what that was.
pub(crate) fn end_leftovers(leader: u32, variable: &str) -> Vec<Leftover> {
    wait_until(SETTLE, || belonging(leader, variable).is_empty());
    let left = belonging(leader, variable);
    if left.is_empty() {
        return left;
    }
    for process in &left {
        signal(process.pid, false);
    }
    if !wait_until(GRACE, || belonging(leader, variable).is_empty()) {
        for process in belonging(leader, variable) {
            signal(process.pid, true);
        }
    }
    left
}

/// Waits until `condition` holds, at most `limit`; says whether it held.
pub(crate) fn wait_until(limit: Duration, condition: impl Fn() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !condition() {
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}

/// The machine's name.
pub(crate) fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_string()
}

/// Whether `program` is found on `path` (as `PATH` lists folders) or is itself a path to a file.
pub(crate) fn which(program: &str, path: &str) -> Option<std::path::PathBuf> {
    if program.contains('/') {
        return Path::new(program).is_file().then(|| program.into());
    }
    path.split(':').map(|dir| Path::new(dir).join(program)).find(|candidate| candidate.is_file())
}
