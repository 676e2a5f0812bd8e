//! What a thread that asks has in its memory, and where its paths lead.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, File};
use std::net::IpAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2, readlinkat};

/// The longest path that the kernel takes.
const LONGEST: usize = 4096;

/// Threads whose memory stays open.
const MOST: usize = 32;

/// The memory of the threads that asked last: opening it takes longer than reading it.
#[derive(Default)]
pub(crate) struct Memories(VecDeque<(u32, File)>);

impl Memories {
    /// Reads up to `most` bytes. A process that became another program has other memory, and what is open of the old one
    /// reads as empty.
    fn read(&mut self, pid: u32, at: u64, most: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; most];
        let known = self.0.iter().find(|(its, _)| *its == pid).map(|(_, file)| file.read_at(&mut bytes, at));
        let read = match known {
            Some(Ok(read @ 1..)) => read,
            _ => {
                self.forget(pid);
                let file = File::open(format!("/proc/{pid}/mem")).ok()?;
                let read = file.read_at(&mut bytes, at).ok()?;
                self.0.truncate(MOST - 1);
                self.0.push_front((pid, file));
                read
            }
        };
        bytes.truncate(read);
        Some(bytes)
    }

    /// Of a thread that becomes another program: its old memory may live on as another process's.
    pub(crate) fn forget(&mut self, pid: u32) {
        self.0.retain(|(its, _)| *its != pid);
    }
}

/// A thread whose call waits.
pub(crate) struct Caller<'a> {
    pid: u32,
    memories: RefCell<&'a mut Memories>,
}

/// An address that is connected or bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// A TCP port.
    Port(IpAddr, u16),
    /// A socket with a path.
    Path(PathBuf),
    /// A socket with a name that is no path.
    Abstract(String),
}

impl<'a> Caller<'a> {
    /// This thread.
    pub(crate) fn of(pid: u32, memories: &'a mut Memories) -> Self {
        Self { pid, memories: RefCell::new(memories) }
    }

    fn bytes(&self, at: u64, most: usize) -> Option<Vec<u8>> {
        self.memories.borrow_mut().read(self.pid, at, most)
    }

    /// The path of a call, absolute, with the folder that it is relative to, not resolved.
    pub(crate) fn path(&self, folder: Option<u64>, at: u64) -> Option<PathBuf> {
        if at == 0 {
            return None;
        }
        let mut bytes = self.bytes(at, LONGEST)?;
        bytes.truncate(bytes.iter().position(|byte| *byte == 0)?);
        let path = PathBuf::from(OsString::from_vec(bytes));
        if path.is_absolute() {
            return Some(self.plain(&path));
        }
        // The kernel looks at the lower half of the register only.
        let link = match folder.map(|folder| folder as u32 as i32) {
            None | Some(libc::AT_FDCWD) => format!("/proc/{}/cwd", self.pid),
            Some(descriptor) => format!("/proc/{}/fd/{descriptor}", self.pid),
        };
        Some(self.plain(&fs::read_link(link).ok()?.join(path)))
    }

    /// The path without `.` and `..`, and with the id of the caller where `/proc` means itself.
    fn plain(&self, path: &Path) -> PathBuf {
        let mut plain = PathBuf::from("/");
        for component in path.components() {
            match component {
                Component::Normal(name) => plain.push(name),
                Component::ParentDir => _ = plain.pop(),
                _ => {}
            }
        }
        for own in ["/proc/self", "/proc/thread-self"] {
            if let Ok(rest) = plain.strip_prefix(own) {
                let plain = Path::new("/proc").join(self.pid.to_string()).join(rest);
                return opened(&plain).unwrap_or(plain);
            }
        }
        opened(&plain).unwrap_or(plain)
    }

    /// Whether a path is what `/proc` says of the caller's own process. Where a fence lists nothing of `/proc`, since it would show
    /// others, a runtime that asks for its own limits is refused, too: that tells nothing of the program.
    pub(crate) fn is_about_itself(&self, path: &Path) -> bool {
        let mut parts = path.strip_prefix("/proc").into_iter().flatten();
        let named = parts.next().and_then(|part| part.to_str()?.parse::<u32>().ok());
        named.is_some_and(|named| named == self.pid || Path::new(&format!("/proc/{named}/task/{}", self.pid)).exists())
    }

    /// Where a path leads to, links followed; for what does not exist, where it would be. Absent when its folder does not exist.
    pub(crate) fn resolved(&self, path: &Path) -> Option<PathBuf> {
        if let Some(found) = self.existing(path) {
            return Some(found);
        }
        Some(self.existing(path.parent()?)?.join(path.file_name()?))
    }

    /// Where a path leads to, if anything is there.
    pub(crate) fn existing(&self, path: &Path) -> Option<PathBuf> {
        let root = rustix::fs::open(format!("/proc/{}/root", self.pid), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let relative = path.strip_prefix("/").unwrap_or(path);
        let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let found = openat2(&root, relative, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS).ok()?;
        let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&found));
        let named = readlinkat(CWD, link, Vec::new()).ok()?;
        Some(PathBuf::from(OsString::from_vec(named.into_bytes())))
    }

    /// The flags in a `struct open_how`.
    pub(crate) fn open_how(&self, at: u64) -> Option<u64> {
        Some(u64::from_ne_bytes(self.bytes(at, 8)?.try_into().ok()?))
    }

    /// The address of a call.
    pub(crate) fn address(&self, at: u64, length: u64) -> Option<Address> {
        let bytes = self.bytes(at, usize::try_from(length).ok()?.min(128))?;
        let family = u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?);
        let port = || Some(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?));
        match i32::from(family) {
            libc::AF_INET => {
                let address: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
                Some(Address::Port(IpAddr::from(address), port()?))
            }
            libc::AF_INET6 => {
                let address: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
                Some(Address::Port(IpAddr::from(address), port()?))
            }
            libc::AF_UNIX => self.local(bytes.get(2..)?),
            _ => None,
        }
    }

    fn local(&self, name: &[u8]) -> Option<Address> {
        if let [0, rest @ ..] = name {
            return Some(Address::Abstract(String::from_utf8_lossy(rest).into_owned()));
        }
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        let path = Path::new(std::ffi::OsStr::from_bytes(name.get(..end)?));
        if path.as_os_str().is_empty() {
            return None;
        }
        let folder = fs::read_link(format!("/proc/{}/cwd", self.pid)).ok()?;
        Some(Address::Path(self.plain(&folder.join(path))))
    }
}

/// What a path like `/proc/1/fd/3` leads to: C libraries use those to name an open file.
fn opened(path: &Path) -> Option<PathBuf> {
    let is_descriptor = path.starts_with("/proc") && path.parent()?.file_name()? == "fd";
    if is_descriptor { fs::read_link(path).ok() } else { None }
}

/// The process that an open handle of a thread's (pidfd_open(2)) stands for.
pub(crate) fn process_of_handle(pid: u32, descriptor: i32) -> Option<i32> {
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}")).ok()?;
    info.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok())
}

/// The file of a thread's program, else what it calls itself.
pub(crate) fn program(pid: u32) -> String {
    let exe = fs::read_link(format!("/proc/{pid}/exe")).map(|path| path.to_string_lossy().into_owned());
    exe.unwrap_or_else(|_| {
        let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
        String::from_utf8_lossy(&name).trim_end().to_owned()
    })
}
