//! Who is at the other end of a connection: a process, by what the kernel says of it, and the processes it stems from.
//!
//! A number alone names nobody: it is used again. A process is its number and the moment it began, and where the kernel
//! offers it, a descriptor that stays with that one process.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{getsockopt, sockopt};

/// How often the line of ancestors is read until two readings agree: a parent may end in between.
const READINGS: usize = 5;

/// Longest line of ancestors; nobody honest comes near it.
const GENERATIONS: usize = 4096;

/// One process of a line of ancestors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Link {
    /// Its number.
    pub(super) pid: u32,
    /// When it began, in clock ticks since boot.
    pub(super) started: u64,
    parent: u32,
}

impl Link {
    /// The same process, whoever its parent is by now.
    pub(super) fn of_no_parent(self) -> Self {
        Self { parent: 0, ..self }
    }
}

/// Why nobody can say who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unknown {
    /// The process had ended before it was looked at.
    #[error("the calling process had ended")]
    Ended,
    /// The process lives in another PID namespace, or was never told.
    #[error("the calling process cannot be seen from here")]
    Unseen,
    /// It stems from no session that lives, and yet is fenced in as only agents are.
    #[error("the calling process has outlived its agent")]
    Outlived,
    /// Ancestors came and went while they were read.
    #[error("the caller's ancestors changed while they were read")]
    Restless,
}

/// The process at the other end.
#[derive(Debug)]
pub(super) struct Peer {
    /// Its number.
    pub(super) pid: u32,
    descriptor: Option<OwnedFd>,
}

impl Peer {
    /// Who connected.
    pub(super) fn of(stream: &UnixStream) -> Result<Self, Unknown> {
        let credentials = getsockopt(stream, sockopt::PeerCredentials).map_err(|_| Unknown::Unseen)?;
        let pid = u32::try_from(credentials.pid()).ok().filter(|pid| *pid != 0).ok_or(Unknown::Unseen)?;
        // Linux before 6.5 has none; then number and beginning must do.
        let descriptor = getsockopt(stream, sockopt::PeerPidfd).ok();
        Ok(Self { pid, descriptor })
    }

    /// Whether it still lives and can take an answer.
    pub(super) fn waits(&self) -> bool {
        self.process().is_ok()
    }

    /// The process itself.
    pub(super) fn process(&self) -> Result<Link, Unknown> {
        let process = link(self.pid).ok_or(Unknown::Ended)?;
        if self.lives() { Ok(process) } else { Err(Unknown::Ended) }
    }

    /// The process and its ancestors, youngest first, as two readings in a row agree about them.
    pub(super) fn lineage(&self) -> Result<Vec<Link>, Unknown> {
        let mut last = lineage(self.pid)?;
        for _ in 0..READINGS {
            let next = lineage(self.pid)?;
            if next == last {
                return if self.lives() { Ok(next) } else { Err(Unknown::Ended) };
            }
            last = next;
        }
        Err(Unknown::Restless)
    }

    /// Whether the number still is that of the process that connected.
    fn lives(&self) -> bool {
        let Some(descriptor) = &self.descriptor else { return true };
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", descriptor.as_raw_fd())).unwrap_or_default();
        let named = info.lines().find_map(|line| line.strip_prefix("Pid:"));
        named.is_some_and(|pid| pid.trim() == self.pid.to_string())
    }
}

/// When a process began, in clock ticks since boot.
pub(super) fn started(pid: u32) -> Option<u64> {
    link(pid).map(|link| link.started)
}

/// How many seccomp filters lie on a process, its own and those it was born with; none can be taken off.
pub(super) fn filters(pid: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Seccomp_filters:")).and_then(|number| number.trim().parse().ok())
}

fn link(pid: u32) -> Option<Link> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(Link { pid, started, parent })
}

fn lineage(pid: u32) -> Result<Vec<Link>, Unknown> {
    let mut links = vec![link(pid).ok_or(Unknown::Ended)?];
    while let Some(youngest) = links.last().copied().filter(|link| link.parent != 0) {
        // A parent cannot be younger than its child: then its number belongs to somebody else by now.
        match link(youngest.parent) {
            Some(parent) if parent.started <= youngest.started => links.push(parent),
            _ => return Err(Unknown::Restless),
        }
        if links.len() > GENERATIONS {
            return Err(Unknown::Restless);
        }
    }
    Ok(links)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]
    use std::io::Read;
    use std::os::unix::net::UnixListener;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_child_of_a_child_stems_from_this_process() {
        let mut child = Command::new("sh").args(["-c", "sleep 60 & echo $!; wait"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut text = String::new();
        let mut byte = [0];
        while !text.ends_with('\n') {
            child.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
            text.push(char::from(byte[0]));
        }
        let grandchild: u32 = text.trim().parse().unwrap();
        let line: Vec<u32> = lineage(grandchild).unwrap().iter().map(|link| link.pid).collect();
        assert_eq!(line[..3], [grandchild, child.id(), std::process::id()]);
        for pid in [grandchild, child.id()] {
            Command::new("kill").arg(pid.to_string()).status().unwrap();
        }
        child.wait().unwrap();
        assert_eq!(lineage(child.id()), Err(Unknown::Ended));
    }

    #[test]
    fn whoever_connects_is_known_by_the_kernel() {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("s")).unwrap();
        let _client = UnixStream::connect(dir.path().join("s")).unwrap();
        let peer = Peer::of(&listener.accept().unwrap().0).unwrap();
        assert_eq!(peer.pid, std::process::id());
        assert_eq!(peer.lineage().unwrap()[0].pid, peer.pid);
    }
}
