//! What a town says of itself, kept as it said it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proctor_judge::evidence::Session;
use walkdir::WalkDir;

use super::calls::Calls;
use super::stop::PANES;
use crate::halt::Halt;

/// Files and folders of the town that are copied.
const KEPT: [&str; 11] = [
    ".events.jsonl",
    ".feed.jsonl",
    "logs",
    "daemon",
    "events",
    "settings",
    "mayor/daemon.json",
    "mayor/rigs.json",
    "mayor/town.json",
    ".beads/routes.jsonl",
    ".dolt-data/config.yaml",
];
/// What `gt` says, and the file for it.
const ANSWERS: [(&[&str], &str); 3] = [
    (&["status", "--json", "--fast"], "gt-status.json"),
    (&["convoy", "list", "--all", "--json"], "gt-convoys.json"),
    (&["polecat", "list", "--all", "--json"], "gt-polecats.json"),
];

/// Copies files of the town to `raw`, the leading dot of a hidden one left out.
pub(super) fn files(town: &Path, raw: &Path) -> Result<(), Halt> {
    for kept in KEPT {
        for entry in WalkDir::new(town.join(kept)).into_iter().flatten().filter(|entry| entry.file_type().is_file()) {
            let relative = entry.path().strip_prefix(town).unwrap_or(entry.path());
            let name = relative.display().to_string();
            let target = raw.join(name.trim_start_matches('.'));
            let folder = target.parent().unwrap_or(raw);
            let copied = fs::create_dir_all(folder).and_then(|()| fs::copy(entry.path(), &target));
            copied.map_err(|error| Halt::io("write", &target, &error))?;
        }
    }
    Ok(())
}

/// Asks `gt` and keeps what it answers; an answer that fails is kept as well.
pub(super) async fn answers(calls: &Calls, raw: &Path) -> Result<(), Halt> {
    for (args, name) in ANSWERS {
        let text = match calls.run(calls.program("gt", args)).await {
            Ok(ended) if ended.ok() => ended.out(),
            Ok(ended) => format!("{}: {}\n", ended.how(), ended.said()),
            Err(halt) => format!("{halt}\n"),
        };
        let file = raw.join(name);
        fs::write(&file, text).map_err(|error| Halt::io("write", &file, &error))?;
    }
    Ok(())
}

/// Gives what the sessions printed their agents' names. Of those that lived to the end the terminal was kept in `raw`, of the others
/// `recorded` has what they wrote. `sessions` are all lives of agents.
pub(super) fn transcripts(raw: &Path, recorded: &Path, sessions: &[Session], folder: &Path) -> Result<(), Halt> {
    let named: BTreeMap<&str, &str> = sessions.iter().map(|life| (life.session.as_str(), life.agent.as_str())).collect();
    for (session, agent) in named {
        let file = format!("{session}.txt");
        let places = [raw.join(PANES).join(&file), recorded.join(&file)];
        let Some(from) = places.iter().find(|place| place.is_file()) else { continue };
        let to = folder.join(format!("{}.1.txt", agent.replace('/', "+")));
        fs::copy(from, &to).map_err(|error| Halt::io("write", &to, &error))?;
    }
    Ok(())
}
