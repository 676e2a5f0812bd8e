//! Which process is at the other end of a connection within this machine.

use std::fs;
use std::net::SocketAddrV4;

use super::process_ids;

/// The process that holds the end `theirs` of a TCP connection to `ours`; absent when it is gone, or is another user's.
///
/// It looks at the open files of every process: some milliseconds.
pub fn process_at(theirs: SocketAddrV4, ours: SocketAddrV4) -> Option<u32> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let inode = table.lines().find_map(|line| inode_of(line, theirs, ours))?;
    let wanted = format!("socket:[{inode}]");
    process_ids().into_iter().find(|pid| holds(*pid, &wanted))
}

/// The inode in a line of `/proc/net/tcp` that is this connection's (proc_pid_net(5): addresses as the machine keeps them, ports as they are).
fn inode_of(line: &str, local: SocketAddrV4, remote: SocketAddrV4) -> Option<&str> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let is = |field: &str, address: SocketAddrV4| {
        field == format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
    };
    let fits = is(fields.get(1)?, local) && is(fields.get(2)?, remote);
    fits.then(|| fields.get(9).copied()).flatten()
}

fn holds(pid: u32, wanted: &str) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.filter_map(|file| fs::read_link(file.path()).ok()).any(|target| target.as_os_str() == wanted)
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
}
