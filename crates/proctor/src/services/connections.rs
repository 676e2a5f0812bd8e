//! Which connections are open, whose they are, and how much of their bodies is held: so that no sender exhausts descriptors or memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proctor_judge::evidence::Sender;
use tokio::sync::Notify;

/// What one listener holds at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Open connections.
    pub(crate) total: usize,
    /// Open connections of one owner.
    pub(crate) per_owner: usize,
    /// Bytes of bodies that are held for requests of one owner that are being answered.
    pub(crate) bytes_per_owner: usize,
    /// The same of all owners.
    pub(crate) bytes: usize,
}

impl Limits {
    /// For a process that may open `descriptors` files: two listeners take at most a quarter of them.
    pub(crate) fn within(descriptors: u64) -> Self {
        let total = usize::try_from(descriptors / 8).unwrap_or(usize::MAX).clamp(16, 256);
        Self { total, per_owner: total / 4, bytes_per_owner: 96 << 20, bytes: 256 << 20 }
    }

    /// For this process.
    pub(crate) fn of_this_process() -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        Self::within(limit.unwrap_or(1024))
    }
}

/// Finds the processes at the other ends of connections; who is gone is left out.
pub(crate) type AskSenders<'a> = &'a dyn Fn(&[SocketAddr]) -> BTreeMap<SocketAddr, Sender>;

/// The open connections of one listener. A connection is its agent's: the one whose token came in on it, or, as long as it said nothing,
/// the one whose process holds its other end, which is asked for when places are scarce.
#[derive(Debug)]
pub(crate) struct Connections {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    open: BTreeMap<u64, Open>,
    held: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Open {
    /// Whose token came in on it; empty: nobody's yet.
    owner: String,
    peer: SocketAddr,
    holder: Holder,
    end: Arc<Notify>,
}

/// The process at the other end.
#[derive(Debug)]
enum Holder {
    NotAsked,
    Gone,
    Found(Sender),
}

/// Whom a connection counts for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Agent(String),
    Process(u32),
    Nobody,
}

/// A connection that was closed to make room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// The agent whose it was; empty: no agent's that is known.
    pub(crate) owner: String,
    /// Its other end.
    pub(crate) peer: SocketAddr,
    /// The process that held that end, if it was asked for and found.
    pub(crate) sender: Option<Sender>,
}

/// One open connection; dropped, it is closed.
#[derive(Debug)]
pub(crate) struct Connection {
    all: Arc<Connections>,
    id: u64,
    /// Told when it must make room.
    pub(crate) end: Arc<Notify>,
}

impl Connections {
    /// None yet.
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection in. When all places are taken, whoever has the most loses the one that is open longest.
    pub(crate) fn open(self: &Arc<Self>, peer: SocketAddr, ask: AskSenders<'_>) -> (Connection, Option<Closed>) {
        let mut state = self.state();
        let closed = if state.open.len() >= self.limits.total { state.make_room(ask) } else { None };
        let (id, end) = (state.next, Arc::new(Notify::new()));
        state.next += 1;
        state.open.insert(id, Open { owner: String::new(), peer, holder: Holder::NotAsked, end: Arc::clone(&end) });
        drop(state);
        (Connection { all: Arc::clone(self), id, end }, closed)
    }

    /// Closes a connection of whoever has the most, so that a descriptor comes free.
    pub(crate) fn make_room(&self, ask: AskSenders<'_>) -> Option<Closed> {
        self.state().make_room(ask)
    }

    /// Holds `bytes` more for `owner`; whether that is within the limits.
    fn hold(&self, owner: &str, bytes: usize) -> bool {
        let mut state = self.state();
        let all: usize = state.held.values().sum();
        let own = state.held.get(owner).copied().unwrap_or(0);
        let fits = own + bytes <= self.limits.bytes_per_owner && all + bytes <= self.limits.bytes;
        if fits {
            state.held.insert(owner.to_owned(), own + bytes);
        }
        fits
    }

    fn release(&self, owner: &str, bytes: usize) {
        let mut state = self.state();
        let left = state.held.get(owner).copied().unwrap_or(0).saturating_sub(bytes);
        if left == 0 {
            state.held.remove(owner);
        } else {
            state.held.insert(owner.to_owned(), left);
        }
    }
}

impl State {
    fn make_room(&mut self, ask: AskSenders<'_>) -> Option<Closed> {
        if self.greediest()? == Whose::Nobody {
            self.name(ask);
        }
        let greediest = self.greediest()?;
        let of_it = || self.open.iter().filter(|(_, open)| open.whose() == greediest);
        // An agent's own program keeps what it has while a command of its agent has more.
        let process = most(of_it().map(|(_, open)| open.holder.pid()))?;
        let (id, _) = of_it().find(|(_, open)| open.holder.pid() == process)?;
        let id = *id;
        let open = self.open.remove(&id)?;
        open.end.notify_one();
        let owner = if let Whose::Agent(agent) = greediest { agent } else { String::new() };
        let sender = if let Holder::Found(sender) = open.holder { Some(sender) } else { None };
        Some(Closed { owner, peer: open.peer, sender })
    }

    /// Who has the most.
    fn greediest(&self) -> Option<Whose> {
        most(self.open.values().map(Open::whose))
    }

    /// Finds whose the connections are that said nothing: all at once, since it takes a look at every process.
    fn name(&mut self, ask: AskSenders<'_>) {
        let is_asked = |open: &&mut Open| open.owner.is_empty() && matches!(open.holder, Holder::NotAsked);
        let silent: Vec<SocketAddr> = self.open.values_mut().filter(is_asked).map(|open| open.peer).collect();
        if silent.is_empty() {
            return;
        }
        let mut found = ask(&silent);
        for open in self.open.values_mut().filter(is_asked) {
            open.holder = found.remove(&open.peer).map_or(Holder::Gone, Holder::Found);
        }
    }
}

/// What occurs most often.
fn most<T: Ord>(all: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    all.for_each(|one| *counts.entry(one).or_default() += 1);
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(one, _)| one)
}

impl Holder {
    fn pid(&self) -> Option<u32> {
        if let Self::Found(sender) = self { Some(sender.pid) } else { None }
    }
}

impl Open {
    fn whose(&self) -> Whose {
        match &self.holder {
            _ if !self.owner.is_empty() => Whose::Agent(self.owner.clone()),
            Holder::Found(Sender { agent: Some(agent), .. }) => Whose::Agent(agent.to_string()),
            Holder::Found(sender) => Whose::Process(sender.pid),
            Holder::NotAsked | Holder::Gone => Whose::Nobody,
        }
    }
}

impl Connection {
    /// A request shows whose the connection is; false when that owner has too many already.
    pub(crate) fn belongs_to(&self, owner: &str) -> bool {
        let mut state = self.all.state();
        let others = state.open.iter().filter(|(id, open)| **id != self.id && open.owner == owner).count();
        if let Some(open) = state.open.get_mut(&self.id)
            && open.owner != owner
        {
            owner.clone_into(&mut open.owner);
        }
        owner.is_empty() || others < self.all.limits.per_owner
    }

    /// Nothing held yet for a request of `owner`.
    pub(crate) fn holding(&self, owner: &str) -> Held {
        Held { all: Arc::clone(&self.all), owner: owner.to_owned(), bytes: 0 }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.all.state().open.remove(&self.id);
    }
}

/// Bytes that are held for one request; dropped, they are free.
#[derive(Debug)]
pub(crate) struct Held {
    all: Arc<Connections>,
    owner: String,
    bytes: usize,
}

impl Held {
    /// Holds more; whether there is room.
    pub(crate) fn add(&mut self, bytes: usize) -> bool {
        let fits = self.all.hold(&self.owner, bytes);
        self.bytes += if fits { bytes } else { 0 };
        fits
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.release(&self.owner, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]
    use super::*;

    fn limits(total: usize) -> Limits {
        Limits { total, per_owner: 2, bytes_per_owner: 10, bytes: 15 }
    }

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// No process is found.
    fn gone(_: &[SocketAddr]) -> BTreeMap<SocketAddr, Sender> {
        BTreeMap::new()
    }

    /// Ports below 50 are south's, all others north's: below 100 its program's, else a command's.
    fn neighbours(peers: &[SocketAddr]) -> BTreeMap<SocketAddr, Sender> {
        let sender = |peer: &SocketAddr| {
            let (pid, program, agent) = match peer.port() {
                ..50 => (5, "proctor-agent", "south"),
                50..100 => (6, "proctor-agent", "north"),
                _ => (7, "python3", "north"),
            };
            Sender { pid, program: program.into(), agent: Some(agent.into()), own: Some(pid < 7) }
        };
        peers.iter().map(|peer| (*peer, sender(peer))).collect()
    }

    #[test]
    fn whoever_holds_silent_connections_is_known_by_its_process_and_others_keep_theirs() {
        let all = Connections::new(limits(7));
        let honest: Vec<_> = [1, 2, 50].map(|port| all.open(peer(port), &neighbours)).into();
        let flood: Vec<_> = (100..140).map(|port| all.open(peer(port), &neighbours)).collect();
        let closed: Vec<&Closed> = honest.iter().chain(&flood).filter_map(|(_, closed)| closed.as_ref()).collect();
        assert_eq!(closed.len(), 36);
        for closed in closed {
            let sender = closed.sender.as_ref().map(|sender| (sender.pid, sender.program.as_str()));
            assert_eq!((closed.owner.as_str(), sender), ("north", Some((7, "python3"))), "{closed:?}");
        }
    }

    #[test]
    fn a_flood_costs_one_look_at_all_processes_for_many_connections() {
        let looks = std::cell::Cell::new(0);
        let ask = |peers: &[SocketAddr]| {
            looks.set(looks.get() + 1);
            neighbours(peers)
        };
        let all = Connections::new(limits(16));
        let _flood: Vec<_> = (100..900).map(|port| all.open(peer(port), &ask)).collect();
        assert!(looks.get() <= 800 / 8 + 1, "{} looks", looks.get());
    }

    #[test]
    fn whoever_has_the_most_makes_room_and_nobody_else() {
        let all = Connections::new(limits(4));
        let (honest, _) = all.open(peer(1), &gone);
        assert!(honest.belongs_to("south"));
        let flood: Vec<(Connection, Option<Closed>)> = (2..8).map(|port| all.open(peer(port), &gone)).collect();
        let closed: Vec<u16> = flood.iter().filter_map(|(_, closed)| Some(closed.as_ref()?.peer.port())).collect();
        assert_eq!(closed, [2, 3, 4], "the oldest of those that said nothing");
        drop(flood);
        assert_eq!(all.open(peer(9), &gone).1, None, "there is room again");
    }

    #[test]
    fn one_owner_has_no_more_than_its_share() {
        let all = Connections::new(limits(10));
        let open: Vec<Connection> = (0..4).map(|port| all.open(peer(port), &gone).0).collect();
        let taken: Vec<bool> = open.iter().map(|one| one.belongs_to("north")).collect();
        assert_eq!(taken, [true, true, false, false]);
        assert!(all.open(peer(9), &gone).0.belongs_to("south"));
    }

    #[test]
    fn what_is_held_is_bounded_for_each_and_for_all() {
        let all = Connections::new(limits(10));
        let (one, _) = all.open(peer(1), &gone);
        let (mut north, mut south) = (one.holding("north"), one.holding("south"));
        assert!(north.add(10) && !north.add(1), "its own share");
        assert!(south.add(5) && !south.add(1), "the share of all");
        drop(north);
        assert!(south.add(5));
    }

    #[test]
    fn a_process_with_few_descriptors_gives_few_to_its_listeners() {
        assert_eq!((Limits::within(256).total, Limits::within(20).total, Limits::within(1 << 20).total), (32, 16, 256));
    }
}
