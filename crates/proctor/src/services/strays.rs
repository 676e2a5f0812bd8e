//! What came in that counts for nobody, or was refused: alike requests together, the first with the process that sent it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use proctor_harness::linux;
use proctor_harness::lives::Lives;
use proctor_judge::evidence::{RefusalReason, RefusedRequests, Sender, Time};

/// Rows that are told apart; what comes beyond them is counted in one row for each listener and reason.
const MOST_ROWS: usize = 200;
/// Lookups of the senders of alike requests that may follow each other closely; they may come from several.
const FIRST_LOOKUPS: u32 = 8;
/// The least time between two of those, which each look at every process.
const BETWEEN_LOOKUPS: Duration = Duration::from_millis(20);
/// The same of all further ones.
const BETWEEN_LATER_LOOKUPS: Duration = Duration::from_millis(200);
/// Longest example, in bytes.
const LONGEST_EXAMPLE: usize = 200;

/// One end of a connection and the other: theirs and ours.
pub(crate) type Ends = (SocketAddr, SocketAddr);

/// See the file's head.
#[derive(Debug, Default)]
pub(crate) struct Strays {
    rows: Mutex<BTreeMap<Key, RefusedRequests>>,
    lives: OnceLock<Lives>,
    looked: Mutex<BTreeMap<Kind, Looked>>,
}

/// What makes requests alike, whoever sent them.
type Kind = (&'static str, RefusalReason, Option<String>);

/// How often the sender of alike requests was looked up, and when last.
#[derive(Debug)]
struct Looked {
    times: u32,
    last: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    listener: &'static str,
    reason: RefusalReason,
    claimed: Option<String>,
    agent: Option<String>,
}

/// One request, as whoever refused it knows it.
#[derive(Clone, Debug)]
pub(crate) struct Stray<'a> {
    pub(crate) listener: &'static str,
    pub(crate) reason: RefusalReason,
    /// The agent that the address names without its token.
    pub(crate) claimed: Option<&'a str>,
    /// The agent that sent it, where the address tells.
    pub(crate) agent: Option<&'a str>,
    /// The process that sent it, where it is known already.
    pub(crate) sender: Option<Sender>,
    /// Method and path.
    pub(crate) example: &'a str,
    pub(crate) ends: Ends,
    pub(crate) at: Time,
}

impl Strays {
    /// From now on senders are looked for among those whom the launcher started.
    pub(crate) fn know_lives(&self, sessions: PathBuf) {
        // Told once, by the run's only gateway.
        let _ = self.lives.set(Lives::of(&sessions));
    }

    /// Counts one.
    pub(crate) fn add(&self, stray: &Stray<'_>) {
        let look = || self.wants_sender(stray).then(|| self.sender(stray.ends)).flatten();
        let sender = stray.sender.clone().or_else(look);
        let agent = stray.agent.map(str::to_owned).or_else(|| sender.as_ref().and_then(|sender| sender.agent.clone()));
        let key = Key { listener: stray.listener, reason: stray.reason, claimed: stray.claimed.map(str::to_owned), agent };
        let mut rows = self.rows();
        let key = if rows.len() < MOST_ROWS || rows.contains_key(&key) { key } else { Key { claimed: None, agent: None, ..key } };
        let row = rows.entry(key.clone()).or_insert_with(|| RefusedRequests {
            listener: key.listener.to_owned(),
            reason: key.reason,
            claimed: key.claimed,
            agent: key.agent,
            from: sender.clone(),
            example: cut(stray.example),
            count: 0,
            first_at: stray.at,
            last_at: stray.at,
        });
        row.count += 1;
        row.last_at = row.last_at.max(stray.at);
        if row.from.is_none() {
            row.from = sender;
        }
    }

    /// What was counted so far, by listener, reason and address.
    pub(crate) fn all(&self) -> Vec<RefusedRequests> {
        self.rows().values().cloned().collect()
    }

    /// The process at the other end of a connection, and the agent that it stems from.
    pub(crate) fn sender(&self, ends: Ends) -> Option<Sender> {
        self.senders(&[ends.0], ends.1).remove(&ends.0)
    }

    /// [`Strays::sender`] of many connections to `ours`, found with one look at every process.
    pub(crate) fn senders(&self, theirs: &[SocketAddr], ours: SocketAddr) -> BTreeMap<SocketAddr, Sender> {
        let Some(ours) = v4(ours) else { return BTreeMap::new() };
        let theirs: Vec<SocketAddrV4> = theirs.iter().copied().filter_map(v4).collect();
        let mut known: BTreeMap<u32, Sender> = BTreeMap::new();
        let mut sender = |pid: u32| known.entry(pid).or_insert_with(|| self.process(pid)).clone();
        let found = linux::processes_at(&theirs, ours);
        found.into_iter().map(|(theirs, pid)| (SocketAddr::V4(theirs), sender(pid))).collect()
    }

    fn process(&self, pid: u32) -> Sender {
        let unknown =
            || Sender { pid, program: linux::process(pid).map(|found| found.name).unwrap_or_default(), ..Sender::default() };
        self.lives.get().map_or_else(unknown, |lives| lives.sender(pid))
    }

    /// Whether it is worth a look at every process. The first of a kind always is, and some of those that follow, without end: whoever
    /// sent the first ones must not hide the next sender.
    fn wants_sender(&self, stray: &Stray<'_>) -> bool {
        let kind = (stray.listener, stray.reason, stray.claimed.map(str::to_owned));
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let wants = match looked.get(&kind) {
            None => looked.len() < MOST_ROWS,
            Some(Looked { times, last }) => {
                let between = if *times < FIRST_LOOKUPS { BETWEEN_LOOKUPS } else { BETWEEN_LATER_LOOKUPS };
                now.duration_since(*last) >= between
            }
        };
        if wants {
            let entry = looked.entry(kind).or_insert(Looked { times: 0, last: now });
            *entry = Looked { times: entry.times + 1, last: now };
        }
        wants
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<Key, RefusedRequests>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn v4(address: SocketAddr) -> Option<SocketAddrV4> {
    match address {
        SocketAddr::V4(address) => Some(address),
        SocketAddr::V6(_) => None,
    }
}

fn cut(text: &str) -> String {
    let end = (0..=LONGEST_EXAMPLE.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]
    use super::*;

    fn stray(claimed: &str) -> Stray<'_> {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Stray {
            listener: "gateway",
            reason: RefusalReason::NoToken,
            claimed: Some(claimed),
            agent: None,
            sender: None,
            example: "POST /a/mayor/v1/messages",
            ends: (nowhere, nowhere),
            at: Time::UNIX_EPOCH,
        }
    }

    #[test]
    fn alike_requests_are_one_row_and_no_number_of_names_fills_the_memory() {
        let strays = Strays::default();
        for _ in 0..3 {
            strays.add(&stray("mayor"));
        }
        let rows = strays.all();
        assert_eq!((rows.len(), rows[0].count, rows[0].claimed.as_deref()), (1, 3, Some("mayor")));
        for n in 0..1000 {
            strays.add(&stray(&format!("agent{n}")));
        }
        let rows = strays.all();
        assert_eq!(rows.len(), MOST_ROWS + 1);
        assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 1003, "all are counted");
    }

    #[test]
    fn the_process_that_sent_the_first_is_named_with_its_agent() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let ends = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
        let strays = Strays::default();
        let folder = tempfile::tempdir().unwrap();
        let (pid, file) = (std::process::id(), folder.path().join("sessions.ndjson"));
        let row = serde_json::json!({"session": null, "run_id": null, "agent": "al/polecats/x", "role": "polecat", "rig": null,
            "pid": pid, "started": linux::process(pid).unwrap().started, "command": ["/bin/x"],
            "started_at": "2026-01-01T00:00:00Z", "issue": null, "branch": null});
        std::fs::write(&file, format!("{row}\n")).unwrap();
        strays.know_lives(file);
        strays.add(&Stray { ends, ..stray("mayor") });
        let row = strays.all().remove(0);
        assert_eq!((row.agent.as_deref(), row.from.map(|from| from.pid)), (Some("al/polecats/x"), Some(pid)));
    }
}
