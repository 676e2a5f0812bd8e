//! The end of a town: agents first, then what keeps its state, then what it left outside the base directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::calls::Calls;
use super::tmux;
use super::town::read;
use crate::clean;
use crate::halt::Halt;
use crate::linux;

/// Folder in `evidence/raw` with what each session's terminal showed last.
pub(super) const PANES: &str = "panes";
/// How long processes that `gt` started in the background may take to end when asked.
const GRACE: Duration = Duration::from_secs(2);

/// Keeps what the terminals of living sessions show, those that `which` names.
pub(super) async fn keep_panes(calls: &Calls, socket: &str, raw: &Path, which: impl Fn(&str) -> bool + Send) -> Result<(), Halt> {
    let folder = raw.join(PANES);
    for session in tmux::sessions(calls, socket).await.into_iter().filter(|session| which(session)) {
        let Some(shown) = tmux::pane(calls, socket, &session, true).await else { continue };
        let file = folder.join(format!("{session}.txt"));
        let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&file, shown.trim_end()));
        written.map_err(|error| Halt::io("write", &file, &error))?;
    }
    Ok(())
}

/// Ends everything that acts: the daemon, every session, the pollers that wait for sessions.
pub(super) async fn agents(calls: &Calls, town: &Path, socket: &str) -> Result<(), Halt> {
    if !town.is_dir() {
        return Ok(());
    }
    if daemon_process(town).is_some() {
        calls.gt(&["daemon", "stop"]).await?;
    }
    tmux::kill_server(calls, socket).await?;
    let pollers: Vec<u32> = fs::read_dir(town.join(".runtime/nudge_poller"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| lives(&entry.path(), "nudge-poller"))
        .collect();
    let ended = tokio::task::spawn_blocking(move || clean::end_all(&pollers, GRACE)).await;
    match ended {
        Ok(stubborn) if stubborn.is_empty() => Ok(()),
        Ok(stubborn) => Err(Halt::harness(format!("processes of the town do not end: {stubborn:?}"))),
        Err(error) => Err(Halt::harness(error.to_string())),
    }
}

/// The process that a pid file names, when it lives and its command line has that word: pids are used again.
fn lives(file: &Path, word: &str) -> Option<u32> {
    let pid: u32 = read(file).split(|c: char| !c.is_ascii_digit()).find(|part| !part.is_empty())?.parse().ok()?;
    linux::process(pid).filter(|process| process.state != 'Z' && linux::command_line(pid).contains(word)).map(|_| pid)
}

/// The town's daemon, while it lives.
pub(super) fn daemon_process(town: &Path) -> Option<u32> {
    lives(&town.join("daemon/daemon.pid"), "daemon")
}

/// The town's dolt, while it lives.
pub(super) fn dolt_process(town: &Path) -> Option<u32> {
    lives(&town.join("daemon/dolt.pid"), "sql-server")
}

/// Ends the town's dolt.
pub(super) async fn dolt(calls: &Calls, town: &Path) -> Result<(), Halt> {
    if dolt_process(town).is_none() {
        return Ok(());
    }
    calls.gt(&["dolt", "stop"]).await.map(drop)
}

/// Removes files outside the base directory; what is not there is fine.
pub(super) fn remove_files(files: &[PathBuf]) -> Result<(), Halt> {
    files.iter().try_for_each(|file| clean::remove_file(file))
}
