//! The daemon of a town: keeps agents' sessions and merges what they submit.
//!
//! One thread accepts requests on `daemon/daemon.sock`; each session has a reader and a waiter, each rig with work a merge
//! thread. Everything is driven by events: a request, output, a process's end.

pub(crate) mod client;
mod life;
mod queue;
mod requests;
mod start;

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::agents;
use crate::caller::Caller;
use crate::error::{Result, TownError, refused};
use crate::launch::without_identity;
use crate::processes;
use crate::town::Town;

use life::Life;

/// A running daemon.
pub(crate) struct Daemon {
    pub(crate) root: PathBuf,
    pub(crate) caller: Caller,
    lives: Mutex<HashMap<String, Arc<Life>>>,
    queues: Mutex<HashMap<String, Sender<()>>>,
    stopping: AtomicBool,
    log: Mutex<File>,
}

/// A lock whose holder panicked still guards usable data here: every critical section leaves it whole.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Paths of a daemon's files.
pub(crate) fn file(root: &Path, name: &str) -> PathBuf {
    root.join("daemon").join(name)
}

/// Runs the daemon of `town` until it is told to stop.
pub(crate) fn run(town: Town) -> Result<()> {
    let Town { root, db, mut caller } = town;
    drop(db);
    caller.env = without_identity(&caller.env);
    let lock = take_lock(&root)?;
    let log = file(&root, "daemon.log");
    let log = OpenOptions::new().create(true).append(true).open(&log).map_err(TownError::io(&log))?;
    let daemon = Arc::new(Daemon {
        root,
        caller,
        lives: Mutex::default(),
        queues: Mutex::default(),
        stopping: AtomicBool::new(false),
        log: Mutex::new(log),
    });
    daemon.forget_lost_sessions()?;
    let result = daemon.serve();
    daemon.end_all("stopped with the daemon");
    drop(lock);
    result
}

fn take_lock(root: &Path) -> Result<File> {
    let path = file(root, "daemon.lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(TownError::io(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => refused("daemon already running"),
        Err(TryLockError::Error(error)) => Err(TownError::io(&path)(error)),
    }
}

impl Daemon {
    fn serve(self: &Arc<Self>) -> Result<()> {
        let socket = file(&self.root, "daemon.sock");
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).map_err(TownError::io(&socket))?;
        let pid = file(&self.root, "daemon.pid");
        std::fs::write(&pid, format!("{}\n", std::process::id())).map_err(TownError::io(&pid))?;
        let signals = self.stop_on_signals()?;
        self.log(&format!("daemon started (PID {})", std::process::id()));
        self.caller.count_daemon("gastown.daemon.heartbeat.total", &[]);
        self.resume_queues()?;
        for stream in listener.incoming() {
            if self.stopping.load(Ordering::SeqCst) {
                break;
            }
            match stream {
                Ok(stream) => self.answer(stream),
                Err(error) => self.log(&format!("accept: {error}")),
            }
        }
        signals.close();
        let _ = std::fs::remove_file(&socket);
        let _ = std::fs::remove_file(&pid);
        self.log("daemon stopped");
        Ok(())
    }

    fn answer(self: &Arc<Self>, stream: UnixStream) {
        let daemon = Arc::clone(self);
        std::thread::spawn(move || {
            if let Err(error) = requests::answer(&daemon, &stream) {
                daemon.log(&format!("request: {error}"));
            }
        });
    }

    fn stop_on_signals(self: &Arc<Self>) -> Result<signal_hook::iterator::Handle> {
        let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(TownError::io(Path::new("signals")))?;
        let handle = signals.handle();
        let daemon = Arc::clone(self);
        std::thread::spawn(move || {
            if signals.forever().next().is_some() {
                daemon.stop();
            }
        });
        Ok(handle)
    }

    /// Makes [`Daemon::serve`] return.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        // The accepting thread sleeps in `accept`; a connection wakes it.
        let _ = UnixStream::connect(file(&self.root, "daemon.sock"));
    }

    /// One line in `daemon.log`. A log that cannot be written must not stop the town.
    pub(crate) fn log(&self, line: &str) {
        let _ = writeln!(locked(&self.log), "{} {line}", self.caller.now());
    }

    /// The store, on a connection of its own.
    pub(crate) fn town(&self) -> Result<Town> {
        Town::at(self.root.clone(), &self.caller)
    }

    /// The living session of that name.
    pub(crate) fn life(&self, session: &str) -> Option<Arc<Life>> {
        locked(&self.lives).get(session).cloned()
    }

    /// Ends every session.
    pub(crate) fn end_all(&self, reason: &str) {
        let lives: Vec<Arc<Life>> = locked(&self.lives).values().cloned().collect();
        std::thread::scope(|scope| {
            for life in &lives {
                scope.spawn(|| life.end(reason));
            }
        });
    }

    /// Sessions whose daemon was killed have no end in the store: end what still lives of them, and write it down.
    fn forget_lost_sessions(&self) -> Result<()> {
        let mut town = self.town()?;
        for session in agents::sessions(&town.db)?.into_iter().filter(|session| session.ended_at.is_none()) {
            let leader = session.pid.unwrap_or_default();
            let left = processes::end_leftovers(leader, &format!("GT_RUN={}", session.run_id));
            let left: Vec<_> = left.iter().map(|p| json!({ "pid": p.pid, "command": p.command })).collect();
            town.change_as("daemon", "gt", |change| change.end_session(session.n, "lost with its daemon", &json!(left)))?;
            self.log(&format!("session {} was lost with its daemon", session.session));
        }
        Ok(())
    }
}
