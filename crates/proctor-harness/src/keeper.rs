//! Programs that a keeper starts: all of a town's inside one fence.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proctor_fence::{Fence, Leftover, Line, Missing, News, Order, Status};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

/// How long a keeper may take to go inside.
const GOES_INSIDE: Duration = Duration::from_secs(10);
/// How long it may take to end, above the grace of what is below it.
const ENDS: Duration = Duration::from_secs(10);

/// A process inside a fence that starts programs for this one. When the last handle is dropped, or this process ends, it ends
/// everything below it, unless it was told to stay.
#[derive(Clone, Debug)]
pub struct Keeper(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    line: Arc<Heard>,
    waiting: Arc<Mutex<Waiting>>,
    reader: tokio::task::JoinHandle<()>,
    parent: Mutex<Option<Child>>,
    pid: u32,
    missing: Vec<Missing>,
}

/// Who waits for which news.
#[derive(Debug, Default)]
struct Waiting {
    last: u64,
    starts: BTreeMap<u64, oneshot::Sender<io::Result<u32>>>,
    ends: BTreeMap<u64, oneshot::Sender<ExitStatus>>,
    gone: Option<oneshot::Sender<Vec<Leftover>>>,
}

/// A program that a keeper started.
#[derive(Debug)]
pub(crate) struct KeptProgram {
    /// Its process, the leader of a group.
    pub(crate) pid: u32,
    status: Option<ExitStatus>,
    end: oneshot::Receiver<ExitStatus>,
}

impl KeptProgram {
    /// Waits for its end.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        let status = (&mut self.end).await.map_err(|_| gone())?;
        self.status = Some(status);
        Ok(status)
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the keeper of the town's fence is gone: something ended it")
}

impl Keeper {
    /// Starts a keeper inside a fence. `launcher` plays `proctor-fence`; `env` is the whole environment of the keeper itself, not
    /// of what it starts.
    ///
    /// # Errors
    /// When it cannot be started, or the fence cannot be set up.
    pub async fn start(launcher: &Path, fence: &Fence, env: &BTreeMap<String, String>) -> io::Result<Self> {
        let (line, its) = Line::new()?;
        let fence = fence.to_json().map_err(io::Error::other)?;
        let mut command = Command::new(launcher);
        command.arg("--keeper").arg(fence).env_clear().envs(env).process_group(0).current_dir("/");
        // The keeper of a town that is kept outlives this process: whoever reads this process's output must not wait for it.
        // Why it fails it says on its line.
        let child = command.stdin(Stdio::from(its)).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        // The command holds its own copy of the other end, which must be closed for this one to tell of its end.
        drop(command);
        let line = Arc::new(Heard::new(line)?);
        let missing = match tokio::time::timeout(GOES_INSIDE, line.next()).await {
            Ok(Ok(News::Ready(missing))) => missing,
            Ok(Ok(News::Failed(reason))) => return Err(io::Error::other(reason)),
            Ok(Ok(other)) => return Err(io::Error::other(format!("the keeper says {other:?} before it is ready"))),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "the keeper was not inside its fence in time")),
        };
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let reader = tokio::spawn(read(Arc::clone(&line), Arc::clone(&waiting)));
        let pid = child.id().unwrap_or_default();
        Ok(Self(Arc::new(Inner { line, waiting, reader, parent: Mutex::new(Some(child)), pid, missing })))
    }

    /// The process outside that looks after the keeper; the keeper is its only child.
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// What the kernel did not give of the fence.
    pub fn missing(&self) -> &[Missing] {
        &self.0.missing
    }

    /// Lets everything below go on when this process ends.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub fn stay(&self) -> io::Result<()> {
        self.0.line.line.stay()
    }

    /// Ends everything below, and the keeper; says what was still there.
    ///
    /// # Errors
    /// When the keeper is gone already, or does not end in time.
    pub async fn end(&self) -> io::Result<Vec<Leftover>> {
        let (tell, told) = oneshot::channel();
        self.waiting().gone = Some(tell);
        self.0.line.line.end()?;
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the keeper did not end in time");
        let leftovers = tokio::time::timeout(ENDS, told).await.map_err(late)?.map_err(|_| gone())?;
        let parent = self.0.parent.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut parent) = parent {
            tokio::time::timeout(ENDS, parent.wait()).await.map_err(late)??;
        }
        Ok(leftovers)
    }

    /// Starts a program with these standard streams, as leader of a process group.
    pub(crate) async fn start_program(&self, order: &Order, streams: [BorrowedFd<'_>; 3]) -> io::Result<KeptProgram> {
        let (tell_start, started) = oneshot::channel();
        let (tell_end, end) = oneshot::channel();
        let id = {
            let mut waiting = self.waiting();
            waiting.last += 1;
            let id = waiting.last;
            waiting.starts.insert(id, tell_start);
            waiting.ends.insert(id, tell_end);
            id
        };
        self.0.line.line.start(id, order, streams)?;
        let pid = started.await.map_err(|_| gone())??;
        Ok(KeptProgram { pid, status: None, end })
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // It holds the line, too.
        self.reader.abort();
    }
}

/// A line that a task can wait at.
#[derive(Debug)]
struct Heard {
    line: Line,
    /// The same socket: only whether something is there is asked of it.
    ready: UnixStream,
}

impl Heard {
    fn new(line: Line) -> io::Result<Self> {
        let same = std::os::unix::net::UnixStream::from(line.as_fd().try_clone_to_owned()?);
        same.set_nonblocking(true)?;
        Ok(Self { ready: UnixStream::from_std(same)?, line })
    }

    /// The next news.
    async fn next(&self) -> io::Result<News> {
        let there = || self.line.news()?.ok_or_else(|| io::ErrorKind::WouldBlock.into());
        loop {
            self.ready.readable().await?;
            match self.ready.try_io(Interest::READABLE, there) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                news => return news,
            }
        }
    }
}

/// Hands news to whoever waits for them, until the keeper is gone: then nobody can wait any longer.
async fn read(line: Arc<Heard>, waiting: Arc<Mutex<Waiting>>) {
    while let Ok(news) = line.next().await {
        waiting.lock().unwrap_or_else(PoisonError::into_inner).tell(news);
    }
    *waiting.lock().unwrap_or_else(PoisonError::into_inner) = Waiting::default();
}

impl Waiting {
    /// Whoever waited may have been dropped meanwhile; then nobody wants to know.
    fn tell(&mut self, news: News) {
        match news {
            News::Started { id, pid } => _ = self.starts.remove(&id).map(|tell| tell.send(Ok(pid))),
            News::NotStarted { id, error, reason } => {
                self.ends.remove(&id);
                let error = if error == 0 { io::Error::other(reason) } else { io::Error::from_raw_os_error(error) };
                _ = self.starts.remove(&id).map(|tell| tell.send(Err(error)));
            }
            News::Ended { id, status } => _ = self.ends.remove(&id).map(|tell| tell.send(exit_status(status))),
            News::Gone(leftovers) => _ = self.gone.take().map(|tell| tell.send(leftovers)),
            News::Ready(_) | News::Failed(_) => {}
        }
    }
}

/// As wait(2) says it.
fn exit_status(status: Status) -> ExitStatus {
    ExitStatus::from_raw(match status {
        Status::Code(code) => (code & 0xff) << 8,
        Status::Signal(signal) => signal,
    })
}
