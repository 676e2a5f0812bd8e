//! The daemon's door: who may come in, how many at once, and how long they may take.
//!
//! One agent's connections never take the place of another's: each is counted by itself, and what is above its limit is
//! refused at once, by the thread that accepts.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use super::identity::Who;
use super::locked;
use super::peer::Peer;

/// Connections that one agent may have open at once; an honest one has one for each command that runs.
pub(super) const OPEN: usize = 16;

/// Longest request. Arguments of a Linux command line are at most 2 MiB.
pub(crate) const LONGEST: u64 = 4 << 20;

/// How long a request may take to arrive, and an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who is inside, by agent, and how many were refused.
#[derive(Debug, Default)]
pub(super) struct Door {
    guests: Mutex<HashMap<String, Guests>>,
}

#[derive(Debug, Default)]
struct Guests {
    open: usize,
    refused: u64,
}

/// One connection that was let in; it counts until it is dropped.
#[derive(Debug)]
pub(super) struct Visit {
    /// Who it is.
    pub(super) who: Who,
    /// Its process.
    pub(super) peer: Peer,
    name: String,
    door: Arc<Door>,
}

impl Door {
    /// Lets a caller in unless it has too many connections open; says whether that is its first refusal.
    pub(super) fn admit(self: &Arc<Self>, who: Who, peer: Peer) -> Result<Visit, bool> {
        let name = match &who {
            Who::Operator => String::new(),
            Who::Agent(agent) => agent.session.clone(),
        };
        let mut guests = locked(&self.guests);
        let counted = guests.entry(name.clone()).or_default();
        // Nobody but the harness and its owner is an operator, and neither harms itself.
        if counted.open >= OPEN && who != Who::Operator {
            counted.refused += 1;
            return Err(counted.refused == 1);
        }
        counted.open += 1;
        Ok(Visit { who, peer, name, door: Arc::clone(self) })
    }

    /// How many connections of a session were refused since it began; counts from 0 again afterwards.
    pub(super) fn refused(&self, session: &str) -> u64 {
        locked(&self.guests).get_mut(session).map_or(0, |guests| std::mem::take(&mut guests.refused))
    }
}

impl Visit {
    /// Who it is, for the log.
    pub(super) fn name(&self) -> &str {
        if self.name.is_empty() { "the operator" } else { &self.name }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(guests) = locked(&self.door.guests).get_mut(&self.name) {
            guests.open = guests.open.saturating_sub(1);
        }
    }
}

/// Why a request was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    /// Too long.
    #[error("a request may have at most {} MiB", LONGEST >> 20)]
    TooLong,
    /// Too slow.
    #[error("the request did not arrive within {} s", PATIENCE.as_secs())]
    TooSlow,
    /// Cut off, or never sent.
    #[error("the request was cut off")]
    CutOff,
}

/// Reads one line, however it is dripped in.
pub(super) fn request(stream: &UnixStream) -> Result<Vec<u8>, Unread> {
    let end = Instant::now() + PATIENCE;
    let mut reader = BufReader::new(stream).take(LONGEST + 1);
    let mut line = Vec::new();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return Err(Unread::TooSlow);
        }
        // One read at a time, so that a caller that drips meets the same end as one that is silent.
        let (taken, whole) = match reader.fill_buf() {
            Ok([]) => break,
            Ok(read) => {
                let newline = read.iter().position(|byte| *byte == b'\n');
                line.extend_from_slice(&read[..newline.unwrap_or(read.len())]);
                (newline.map_or(read.len(), |at| at + 1), newline.is_some())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Err(Unread::TooSlow),
            Err(_) => return Err(Unread::CutOff),
        };
        reader.consume(taken);
        if whole {
            return Ok(line);
        }
    }
    Err(if line.len() as u64 > LONGEST { Unread::TooLong } else { Unread::CutOff })
}

/// Sends one line; who does not take it in time goes without.
pub(super) fn reply(stream: &UnixStream, line: &str) -> std::io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut out = stream;
    out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n"))
}

/// Turns a caller away without waiting for it.
pub(super) fn turn_away(stream: &UnixStream, why: &str) {
    let line = format!("{}\n", json!({ "error": why }));
    // A full buffer belongs to a caller that does not read; it finds the connection closed.
    let _ = stream.set_nonblocking(true).and_then(|()| (&*stream).write_all(line.as_bytes()));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]
    use std::net::Shutdown;
    use std::os::unix::net::UnixListener;

    use super::super::identity::Agent;
    use super::*;

    fn sent(bytes: &[u8]) -> Result<Vec<u8>, Unread> {
        let (mut sender, receiver) = UnixStream::pair().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // A receiver that has had enough closes; what is left over is nobody's.
                let _ = sender.write_all(bytes).and_then(|()| sender.shutdown(Shutdown::Write));
            });
            let line = request(&receiver);
            drop(receiver);
            line
        })
    }

    #[test]
    fn a_request_is_one_line_and_whole() {
        assert_eq!(sent(b"{}\nmore").unwrap(), b"{}");
        assert!(matches!(sent(b"{\"op\":"), Err(Unread::CutOff)));
        assert!(matches!(sent(&vec![b'x'; 5 << 20]), Err(Unread::TooLong)));
    }

    #[test]
    fn one_agents_connections_are_counted_by_themselves() {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("s")).unwrap();
        let agent = |session: &str| {
            let agent = Agent { agent: "a".into(), session: session.into(), run_id: "r".into() };
            Who::Agent(agent)
        };
        let door = Arc::new(Door::default());
        let knock = |who: Who| {
            let client = UnixStream::connect(dir.path().join("s")).unwrap();
            let visit = door.admit(who, Peer::of(&listener.accept().unwrap().0).unwrap());
            drop(client);
            visit
        };
        let mut loud: Vec<Visit> = (0..OPEN).map(|_| knock(agent("loud")).unwrap()).collect();
        assert_eq!((knock(agent("loud")).unwrap_err(), knock(agent("loud")).unwrap_err()), (true, false));
        assert!(knock(agent("quiet")).is_ok() && knock(Who::Operator).is_ok());
        loud.pop();
        assert!(knock(agent("loud")).is_ok());
        assert_eq!((door.refused("loud"), door.refused("loud"), door.refused("quiet")), (2, 0, 0));
    }
}
