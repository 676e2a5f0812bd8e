//! Running a program to its end: cleared environment, own process group, time limit, bounded output.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::keeper::{Keeper, KeptProgram};
use crate::linux;

/// The processes that this module waits for. Process ids belong to the whole process, hence one place for all runs in it:
/// [`linux::Reaper`] must not collect what somebody waits for.
static OWN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// The processes that are being waited for now.
pub fn own() -> BTreeSet<u32> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// How long output is still read after the program ended while something it started holds the pipe.
const STRAGGLING_OUTPUT: Duration = Duration::from_millis(250);

/// How long the parent of a fence may take to end what it keeps, above what that may take itself.
const FENCE_ENDS: Duration = Duration::from_secs(4);

/// A program to run.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// Its working directory; absent: `/`.
    pub cwd: Option<PathBuf>,
    /// What it reads.
    pub stdin: Option<Vec<u8>>,
    /// When it is ended by force.
    pub timeout: Duration,
    /// Bytes kept of each stream.
    pub limit: usize,
    /// Whether what is left of its process group is ended when it ends.
    pub end_group: bool,
    /// Where it runs.
    pub place: Place,
}

/// Where a program runs.
#[derive(Clone, Debug, Default)]
pub enum Place {
    /// As a child of this process.
    #[default]
    Here,
    /// Inside a fence of its own.
    Fenced(Box<Fenced>),
    /// Inside the fence of a keeper, with everything else that it started.
    Kept(Keeper),
}

/// A fence around one program.
#[derive(Clone, Debug)]
pub struct Fenced {
    /// What plays `proctor-fence`.
    pub launcher: PathBuf,
    /// What the program may do.
    pub fence: proctor_fence::Fence,
    /// A file that does not exist yet and that the program cannot write, for what becomes [`Ended::fence`].
    pub report: PathBuf,
    /// Where the program begins when that is a path which only the fence's namespaces bring; else [`Program::cwd`] holds.
    pub cwd: Option<PathBuf>,
}

/// How a program ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Exit code; absent when a signal or the time limit ended it.
    pub code: Option<i32>,
    /// The signal that ended it, unless the time limit did.
    pub signal: Option<i32>,
    /// Whether the time limit ended it.
    pub timed_out: bool,
    /// Standard output, up to the limit.
    pub stdout: Vec<u8>,
    /// Standard error, up to the limit.
    pub stderr: Vec<u8>,
    /// Bytes of both streams above the limit.
    pub cut: u64,
    /// How long it ran.
    pub duration: Duration,
    /// What the fence of its own saw: how its main process ended, what was left and is ended now, and what the kernel did
    /// not give. Absent without such a fence, and when that could not be set up: standard error says why.
    pub fence: Option<proctor_fence::Ended>,
}

impl Ended {
    /// Whether it exited with 0.
    pub fn ok(&self) -> bool {
        self.code == Some(0)
    }

    /// Standard output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text, else standard output, on one line: what a message quotes. Programs that print how they are used
    /// after an error name it first, others say it last.
    pub fn said(&self) -> String {
        let text = if self.stderr.iter().all(u8::is_ascii_whitespace) { &self.stdout } else { &self.stderr };
        let text = String::from_utf8_lossy(text);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let named = lines.iter().position(|line| line.starts_with("Error: "));
        let from = named.unwrap_or(lines.len().saturating_sub(3));
        let until = lines.iter().skip(from).position(|line| *line == "Usage:").map_or(lines.len(), |usage| from + usage);
        lines.get(from..until.min(from + 3)).unwrap_or(&[]).join("; ")
    }

    /// `exit 1`, `signal 9`, `time limit`.
    pub fn how(&self) -> String {
        match (self.code, self.signal) {
            (Some(code), _) => format!("exit {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "time limit".into(),
        }
    }
}

impl Program {
    /// A program with an empty environment, 30 s, 4 MiB of each stream.
    pub fn new(program: impl Into<PathBuf>, args: &[&str]) -> Self {
        Self {
            program: program.into(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            env: BTreeMap::new(),
            cwd: None,
            stdin: None,
            timeout: Duration::from_secs(30),
            limit: 4 << 20,
            end_group: false,
            place: Place::Here,
        }
    }

    /// The same program with this environment.
    #[must_use]
    pub fn env(mut self, env: &BTreeMap<String, String>) -> Self {
        self.env.clone_from(env);
        self
    }

    /// The same program in this working directory.
    #[must_use]
    pub fn cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.cwd = Some(cwd.into());
        self
    }

    /// The same program with this time limit.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same program inside a keeper's fence.
    #[must_use]
    pub fn kept(mut self, keeper: &Keeper) -> Self {
        self.place = Place::Kept(keeper.clone());
        self
    }

    /// The same program inside a fence of its own.
    #[must_use]
    pub fn fenced(mut self, fenced: Fenced) -> Self {
        self.place = Place::Fenced(Box::new(fenced));
        self
    }

    /// Runs it to its end. Dropping the future ends the process group.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn run(self) -> io::Result<Ended> {
        let begun = Instant::now();
        let Streams { mut running, stdin, stdout, stderr } = self.start().await?;
        let guard = Guard::new(running.pid());
        let (out, err) = (Kept::read(stdout, self.limit), Kept::read(stderr, self.limit));
        let writing = tokio::spawn(write(stdin, self.stdin.unwrap_or_default()));
        let waited = tokio::time::timeout(self.timeout, running.wait()).await;
        let status = match waited {
            Ok(status) => Some(status?),
            Err(_) => None,
        };
        if let (Place::Fenced(_), None) = (&self.place, status) {
            // The fence's parent ends the program, and names what was left, while it is still there to do so.
            linux::ask_fence_to_end(guard.pid);
            _ = tokio::time::timeout(FENCE_ENDS, running.wait()).await;
        }
        if self.end_group || status.is_none() {
            linux::kill_group(guard.pid);
            // Already collected or just killed: either way there is nothing left to learn.
            _ = running.wait().await;
        }
        guard.disarm();
        writing.abort();
        let duration = begun.elapsed();
        let (stdout, cut_out) = out.take().await;
        let (stderr, cut_err) = err.take().await;
        let fence = self.place.report();
        Ok(Ended {
            code: status.and_then(|s| s.code()),
            signal: status.and_then(|s| std::os::unix::process::ExitStatusExt::signal(&s)),
            timed_out: status.is_none(),
            stdout,
            stderr,
            cut: cut_out + cut_err,
            duration,
            fence,
        })
    }

    async fn start(&self) -> io::Result<Streams> {
        if let Place::Kept(keeper) = &self.place {
            return self.start_kept(keeper).await;
        }
        let mut child = self.command()?.spawn()?;
        let stdin = child.stdin.take().map(|stream| Box::new(stream) as Box<dyn AsyncWrite + Send + Unpin>);
        let stdout = child.stdout.take().map(|stream| Box::new(stream) as Box<dyn AsyncRead + Send + Unpin>);
        let stderr = child.stderr.take().map(|stream| Box::new(stream) as Box<dyn AsyncRead + Send + Unpin>);
        Ok(Streams { running: Running::Child(Box::new(child)), stdin, stdout, stderr })
    }

    async fn start_kept(&self, keeper: &Keeper) -> io::Result<Streams> {
        let order = proctor_fence::Order {
            program: self.program.clone(),
            args: self.args.clone(),
            env: self.env.clone(),
            cwd: self.cwd.clone(),
        };
        let (input, to_input) = std::io::pipe()?;
        let (from_output, output) = std::io::pipe()?;
        let (from_errors, errors) = std::io::pipe()?;
        let nothing = std::fs::File::open("/dev/null")?;
        let input = if self.stdin.is_some() { input.as_fd() } else { nothing.as_fd() };
        let program = keeper.start_program(&order, [input, output.as_fd(), errors.as_fd()]).await?;
        let stdin = match self.stdin {
            Some(_) => Some(Box::new(pipe::Sender::from_owned_fd(to_input.into())?) as Box<dyn AsyncWrite + Send + Unpin>),
            None => None,
        };
        Ok(Streams {
            running: Running::Kept(program),
            stdin,
            stdout: Some(Box::new(pipe::Receiver::from_owned_fd(from_output.into())?)),
            stderr: Some(Box::new(pipe::Receiver::from_owned_fd(from_errors.into())?)),
        })
    }

    fn command(&self) -> io::Result<Command> {
        let mut command = match &self.place {
            Place::Fenced(fenced) => {
                let fence = fenced.fence.to_json().map_err(io::Error::other)?;
                let mut command = Command::new(&fenced.launcher);
                command.arg("--report").arg(&fenced.report);
                if let Some(cwd) = &fenced.cwd {
                    command.arg("--cwd").arg(cwd);
                }
                command.arg(fence).arg("--").arg(&self.program);
                command
            }
            _ => Command::new(&self.program),
        };
        command.args(&self.args).env_clear().envs(&self.env).process_group(0).kill_on_drop(true);
        let input = if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Nothing depends on the folder that Proctor was started in: it may be a repository, or hold a `json.py`.
        command.current_dir(self.cwd.as_deref().unwrap_or(Path::new("/")));
        Ok(command)
    }
}

impl Place {
    /// What a fence of its own wrote down.
    fn report(&self) -> Option<proctor_fence::Ended> {
        let Self::Fenced(fenced) = self else { return None };
        serde_json::from_slice(&std::fs::read(&fenced.report).ok()?).ok()
    }
}

/// A program that runs, and this side of its streams.
struct Streams {
    running: Running,
    stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    stdout: Option<Box<dyn AsyncRead + Send + Unpin>>,
    stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
}

/// A program that runs.
enum Running {
    Child(Box<Child>),
    Kept(KeptProgram),
}

impl Running {
    fn pid(&self) -> u32 {
        match self {
            Self::Child(child) => child.id().unwrap_or_default(),
            Self::Kept(program) => program.pid,
        }
    }

    async fn wait(&mut self) -> io::Result<ExitStatus> {
        match self {
            Self::Child(child) => child.wait().await,
            Self::Kept(program) => program.wait().await,
        }
    }
}

async fn write(stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>, bytes: Vec<u8>) {
    if let Some(mut stdin) = stdin {
        // A program that does not read its input is its own affair; the exit code tells.
        _ = stdin.write_all(&bytes).await;
        _ = stdin.shutdown().await;
    }
}

/// A process that leads its group and that somebody waits for; its group is ended when this is dropped before [`Guard::disarm`].
#[derive(Debug)]
pub struct Guard {
    pid: u32,
    armed: bool,
}

impl Guard {
    /// Watches over the group of a process that was just started.
    pub fn new(pid: u32) -> Self {
        OWN.lock().unwrap_or_else(PoisonError::into_inner).insert(pid);
        Self { pid, armed: true }
    }

    /// The process has ended and was collected.
    pub fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.armed {
            linux::kill_group(self.pid);
        }
        OWN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.pid);
    }
}

/// What is kept of a stream while it is read by a task of its own.
struct Kept {
    bytes: Arc<Mutex<(Vec<u8>, u64)>>,
    reading: tokio::task::JoinHandle<()>,
}

impl Kept {
    fn read(stream: Option<Box<dyn AsyncRead + Send + Unpin>>, limit: usize) -> Self {
        let bytes = Arc::new(Mutex::new((Vec::new(), 0)));
        let target = Arc::clone(&bytes);
        let reading = tokio::spawn(async move {
            let Some(mut stream) = stream else { return };
            let mut buffer = vec![0; 16384];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                let mut kept = target.lock().unwrap_or_else(PoisonError::into_inner);
                let room = limit.saturating_sub(kept.0.len()).min(read);
                kept.0.extend_from_slice(&buffer[..room]);
                kept.1 += (read - room) as u64;
            }
        });
        Self { bytes, reading }
    }

    async fn take(mut self) -> (Vec<u8>, u64) {
        if tokio::time::timeout(STRAGGLING_OUTPUT, &mut self.reading).await.is_err() {
            self.reading.abort();
        }
        std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(stderr: &str) -> String {
        let (stdout, stderr) = (Vec::new(), stderr.into());
        let duration = Duration::ZERO;
        Ended { code: Some(1), signal: None, timed_out: false, stdout, stderr, cut: 0, duration, fence: None }.said()
    }

    #[test]
    fn an_error_is_quoted_and_not_the_usage_after_it() {
        let usage = "⚠ one thing\nError: session not found\nUsage:\n  gt nudge\n\nFlags:\n  --stdin\n  --mode\n  -h\n";
        assert_eq!(said(usage), "Error: session not found");
        assert_eq!(said("a\nb\nc\nd\n"), "b; c; d");
    }
}
