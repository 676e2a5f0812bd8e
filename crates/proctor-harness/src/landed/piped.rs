//! A git that answers questions through its pipes, for threads that may wait; it is ended when it takes too long.

use std::io::{self, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use super::git::Git;
use crate::halt::Halt;
use crate::linux;
use crate::process::Guard;

/// How long one may be at work.
const LIMIT: Duration = Duration::from_secs(60);
/// What is read at once.
const PIECE: usize = 64 << 10;

/// A running git.
pub(super) struct Piped {
    child: Child,
    guard: Option<Guard>,
    in_time: Option<Sender<()>>,
    /// Where questions go; none any more once all are asked.
    pub(super) questions: Option<ChildStdin>,
    pub(super) answers: BufReader<ChildStdout>,
    name: String,
}

impl Piped {
    /// Starts git in a repository.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(git: &Git, repository: &Path, args: &[&str]) -> Result<Self, Halt> {
        let name = format!("git {} in {}", args.join(" "), repository.display());
        let failed = |error: io::Error| Halt::environment(format!("`{name}` cannot be started: {error}"));
        let mut command = Command::new(git.program());
        command.arg(format!("--git-dir={}", repository.display())).args(args);
        command.env_clear().envs(git.environment()).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(failed)?;
        let guard = Some(Guard::new(child.id()));
        let (questions, answers) = (child.stdin.take(), child.stdout.take());
        let Some(answers) = answers else { return Err(failed(io::Error::other("it has no output"))) };
        let in_time = Some(ended_after(LIMIT, child.id()).map_err(failed)?);
        Ok(Self { child, guard, in_time, questions, answers: BufReader::with_capacity(PIECE, answers), name })
    }

    /// What is said when it ended before its answers did.
    pub(super) fn broken(&self, error: &io::Error) -> Halt {
        Halt::harness(format!("`{}` broke off: {error}", self.name))
    }
}

/// Ends a process group when the answer is not dropped in time.
fn ended_after(limit: Duration, pid: u32) -> io::Result<Sender<()>> {
    let (in_time, ended) = mpsc::channel();
    let watch = move || {
        if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            linux::kill_group(pid);
        }
    };
    thread::Builder::new().name("git in time".into()).spawn(watch).map(|_| in_time)
}

impl Drop for Piped {
    fn drop(&mut self) {
        drop(self.in_time.take());
        // Ends its group, so that waiting for it ends too.
        drop(self.guard.take());
        _ = self.child.wait();
    }
}
