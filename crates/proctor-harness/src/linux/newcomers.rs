//! Finds the processes that began since one last asked, without reading the whole process table every time.

use std::collections::BTreeSet;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::PidfdFlags;

use super::{known_pid, process_ids};
use crate::short_file;

/// After so many questions all processes are listed.
const LIST_EVERY: u32 = 50;
/// So many ids at most are asked about one by one: to list all processes is cheaper then.
const ASKED_AT_MOST: u32 = 2000;
/// A busy machine can leave a process half made for longer than two questions. More than so many are no chance.
const MISSED_AT_MOST: usize = 5;

/// See the file's head.
///
/// Ids are given in ascending order: what is new has one of those after the last, and the kernel is asked about each; twice, since an id
/// is given a moment before its process can be seen. All processes are listed now and then nevertheless, and always where ids begin anew,
/// where the kernel has no process handles, or where `/proc/loadavg` says something else than the kernel (some containers).
#[derive(Debug, Default)]
pub struct Newcomers {
    /// The last id at the last question but one, and at the last.
    last: Option<(u32, u32)>,
    /// Every process that was there at the last list and every one told since.
    told: BTreeSet<u32>,
    /// How many times no list was made.
    unlisted: u32,
    /// How many processes lists had that the ids did not tell of.
    missed: usize,
}

impl Newcomers {
    /// The processes that began since the last call and are still there, in ascending order; at the first call all.
    pub fn take(&mut self) -> Vec<u32> {
        let now = last_id().filter(|_| self.missed <= MISSED_AT_MOST);
        let new = self.ask(now).unwrap_or_else(|| self.list());
        self.last = now.map(|now| (self.last.map_or(now, |(_, last)| last), now));
        self.told.extend(&new);
        new
    }

    /// Absent when all processes must be listed.
    fn ask(&mut self, now: Option<u32>) -> Option<Vec<u32>> {
        let ((before, last), now) = (self.last?, now?);
        let is_in_order = before <= last && last <= now && now - before <= ASKED_AT_MOST;
        if !is_in_order || self.unlisted >= LIST_EVERY {
            return None;
        }
        self.unlisted += 1;
        let asked = (before + 1..=now).filter(|pid| !self.told.contains(pid));
        let mut new = Vec::new();
        for pid in asked {
            if is_process(pid)? {
                new.push(pid);
            }
        }
        Some(new)
    }

    fn list(&mut self) -> Vec<u32> {
        let all = process_ids();
        let new: Vec<u32> = all.iter().copied().filter(|pid| !self.told.contains(pid)).collect();
        if let Some((before, _)) = self.last.filter(|_| self.unlisted >= LIST_EVERY) {
            self.missed += new.iter().filter(|pid| **pid <= before).count();
        }
        self.told = all.into_iter().collect();
        self.unlisted = 0;
        new
    }
}

/// Whether an id is that of a process and not of a thread or of nobody; absent where the kernel does not say.
fn is_process(pid: u32) -> Option<bool> {
    match rustix::process::pidfd_open(known_pid(pid)?, PidfdFlags::empty()) {
        Ok(_) => Some(true),
        // A thread, or nobody (pidfd_open(2)); newer kernels say ENOENT of a thread.
        Err(Errno::INVAL | Errno::SRCH | Errno::NOENT) => Some(false),
        Err(_) => None,
    }
}

/// The id that the kernel gave last to a process or thread (proc_loadavg(5)).
fn last_id() -> Option<u32> {
    short_file::read::<256>(Path::new("/proc/loadavg"))?.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::super::process;
    use super::*;

    #[test]
    fn newcomers_are_told_once_whether_asked_for_or_listed() {
        let start = || std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mut earlier = start();
        let mut newcomers = Newcomers::default();
        assert!(newcomers.take().contains(&earlier.id()));
        let mut told = Vec::new();
        let mut later = Vec::new();
        for _ in 0..=LIST_EVERY {
            later.push(start());
            std::thread::spawn(|| ()).join().unwrap();
            told.extend(newcomers.take());
        }
        let mine =
            told.into_iter().filter(|pid| process(*pid).is_some_and(|p| p.parent == std::process::id() && p.name == "sleep"));
        let mine: Vec<u32> = mine.filter(|pid| later.iter().any(|child| child.id() == *pid)).collect();
        assert_eq!(mine, later.iter().map(std::process::Child::id).collect::<Vec<_>>());
        for child in later.iter_mut().chain([&mut earlier]) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn where_ids_do_not_tell_of_processes_all_are_listed_from_then_on() {
        let mut newcomers = Newcomers::default();
        newcomers.take();
        let start = |_| std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mut children: Vec<_> = (0..=MISSED_AT_MOST).map(start).collect();
        // As if higher ids had been stated than there were, until it is time for a list.
        let highest = children.iter().map(std::process::Child::id).max().unwrap();
        newcomers.last = Some((highest, highest));
        newcomers.unlisted = LIST_EVERY;
        let told = newcomers.take();
        assert!(children.iter().all(|child| told.contains(&child.id())));
        assert!(newcomers.missed > MISSED_AT_MOST);
        newcomers.take();
        assert_eq!(newcomers.last, None, "nothing is asked any more");
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
