//! Sockets and what programs of a real town leave outside every town.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::{Line, State};
use crate::linux;

/// Longest path of a socket, with the final zero.
const LONGEST: usize = 108;
/// What a run adds to the cache's path for its longest socket.
const BELOW_CACHE: usize = "/runs/0000/town/daemon/daemon.sock".len();

/// Whether the cache's path leaves room for a town's sockets.
pub(super) fn length(cache: &Path) -> Line {
    let needed = cache.as_os_str().len() + BELOW_CACHE + 1;
    let found = format!("longest path has {} of {} bytes", needed - 1, LONGEST - 1);
    if needed <= LONGEST {
        Line::new("machine", "sockets of a town", State::Good, found)
    } else {
        let found = format!("{found}: {} is too long", cache.display());
        Line::new("machine", "sockets of a town", State::Missing, found).advice("set XDG_CACHE_HOME to a shorter folder")
    }
}

/// The folder of tmux's sockets: tmux refuses one that others may enter.
pub(super) fn tmux() -> Line {
    let user = linux::user();
    tmux_folder(&PathBuf::from(format!("/tmp/tmux-{user}")), user)
}

fn tmux_folder(folder: &Path, user: u32) -> Line {
    let line = |state, found: String| Line::new("machine", "tmux sockets", state, found);
    let shown = folder.display();
    let Ok(about) = fs::symlink_metadata(folder) else {
        return line(State::Good, format!("{shown} is made by tmux when it is needed"));
    };
    if !about.is_dir() || about.uid() != user || about.mode() & 0o007 != 0 {
        return line(State::Missing, format!("{shown} is not a folder of yours that others cannot enter: tmux refuses it"))
            .advice(format!("remove it, or: chmod 700 {shown}"));
    }
    let sockets: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).filter(|p| is_socket(p)).collect();
    let dead: Vec<&PathBuf> = sockets.iter().filter(|p| UnixStream::connect(p).is_err()).collect();
    let found = format!("{shown}: {} of living servers", sockets.len() - dead.len());
    match dead.len() {
        0 => line(State::Good, found),
        n => line(State::Doubtful, format!("{found}, {n} that no server answers, such as {}", dead[0].display()))
            .advice("remove those that no server answers; they do no harm"),
    }
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.file_type().is_socket())
}

/// Circuit breakers that `bd` left outside every town: an open one makes it fail in the next town on that port.
pub(super) fn breakers() -> Option<Line> {
    let busy = linux::listening_ports();
    let folders = ["/tmp", "/tmp/beads-circuit"];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten()).map(|e| e.path());
    let stale: Vec<PathBuf> = files.filter(|path| breaker_port(path).is_some_and(|port| !busy.contains(&port))).collect();
    let first = stale.first()?;
    let found = format!("{} of ports that nobody listens on, such as {}", stale.len(), first.display());
    Some(
        Line::new("leftovers", "circuit breakers of bd", State::Doubtful, found)
            .advice("rm /tmp/beads-dolt-circuit-*.json /tmp/beads-circuit/*.json when no town runs"),
    )
}

/// The port that a breaker's file is about.
fn breaker_port(path: &Path) -> Option<u16> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix("beads-dolt-circuit-")?.strip_suffix(".json")?.rsplit('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_cache_with_a_long_path_is_refused_before_a_run_is() {
        assert_eq!(length(Path::new("/home/me/.cache/proctor")).state, State::Good);
        assert_eq!(length(Path::new(&format!("/{}", "x".repeat(100)))).state, State::Missing);
    }

    #[test]
    fn tmux_needs_a_folder_that_others_cannot_enter() {
        let folder = tempfile::tempdir().unwrap();
        let user = linux::user();
        let state = |mode| {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            tmux_folder(folder.path(), user).state
        };
        assert_eq!((state(0o700), state(0o755)), (State::Good, State::Missing));
        assert_eq!(tmux_folder(&folder.path().join("none"), user).state, State::Good);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(tmux_folder(folder.path(), user + 1).state, State::Missing);
    }

    #[test]
    fn sockets_without_a_server_are_told_from_those_with_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let user = linux::user();
        let living = UnixListener::bind(folder.path().join("living")).unwrap();
        assert_eq!(tmux_folder(folder.path(), user).state, State::Good);
        drop(UnixListener::bind(folder.path().join("dead")).unwrap());
        let line = tmux_folder(folder.path(), user);
        assert_eq!(line.state, State::Doubtful);
        assert!(
            line.found.contains("1 of living servers, 1 that no server answers") && line.found.ends_with("/dead"),
            "{}",
            line.found
        );
        drop(living);
    }

    #[test]
    fn the_port_of_a_breaker_stands_in_its_name() {
        assert_eq!(breaker_port(Path::new("/tmp/beads-dolt-circuit-127-0-0-1-13400.json")), Some(13400));
        assert_eq!(breaker_port(Path::new("/tmp/other.json")), None);
    }
}
