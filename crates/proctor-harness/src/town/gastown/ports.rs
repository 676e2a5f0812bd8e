//! A port for a town's `dolt`, that nobody else gets while the run lasts.
//!
//! `gt` ends whatever listens on the port of its town, so that a port must never be taken that anybody could mean: not dolt's own
//! ones, not one from which the system hands out, not one that another run holds.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::file_lock::FileLock;
use crate::halt::Halt;
use crate::linux;

/// Ports that towns of people use when nobody says otherwise.
const TAKEN_BY_DEFAULT: [u16; 2] = [3307, 3308];
/// The ports that runs use; below the range from which systems hand out by default.
const FIRST: u16 = 21_000;
const LAST: u16 = 31_999;

/// A port that is this run's until it is dropped.
#[derive(Debug)]
pub struct Port {
    /// The port.
    pub number: u16,
    _lock: FileLock,
}

impl Port {
    /// Takes a free port. Where the search begins follows from `id`, so that runs at the same time seldom meet.
    ///
    /// # Errors
    /// When no port is free, or the cache cannot be written.
    pub fn take(cache: &Path, id: &str) -> Result<Self, Halt> {
        let folder = folder(cache);
        fs::create_dir_all(&folder).map_err(|error| Halt::io("make", &folder, &error))?;
        let (busy, handed_out) = (linux::listening_ports(), linux::handed_out_ports());
        for number in candidates(id) {
            if busy.contains(&number) || handed_out.contains(&number) {
                continue;
            }
            if let Some(lock) = lock(&folder, number)? {
                return Ok(Self { number, _lock: lock });
            }
        }
        Err(none_free())
    }
}

/// How many ports a run could take now.
pub fn free() -> usize {
    let (busy, handed_out) = (linux::listening_ports(), linux::handed_out_ports());
    (FIRST..=LAST).filter(|port| !busy.contains(port) && !handed_out.contains(port)).count()
}

fn none_free() -> Halt {
    Halt::environment(format!("no port from {FIRST} to {LAST} is free for dolt"))
        .hint("end what listens there, or narrow /proc/sys/net/ipv4/ip_local_port_range; `proctor clean` ends what runs left")
}

fn folder(cache: &Path) -> PathBuf {
    cache.join("ports")
}

fn lock(folder: &Path, number: u16) -> Result<Option<FileLock>, Halt> {
    let path = folder.join(format!("{number}.lock"));
    FileLock::take(&path).map_err(|error| Halt::io("lock", &path, &error))
}

/// All ports of the range, from one that follows from the id.
fn candidates(id: &str) -> impl Iterator<Item = u16> {
    let count = u32::from(LAST - FIRST) + 1;
    let begin = id.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % count;
    let port = move |step: u32| FIRST + u16::try_from((begin + step) % count).unwrap_or(0);
    (0..count).map(port).filter(|port| !TAKEN_BY_DEFAULT.contains(port))
}

/// The ports of towns below `cache` that a run holds now.
pub fn held(cache: &Path) -> BTreeSet<u16> {
    let entries = fs::read_dir(folder(cache)).into_iter().flatten().flatten();
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_suffix(".lock")?.parse::<u16>().ok();
    entries.filter_map(number).filter(|number| matches!(lock(&folder(cache), *number), Ok(None))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn two_runs_never_hold_the_same_port_and_a_port_that_was_let_go_is_free_again() {
        let cache = tempfile::tempdir().unwrap();
        let first = Port::take(cache.path(), "7k3f").unwrap();
        let second = Port::take(cache.path(), "7k3f").unwrap();
        assert_ne!(first.number, second.number);
        assert_eq!(held(cache.path()), BTreeSet::from([first.number, second.number]));
        let number = first.number;
        drop(first);
        assert_eq!(Port::take(cache.path(), "7k3f").unwrap().number, number);
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_passed_over() {
        let cache = tempfile::tempdir().unwrap();
        let wanted = candidates("7k3f").next().unwrap();
        let Ok(_listener) = std::net::TcpListener::bind(("127.0.0.1", wanted)) else { return };
        assert_ne!(Port::take(cache.path(), "7k3f").unwrap().number, wanted);
    }

    #[test]
    fn ports_are_neither_those_of_people_nor_those_that_the_system_hands_out() {
        let all: BTreeSet<u16> = candidates("aaaa").collect();
        assert_eq!(all.len(), usize::from(LAST - FIRST) + 1);
        assert!(!all.contains(&3307) && !all.contains(&32_768));
    }
}
