//! Which process is at the other end of a connection within this machine.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddrV4;

use super::process_ids;

/// The process that holds the end `theirs` of a TCP connection to `ours`; absent when it is gone, or is another user's.
///
/// It looks at the open files of every process: some milliseconds.
pub fn process_at(theirs: SocketAddrV4, ours: SocketAddrV4) -> Option<u32> {
    processes_at(&[theirs], ours).remove(&theirs)
}

/// [`process_at`] of many connections to `ours`, with one look at every process: who is not found is left out.
pub fn processes_at(theirs: &[SocketAddrV4], ours: SocketAddrV4) -> BTreeMap<SocketAddrV4, u32> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let by_name: BTreeMap<String, SocketAddrV4> = theirs.iter().map(|theirs| (shown(*theirs), *theirs)).collect();
    let ours = shown(ours);
    let find = |line: &str| {
        let ends = Ends::of(line)?;
        let theirs = by_name.get(ends.local).filter(|_| ends.remote == ours)?;
        Some((format!("socket:[{}]", ends.inode), *theirs))
    };
    let mut wanted: BTreeMap<String, SocketAddrV4> = table.lines().filter_map(find).collect();
    let mut found = BTreeMap::new();
    for pid in process_ids() {
        if wanted.is_empty() {
            break;
        }
        for link in open_files(pid) {
            found.extend(wanted.remove(&link).map(|theirs| (theirs, pid)));
        }
    }
    found
}

/// A line of `/proc/net/tcp` (proc_pid_net(5)).
struct Ends<'a> {
    local: &'a str,
    remote: &'a str,
    inode: &'a str,
}

impl<'a> Ends<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let mut fields = line.split_whitespace().skip(1);
        let (local, remote) = (fields.next()?, fields.next()?);
        Some(Self { local, remote, inode: fields.nth(6)? })
    }
}

/// An address as that file shows it: the address as the machine keeps it, the port as it is.
fn shown(address: SocketAddrV4) -> String {
    format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
}

fn open_files(pid: u32) -> impl Iterator<Item = String> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.filter_map(|file| fs::read_link(file.path()).ok()?.into_os_string().into_string().ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

    use super::*;

    fn v4(address: SocketAddr) -> SocketAddrV4 {
        match address {
            SocketAddr::V4(address) => address,
            SocketAddr::V6(_) => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
        }
    }

    #[test]
    fn the_other_end_of_a_connection_is_found_while_it_is_open() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, ours) = (v4(stream.local_addr().unwrap()), v4(stream.peer_addr().unwrap()));
        assert_eq!(process_at(theirs, ours), Some(std::process::id()));
        drop((stream, listener));
        assert_eq!(process_at(theirs, ours), None);
    }

    #[test]
    fn all_connections_of_a_process_are_found_at_once_and_no_others() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let ours = v4(listener.local_addr().unwrap());
        let streams: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(ours).unwrap()).collect();
        let theirs: Vec<SocketAddrV4> = streams.iter().map(|stream| v4(stream.local_addr().unwrap())).collect();
        let nobody = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
        let asked: Vec<SocketAddrV4> = theirs.iter().copied().chain([nobody]).collect();
        let found = processes_at(&asked, ours);
        assert_eq!(found, theirs.into_iter().map(|theirs| (theirs, std::process::id())).collect());
    }
}
