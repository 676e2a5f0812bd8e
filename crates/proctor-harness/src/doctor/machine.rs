//! Disk, ports, and limits of the system.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{Line, Places, State};
use crate::linux;
use crate::namespace::Maker;
use crate::town::gastown::ports;

const GROUP: &str = "machine";

/// Free bytes below which no run ends well: a town, its evidence and a Python environment.
const LEAST_DISK: u64 = 200 << 20;
/// Free bytes from which on nobody needs to think of it.
const AMPLE_DISK: u64 = 1 << 30;
/// Ports that a run takes at most, with room for its neighbours.
const PORTS: usize = 64;
/// Watches that a run's folders need at most.
const WATCHES: u64 = 4096;
/// Instances that a run needs at most, with room for its neighbours.
const INSTANCES: u64 = 16;

/// Room where a run writes, one line for each disk.
pub(super) fn disks(places: Places<'_>) -> Vec<Line> {
    let mut lines = vec![disk("disk of the cache", places.cache)];
    if device(places.cache) != device(places.reports) {
        lines.push(disk("disk of the reports", places.reports));
    }
    lines
}

fn disk(what: &str, place: &Path) -> Line {
    let Some(there) = nearest(place) else {
        return Line::new(GROUP, what, State::Doubtful, format!("{} cannot be looked at", place.display()));
    };
    let free = rustix::fs::statvfs(there).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    match free {
        Ok(free) => {
            let found = format!("{:.1} GB free ({})", free as f64 / 1e9, place.display());
            let line = Line::new(GROUP, what, room(free), found);
            if room(free) == State::Good { line } else { line.advice("make room: `proctor runs --keep N`, `proctor clean`") }
        }
        Err(error) => Line::new(GROUP, what, State::Doubtful, format!("{}: {error}", there.display())),
    }
}

fn room(free: u64) -> State {
    match free {
        0..LEAST_DISK => State::Missing,
        LEAST_DISK..AMPLE_DISK => State::Doubtful,
        _ => State::Good,
    }
}

/// The folder itself, or the nearest above it that is there.
fn nearest(place: &Path) -> Option<&Path> {
    place.ancestors().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p }).find(|p| p.exists())
}

fn device(place: &Path) -> Option<u64> {
    Some(rustix::fs::stat(nearest(place)?).ok()?.st_dev)
}

/// Whether enough ports are free; for a real town also of those that its database gets. Nothing is bound.
pub(super) fn ports(real: bool) -> Vec<Line> {
    let (taken, range) = (linux::listening_ports(), linux::handed_out_ports());
    let free = range.clone().count() - taken.range(range.clone()).count();
    let found = format!("{free} of {} to {} are free", range.start(), range.end());
    let mut lines = vec![port_line("ports", free, found)];
    if real {
        let free = ports::free();
        lines.push(port_line("ports for dolt", free, format!("{free} are free")));
    }
    lines
}

fn port_line(what: &str, free: usize, found: String) -> Line {
    match free >= PORTS {
        true => Line::new(GROUP, what, State::Good, found),
        false => Line::new(GROUP, what, State::Missing, found)
            .advice("end what listens there, or change net.ipv4.ip_local_port_range; `proctor clean` ends what runs left"),
    }
}

/// What the system grants of inotify, by which changes of files are noticed.
pub(super) fn watches() -> Line {
    let limit =
        |name: &str| -> Option<u64> { fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse().ok() };
    let (Some(instances), Some(watches)) = (limit("max_user_instances"), limit("max_user_watches")) else {
        return Line::new(GROUP, "inotify", State::Doubtful, "the system does not say its limits");
    };
    let found = format!("{instances} instances, {watches} watches");
    if instances >= INSTANCES && watches >= WATCHES {
        return Line::new(GROUP, "inotify", State::Good, found);
    }
    let needed = format!("fs.inotify.max_user_instances={INSTANCES} fs.inotify.max_user_watches={WATCHES}");
    Line::new(GROUP, "inotify", State::Doubtful, found).advice(format!("sysctl {needed}"))
}

/// Whether runs can have processes of their own, without which a town's daemon is not run. It is tried, since no setting says it for certain.
pub(super) async fn namespaces(user: &BTreeMap<String, String>) -> Line {
    let what = "PID namespaces";
    match Maker::find(user).await {
        Ok(_) => Line::new(GROUP, what, State::Good, "granted: a run has processes of its own"),
        Err(why) => Line::new(
            GROUP,
            what,
            State::Doubtful,
            format!("not granted, so that agents see all processes, and runs with the town's daemon are refused: {why}"),
        )
        .advice("run as root, or allow user namespaces (sysctl user.max_user_namespaces)"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn too_few_free_ports_are_missing() {
        assert_eq!(port_line("ports", PORTS, String::new()).state, State::Good);
        let few = port_line("ports", PORTS - 1, String::new());
        assert_eq!((few.state, few.advice.is_empty()), (State::Missing, false));
    }

    #[test]
    fn a_folder_that_is_not_there_is_measured_by_the_one_above_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(nearest(&folder.path().join("a/b")), Some(folder.path()));
        assert_eq!(nearest(Path::new("not-there")), Some(Path::new(".")));
        assert_eq!([room(0), room(LEAST_DISK), room(AMPLE_DISK)], [State::Missing, State::Doubtful, State::Good]);
    }
}
