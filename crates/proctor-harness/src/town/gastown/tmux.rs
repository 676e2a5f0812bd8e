//! The town's own tmux server: its socket, what its panes show, keys, its end.

use std::path::{Path, PathBuf};

use super::calls::Calls;
use crate::digest::sha256;
use crate::halt::Halt;
use crate::linux;

/// The buffer that a text is typed from.
const TYPED: &str = "proctor";
/// Lines of a pane's past that are kept.
const PAST: &str = "-32000";

/// The name of a town's socket, as `gt` derives it: the folder's name, made plain, and six digits of its path's SHA-256.
pub(super) fn socket_name(town: &Path) -> String {
    let folder = town.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_lowercase();
    let plain: String = folder.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let digits = &sha256(town.display().to_string().as_bytes())[..6];
    format!("{plain}-{digits}")
}

/// Where a socket of that name lies below the folder that `TMUX_TMPDIR` names.
pub(super) fn socket_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("tmux-{}", linux::user())).join(name)
}

/// The sessions that live.
pub(super) async fn sessions(calls: &Calls, socket: &str) -> Vec<String> {
    let listed = calls.program("tmux", &["-L", socket, "list-sessions", "-F", "#{session_name}"]).run().await;
    listed.map(|ended| ended.out().lines().map(str::to_owned).collect()).unwrap_or_default()
}

/// Lets every session from now on write what it prints to `folder`: the terminal of one that ended is gone.
pub(super) async fn record_sessions(calls: &Calls, socket: &str, folder: &Path) -> Result<(), Halt> {
    let hook = format!("pipe-pane -o \"exec cat >>'{}/#{{session_name}}.txt'\"", folder.display());
    calls.must(calls.program("tmux", &["-L", socket, "set-hook", "-ga", "session-created", &hook])).await.map(drop)
}

/// What a session's terminal shows, with its past when `whole`.
pub(super) async fn pane(calls: &Calls, socket: &str, session: &str, whole: bool) -> Option<String> {
    let target = format!("={session}:");
    let mut args = vec!["-L", socket, "capture-pane", "-p", "-J", "-t", &target];
    if whole {
        args.extend(["-S", PAST]);
    }
    calls.program("tmux", &args).run().await.ok().filter(crate::process::Ended::ok).map(|ended| ended.out())
}

/// Types a text into a session, without an Enter after it.
pub(super) async fn type_text(calls: &Calls, socket: &str, session: &str, text: &str) -> Result<(), Halt> {
    let target = format!("={session}:");
    let mut load = calls.program("tmux", &["-L", socket, "load-buffer", "-b", TYPED, "-"]);
    load.stdin = Some(text.as_bytes().to_vec());
    calls.must(load).await?;
    calls.must(calls.program("tmux", &["-L", socket, "paste-buffer", "-d", "-r", "-b", TYPED, "-t", &target])).await.map(drop)
}

/// The process of the town's tmux server; sessions whose agents run below it are found by the server's own environment.
pub(super) fn server(base: &Path) -> Option<u32> {
    let home = base.join("home").display().to_string();
    let is_server = |pid: u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == "tmux: server")
            && linux::environment(pid).get("HOME") == Some(&home)
    };
    linux::processes().into_iter().filter(|process| process.state != 'Z').map(|process| process.pid).find(|pid| is_server(*pid))
}

/// The process of the tmux server on a socket; absent while none answers there.
pub(super) async fn server_process(calls: &Calls, socket: &str) -> Option<u32> {
    number(calls, &["-L", socket, "display-message", "-p", "#{pid}"]).await
}

/// The process in a session's pane.
pub(super) async fn pane_process(calls: &Calls, socket: &str, session: &str) -> Option<u32> {
    let target = format!("={session}:");
    number(calls, &["-L", socket, "display-message", "-p", "-t", &target, "#{pane_pid}"]).await
}

async fn number(calls: &Calls, args: &[&str]) -> Option<u32> {
    let said = calls.program("tmux", args).run().await.ok().filter(crate::process::Ended::ok)?;
    said.out().trim().parse().ok()
}

/// Presses Enter in a session.
pub(super) async fn press_enter(calls: &Calls, socket: &str, session: &str) -> Result<(), Halt> {
    let target = format!("={session}:");
    calls.must(calls.program("tmux", &["-L", socket, "send-keys", "-t", &target, "Enter"])).await.map(drop)
}

/// Ends the server with all sessions; nothing to do when there is none.
pub(super) async fn kill_server(calls: &Calls, socket: &str) -> Result<(), Halt> {
    let ended = calls.run(calls.program("tmux", &["-L", socket, "kill-server"])).await?;
    let gone = ["no server running", "No such file", "Connection refused"];
    if ended.ok() || gone.iter().any(|word| ended.said().contains(word)) {
        return Ok(());
    }
    Err(Halt::harness(format!("`tmux kill-server` failed ({}): {}", ended.how(), ended.said())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_named_as_gt_names_it() {
        // Read from `gt status --json` of a town at this path.
        assert_eq!(socket_name(Path::new("/tmp/gtv4/tw-20923")), "tw-20923-9178e0");
    }
}
