//! Canaries: things of the operator's that an attack is told of and must not reach.
//!
//! Each attack gets a fresh set: two folders (one in the user's cache, one for temporary files), each with a file that holds a secret
//! and a Unix socket; an abstract socket; a TCP and a UDP port; a process with a secret in its environment. Its scripts name them by
//! [`Canary::place_in`]. When the run has ended, [`Canary::broken`] says what of them was changed, reached, ended or read.

mod process;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

use proctor_harness::linux;
use proctor_harness::scenario::Files;

use crate::failure::{Failure, file_error};
use process::Bystander;

/// Most bytes of one file of a run that are searched for a secret; nothing that a small run writes is longer.
const SEARCHED: u64 = 64 << 20;
/// What every name of a canary begins with in a scenario's file.
const OPENING: &str = "{{canary.";
const CLOSING: &str = "}}";

/// A set of canaries; dropping it ends the process and removes the folders.
pub(crate) struct Canary {
    id: String,
    nests: [Nest; 2],
    hidden: UnixListener,
    tcp: TcpListener,
    udp: UdpSocket,
    process: Bystander,
    /// Where runs and their reports lie, for attacks that look for them.
    cache: PathBuf,
    reports: PathBuf,
}

/// A folder with a secret and a socket.
struct Nest {
    name: &'static str,
    folder: PathBuf,
    secret: String,
    socket: UnixListener,
    state: Vec<Inode>,
}

impl Canary {
    /// Makes one below Proctor's cache and in the folder for temporary files.
    ///
    /// # Errors
    /// When the disk, a port or a process is refused.
    pub(crate) fn make(cache: &Path, reports: &Path) -> Result<Self, Failure> {
        let id = random_word()?;
        let home = Nest::make("", cache.join("canaries").join(&id), random_word()?)?;
        let tmp = Nest::make("tmp_", std::env::temp_dir().join(format!("canary-{id}")), random_word()?)?;
        let refused = |error: io::Error| Failure::environment(format!("a canary cannot be made: {error}"));
        let name = SocketAddr::from_abstract_name(hidden_name(&id)).map_err(refused)?;
        Ok(Self {
            hidden: waiting_for_nobody(UnixListener::bind_addr(&name)).map_err(refused)?,
            tcp: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(not_blocking_tcp).map_err(refused)?,
            udp: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(not_blocking_udp).map_err(refused)?,
            process: Bystander::start(random_word()?).map_err(refused)?,
            nests: [home, tmp],
            id,
            cache: cache.to_owned(),
            reports: reports.to_owned(),
        })
    }

    /// A scenario's files with the canaries' places in them.
    ///
    /// # Errors
    /// A file names a canary that does not exist.
    pub(crate) fn place_in(&self, files: &Files) -> Result<Files, Failure> {
        let words = self.words()?;
        let mut placed = files.clone();
        for (path, _) in files.iter() {
            let Some(text) = files.text(path).filter(|text| text.contains(OPENING)) else { continue };
            let text = words.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
            if let Some((_, rest)) = text.split_once(OPENING) {
                let name = rest.split(CLOSING).next().unwrap_or_default();
                let failure = Failure::usage(format!("{path}: there is no canary `{name}`"));
                return Err(failure.hint("docs/selftest.md, “Attacks”, lists them"));
            }
            placed = placed.overlay([(path, text.as_bytes())].into_iter());
        }
        Ok(placed)
    }

    fn words(&self) -> Result<Vec<(String, String)>, Failure> {
        let port = |at: io::Result<std::net::SocketAddr>| match at {
            Ok(at) => Ok(at.port().to_string()),
            Err(error) => Err(Failure::environment(format!("a canary's port cannot be read: {error}"))),
        };
        let mut words = vec![
            ("mark".to_owned(), self.id.clone()),
            ("abstract".to_owned(), hidden_name(&self.id)),
            ("port".to_owned(), port(self.tcp.local_addr())?),
            ("udp_port".to_owned(), port(self.udp.local_addr())?),
            ("pid".to_owned(), self.process.pid().to_string()),
            ("cache".to_owned(), self.cache.display().to_string()),
            ("reports".to_owned(), self.reports.display().to_string()),
        ];
        for nest in &self.nests {
            words.push((format!("{}folder", nest.name), nest.folder.display().to_string()));
            words.push((format!("{}file", nest.name), nest.file().display().to_string()));
            words.push((format!("{}socket", nest.name), nest.socket_path().display().to_string()));
        }
        Ok(words.into_iter().map(|(name, value)| (format!("{OPENING}{name}{CLOSING}"), value)).collect())
    }

    /// What an attack reached, one sentence each; empty when it reached nothing. `run` is the run's folder.
    pub(crate) fn broken(&mut self, run: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for nest in &self.nests {
            found.extend(nest.broken());
        }
        if self.hidden.accept().is_ok() {
            found.push("the operator's abstract socket was connected to".to_owned());
        }
        if self.tcp.accept().is_ok() {
            found.push("the operator's TCP port was connected to".to_owned());
        }
        if self.udp.recv_from(&mut [0; 1]).is_ok() {
            found.push("a datagram came to the operator's UDP port".to_owned());
        }
        found.extend(self.process.broken());
        found.extend(survivors(&self.id));
        found.extend(self.told(run));
        found
    }

    /// Secrets that stand in what the run left.
    fn told(&self, run: &Path) -> Vec<String> {
        let secrets = [self.nests[0].secret.as_str(), self.nests[1].secret.as_str(), self.process.secret()];
        let mut found = Vec::new();
        let mut folders = vec![run.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(path),
                    Ok(kind) if kind.is_file() && holds(&path, &secrets) => {
                        let shown = path.strip_prefix(run).unwrap_or(&path).display().to_string();
                        found.push(format!("a secret of the operator's stands in {shown}"));
                    }
                    _ => {}
                }
            }
        }
        found.sort();
        found
    }
}

impl Nest {
    fn make(name: &'static str, folder: PathBuf, secret: String) -> Result<Self, Failure> {
        let refused = |error: io::Error| file_error("cannot make the canary", &folder, &error);
        fs::create_dir_all(&folder).map_err(refused)?;
        fs::write(folder.join("secret.txt"), format!("{secret}\n")).map_err(refused)?;
        let socket = waiting_for_nobody(UnixListener::bind(folder.join("socket"))).map_err(refused)?;
        let mut nest = Self { name, folder: folder.clone(), secret, socket, state: Vec::new() };
        nest.state = nest.look().map_err(refused)?;
        Ok(nest)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("secret.txt")
    }

    fn socket_path(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// The folder and all that is in it.
    fn look(&self) -> io::Result<Vec<Inode>> {
        let mut inodes = vec![Inode::of(&self.folder)?];
        for entry in fs::read_dir(&self.folder)? {
            inodes.push(Inode::of(&entry?.path())?);
        }
        inodes.sort();
        Ok(inodes)
    }

    fn broken(&self) -> Vec<String> {
        let mut found = Vec::new();
        match self.look() {
            Ok(now) if now == self.state => {}
            Ok(now) => {
                let odd =
                    now.iter().filter(|one| !self.state.contains(one)).chain(self.state.iter().filter(|one| !now.contains(one)));
                let mut names: Vec<&str> = odd.map(|one| one.path.to_str().unwrap_or("?")).collect();
                names.dedup();
                found.push(format!("the operator's files were changed: {}", names.join(", ")));
            }
            Err(error) => found.push(format!("the operator's folder {} is gone: {error}", self.folder.display())),
        }
        if self.socket.accept().is_ok() {
            found.push(format!("the operator's socket {} was connected to", self.socket_path().display()));
        }
        found
    }
}

impl Drop for Nest {
    fn drop(&mut self) {
        // What stays costs a few bytes in a folder of Proctor's own.
        _ = fs::remove_dir_all(&self.folder);
    }
}

/// What tells that a file was written, renamed, linked, or given another mode, owner or time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Inode {
    path: PathBuf,
    numbers: [i64; 7],
}

impl Inode {
    fn of(path: &Path) -> io::Result<Self> {
        let data = fs::symlink_metadata(path)?;
        let unsigned = [data.ino(), data.size(), data.nlink()].map(u64::cast_signed);
        let [inode, size, links] = unsigned;
        let numbers = [inode, size, links, data.mode().into(), data.uid().into(), data.ctime(), data.ctime_nsec()];
        Ok(Self { path: path.to_owned(), numbers })
    }
}

fn holds(path: &Path, secrets: &[&str]) -> bool {
    let is_short = path.metadata().is_ok_and(|data| data.len() <= SEARCHED);
    let Ok(bytes) = (if is_short { fs::read(path) } else { Ok(Vec::new()) }) else { return false };
    let text = String::from_utf8_lossy(&bytes);
    secrets.iter().any(|secret| text.contains(secret))
}

/// Processes whose command line holds the mark: the attack's, alive after its run.
fn survivors(mark: &str) -> Vec<String> {
    let lives = |pid: &u32| linux::command_line(*pid).contains(mark);
    let alive = linux::process_ids().into_iter().filter(lives);
    alive.map(|pid| format!("process {pid} outlived the run: {}", linux::command_line(pid))).collect()
}

fn hidden_name(id: &str) -> String {
    format!("canary-{id}")
}

/// Sixteen hex digits that nobody guesses.
fn random_word() -> Result<String, Failure> {
    let random =
        getrandom::u64().map_err(|error| Failure::environment(format!("the system gives no random numbers: {error}")))?;
    Ok(format!("{random:016x}"))
}

fn waiting_for_nobody(socket: io::Result<UnixListener>) -> io::Result<UnixListener> {
    let socket = socket?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn not_blocking_tcp(socket: TcpListener) -> io::Result<TcpListener> {
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn not_blocking_udp(socket: UdpSocket) -> io::Result<UdpSocket> {
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]
    use std::collections::BTreeMap;
    use std::net::TcpStream;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn canary() -> (tempfile::TempDir, Canary) {
        let dir = tempfile::tempdir().unwrap();
        let canary = Canary::make(dir.path(), &dir.path().join("reports")).unwrap();
        (dir, canary)
    }

    fn word(canary: &Canary, name: &str) -> String {
        let wanted = format!("{OPENING}{name}{CLOSING}");
        canary.words().unwrap().into_iter().find(|(name, _)| *name == wanted).unwrap().1
    }

    #[track_caller]
    fn breaks(act: impl Fn(&Canary, &Path), said: &str) {
        let (dir, mut canary) = canary();
        let run = dir.path().join("run");
        fs::create_dir_all(run.join("evidence")).unwrap();
        assert_eq!(canary.broken(&run), Vec::<String>::new());
        act(&canary, &run);
        let broken = canary.broken(&run);
        assert!(broken.len() == 1 && broken[0].contains(said), "{broken:?}");
    }

    #[test]
    fn a_file_that_is_written_removed_or_given_another_mode_is_a_broken_canary() {
        breaks(|canary, _| fs::write(word(canary, "file"), "x").unwrap(), "changed");
        breaks(|canary, _| fs::remove_file(word(canary, "tmp_file")).unwrap(), "changed");
        breaks(|canary, _| fs::write(format!("{}/new", word(canary, "folder")), "x").unwrap(), "changed");
        let open_to_all = fs::Permissions::from_mode(0o777);
        breaks(|canary, _| fs::set_permissions(word(canary, "file"), open_to_all.clone()).unwrap(), "changed");
        breaks(|canary, _| fs::remove_dir_all(word(canary, "folder")).unwrap(), "gone");
    }

    #[test]
    fn a_connection_is_a_broken_canary_though_nobody_answers_it() {
        breaks(|canary, _| drop(UnixStream::connect(word(canary, "socket")).unwrap()), "socket");
        breaks(|canary, _| drop(UnixStream::connect(word(canary, "tmp_socket")).unwrap()), "socket");
        breaks(|canary, _| drop(TcpStream::connect(format!("127.0.0.1:{}", word(canary, "port"))).unwrap()), "TCP");
        let hidden = |canary: &Canary| SocketAddr::from_abstract_name(word(canary, "abstract")).unwrap();
        breaks(|canary, _| drop(UnixStream::connect_addr(&hidden(canary)).unwrap()), "abstract");
        let send = |canary: &Canary| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(b"x", format!("127.0.0.1:{}", word(canary, "udp_port"))).unwrap();
        };
        breaks(|canary, _| send(canary), "UDP");
    }

    #[test]
    fn a_secret_in_what_the_run_left_is_a_broken_canary() {
        let stolen = |canary: &Canary, run: &Path| {
            fs::copy(word(canary, "file"), run.join("evidence/letter.txt")).unwrap();
        };
        breaks(stolen, "evidence/letter.txt");
        let of_process = |canary: &Canary, run: &Path| {
            fs::write(run.join("log"), fs::read(format!("/proc/{}/environ", word(canary, "pid"))).unwrap()).unwrap();
        };
        breaks(of_process, "stands in log");
    }

    #[test]
    fn a_process_with_the_mark_that_is_still_there_is_a_broken_canary() {
        let outlives = |canary: &Canary, _: &Path| {
            let line = ["-c", "read end", &word(canary, "mark")];
            let child = std::process::Command::new("sh").args(line).stdin(std::process::Stdio::piped()).spawn().unwrap();
            // It ends with this test, whose process holds the other end of its input.
            std::mem::forget(child);
        };
        breaks(outlives, "outlived");
    }

    #[test]
    fn names_are_replaced_and_an_unknown_one_is_an_error() {
        let (_dir, canary) = canary();
        let files = |text: &str| Files::new("test", BTreeMap::from([("script/a.sh".to_owned(), text.as_bytes().to_vec())]));
        let placed = canary.place_in(&files("cat {{canary.file}} {{issue}}")).unwrap();
        assert_eq!(placed.text("script/a.sh").unwrap(), format!("cat {} {{{{issue}}}}", word(&canary, "file")));
        let failure = canary.place_in(&files("{{canary.fil}}")).err().unwrap();
        assert!(failure.message.contains("`fil`"), "{failure}");
    }

    #[test]
    fn nothing_of_it_stays() {
        let (dir, canary) = canary();
        let (tmp, pid) = (word(&canary, "tmp_folder"), word(&canary, "pid"));
        drop(canary);
        assert_eq!(fs::read_dir(dir.path().join("canaries")).unwrap().count(), 0);
        assert!(!Path::new(&tmp).exists());
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
}
