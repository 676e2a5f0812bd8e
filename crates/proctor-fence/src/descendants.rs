//! What a program leaves behind: found by descent, which no process can give up below a subreaper.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::Leftover;
use crate::sys::Signals;

/// How often it is looked again while processes are ending: a process may have started another just before.
const AGAIN: Duration = Duration::from_millis(20);

/// Ends everything below this process: asks first, then kills. Gives what was there, in ascending order of ids.
pub(crate) fn end_all(signals: &Signals, grace: Duration) -> Vec<Leftover> {
    let mut named: BTreeMap<u32, Leftover> = BTreeMap::new();
    let until = Instant::now() + grace;
    loop {
        reap();
        let living = below(std::process::id());
        if living.is_empty() {
            return named.into_values().collect();
        }
        let force = Instant::now() >= until;
        for pid in living {
            let is_new = !named.contains_key(&pid);
            if is_new {
                named.insert(pid, Leftover { pid, command: command_line(pid) });
            }
            if force {
                signal(pid, Signal::KILL);
            } else if is_new {
                signal(pid, Signal::TERM);
                signal(pid, Signal::CONT);
            }
        }
        wait_a_little(signals);
    }
}

fn reap() {
    while let Ok(Some(_)) = waitpid(None, WaitOptions::NOHANG) {}
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended just now.
        _ = kill_process(pid, signal);
    }
}

/// Until a child ends, but not for long.
fn wait_a_little(signals: &Signals) {
    let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(AGAIN.subsec_nanos()) };
    let mut sources = [PollFd::new(signals, PollFlags::IN)];
    _ = rustix::event::poll(&mut sources, Some(&timeout));
    while signals.next().is_some() {}
}

/// The living processes below one, zombies left out.
pub(crate) fn below(root: u32) -> Vec<u32> {
    let all: Vec<(u32, u32, char)> = processes();
    let mut found = vec![root];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(all.iter().filter(|(pid, its, _)| *its == parent && *pid != parent).map(|(pid, ..)| *pid));
        at += 1;
    }
    let dead = |pid: &u32| all.iter().any(|(its, _, state)| its == pid && matches!(state, 'Z' | 'X'));
    let mut living: Vec<u32> = found.into_iter().skip(1).filter(|pid| !dead(pid)).collect();
    living.sort_unstable();
    living
}

/// All processes: id, parent, state.
fn processes() -> Vec<(u32, u32, char)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter_map(|pid| parent_and_state(pid).map(|(parent, state)| (pid, parent, state))).collect()
}

/// A process's parent and state (proc_pid_stat(5)): what follows the name, which may hold anything.
pub(crate) fn parent_and_state(pid: u32) -> Option<(u32, char)> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((fields.next()?.parse().ok()?, state))
}

/// A process's command line, words separated by spaces; its name in brackets when it has none.
pub(crate) fn command_line(pid: u32) -> String {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&words).trim_end_matches('\0').replace('\0', " ");
    if !words.is_empty() {
        return words;
    }
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    format!("[{}]", String::from_utf8_lossy(&name).trim_end())
}
