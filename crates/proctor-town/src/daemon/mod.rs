//! The daemon of a town: keeps agents' sessions and merges what they submit.
//!
//! One thread accepts requests on `daemon/daemon.sock`; each session has a reader and a waiter, each rig with work a merge
//! thread. Everything is driven by events: a request, output, a process's end.

pub(crate) mod client;
mod door;
mod identity;
mod life;
pub(crate) mod order;
mod peer;
mod queue;
mod rebase;
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
use std::time::Duration;

use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::agents;
use crate::caller::Caller;
use crate::credentials::MERGE_TOKEN;
use crate::error::{Result, TownError, refused};
use crate::launch::without_identity;
use crate::processes;
use crate::town::Town;

use door::{Door, Visit};
use identity::{Agent, Roots, Who};
use life::Life;
use peer::Peer;

/// How often, and after what time, a lock that somebody holds for a moment is tried again.
const LOCK_TRIES: (u32, Duration) = (20, Duration::from_millis(5));

/// Between two connections that could not be accepted: for want of descriptors, as a rule, which only time frees.
const BREATH: Duration = Duration::from_millis(10);

/// A running daemon.
pub(crate) struct Daemon {
    pub(crate) root: PathBuf,
    pub(crate) caller: Caller,
    lives: Mutex<HashMap<String, Arc<Life>>>,
    queues: Mutex<HashMap<String, Sender<()>>>,
    roots: Mutex<Roots>,
    door: Arc<Door>,
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
    // The connection stays open though nobody uses it: whoever closes the last one folds the log into the store, which would
    // be every single command.
    let Town { root, db: _kept, mut caller } = town;
    caller.env = without_identity(&caller.env);
    // Whatever the daemon starts inherits its environment, and must not merge in its name.
    caller.merge_token = caller.env.remove(MERGE_TOKEN).filter(|token| !token.is_empty()).map(Arc::from);
    let lock = take_lock(&root)?;
    tell_of_lost(&root, &caller)?;
    let log = file(&root, "daemon.log");
    let log = OpenOptions::new().create(true).append(true).open(&log).map_err(TownError::io(&log))?;
    let daemon = Arc::new(Daemon {
        root,
        caller,
        lives: Mutex::default(),
        queues: Mutex::default(),
        roots: Mutex::default(),
        door: Arc::default(),
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
    for _ in 0..LOCK_TRIES.0 {
        if let Some(lock) = try_lock(root)? {
            return Ok(lock);
        }
        std::thread::sleep(LOCK_TRIES.1);
    }
    refused("daemon already running")
}

fn try_lock(root: &Path) -> Result<Option<File>> {
    let path = file(root, "daemon.lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(TownError::io(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(TownError::io(&path)(error)),
    }
}

/// Says that the daemon was killed, once, when it was: it left its number behind and holds its lock no more.
pub(crate) fn note_lost(root: &Path, caller: &Caller) -> Result<()> {
    if !file(root, "daemon.pid").exists() {
        return Ok(());
    }
    match try_lock(root)? {
        Some(_lock) => tell_of_lost(root, caller),
        None => Ok(()),
    }
}

/// [`note_lost`], with the lock in hand.
fn tell_of_lost(root: &Path, caller: &Caller) -> Result<()> {
    let path = file(root, "daemon.pid");
    let Ok(pid) = std::fs::read_to_string(&path) else { return Ok(()) };
    std::fs::remove_file(&path).map_err(TownError::io(&path))?;
    let _ = std::fs::remove_file(file(root, "daemon.sock"));
    let pid: Option<u32> = pid.trim().parse().ok();
    Town::at(root.to_path_buf(), caller)?.change_as("daemon", "gt", |change| {
        change.event("daemon_lost", json!({ "pid": pid }));
        Ok(())
    })
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
                Err(error) => {
                    self.log(&format!("accept: {error}"));
                    std::thread::sleep(BREATH);
                }
            }
        }
        signals.close();
        let _ = std::fs::remove_file(&socket);
        let _ = std::fs::remove_file(&pid);
        self.log("daemon stopped");
        Ok(())
    }

    fn answer(self: &Arc<Self>, stream: UnixStream) {
        let visit = match self.admit(&stream) {
            Ok(visit) => visit,
            Err(why) => return door::turn_away(&stream, &why),
        };
        let daemon = Arc::clone(self);
        let serve = move || {
            if let Err(error) = requests::answer(&daemon, &stream, &visit) {
                daemon.log(&format!("request of {}: {error}", visit.name()));
            }
        };
        if let Err(error) = std::thread::Builder::new().spawn(serve) {
            self.log(&format!("no thread for a request: {error}"));
        }
    }

    /// Whoever cannot be recognised stays out, as does whoever has too many connections open.
    fn admit(&self, stream: &UnixStream) -> std::result::Result<Visit, String> {
        let known = Peer::of(stream).and_then(|peer| self.who(&peer).map(|who| (peer, who)));
        let (peer, who) = known.map_err(|unknown| format!("{unknown}; try again"))?;
        self.door.admit(who.clone(), peer).map_err(|first| {
            if let (Who::Agent(agent), true) = (&who, first) {
                self.note_flood(agent, 1);
            }
            format!("too many commands at once: {} are being run for this agent; wait for one to end", door::OPEN)
        })
    }

    /// Tells that an agent's requests were refused for their number.
    pub(crate) fn note_flood(&self, agent: &Agent, count: u64) {
        self.log(&format!("{}: {count} request(s) refused, too many at once", agent.session));
        let told = self.town().and_then(|mut town| {
            town.change_as("daemon", "gt", |change| {
                let why = format!("more than {} at once", door::OPEN);
                change.event(
                    "requests_refused",
                    json!({ "agent": agent.agent, "session": agent.session, "count": count, "why": why }),
                );
                Ok(())
            })
        });
        if let Err(error) = told {
            self.log(&format!("{}: {error}", agent.session));
        }
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
        for session in agents::sessions(&town.db)? {
            let (agent, run_id) = (session.agent.clone(), session.run_id.clone());
            locked(&self.roots).remember(Agent { agent, session: session.session.clone(), run_id });
            if session.ended_at.is_some() {
                continue;
            }
            let leader = session.pid.unwrap_or_default();
            let left = processes::end_leftovers(leader, &format!("GT_RUN={}", session.run_id));
            let left: Vec<_> = left.iter().map(|p| json!({ "pid": p.pid, "command": p.command })).collect();
            town.change_as("daemon", "gt", |change| change.end_session(session.n, "lost with its daemon", &json!(left)))?;
            self.log(&format!("session {} was lost with its daemon", session.session));
        }
        Ok(())
    }
}
