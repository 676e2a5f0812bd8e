//! What a town says of itself, kept as it said it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proctor_judge::evidence::{Session, Skipped, SkippedRow};

use super::calls::Calls;
use super::stop::PANES;
use crate::halt::Halt;
use crate::town::Site;
use crate::untrusted;

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
pub(super) async fn files(town: PathBuf, raw: PathBuf) -> Result<Vec<SkippedRow>, Halt> {
    let copy = move |kept: &str| {
        let target = raw.join(kept.trim_start_matches('.'));
        let skipped = untrusted::copy_below(&town, Path::new(kept), &target);
        skipped.map_err(|error| Halt::io("write", &target, &error)).map(|skipped| row(kept, None, skipped))
    };
    untrusted::apart(move || KEPT.into_iter().filter_map(|kept| copy(kept).transpose()).collect()).await?
}

/// The row of what was left out; absent when that is nothing.
fn row(of: &str, agent: Option<&str>, skipped: Skipped) -> Option<SkippedRow> {
    (!skipped.is_empty()).then(|| SkippedRow { of: of.to_owned(), agent: agent.map(str::to_owned), skipped })
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

/// Gives what the sessions printed their agents' names. Of those that lived to the end the terminal was kept in the site's `raw`, of the
/// others the folder `recorded` of the base directory has what they wrote. `sessions` are all lives of agents.
pub(super) async fn transcripts(
    site: &Site,
    recorded: &'static str,
    sessions: Vec<Session>,
    folder: &Path,
) -> Result<Vec<SkippedRow>, Halt> {
    let (base, panes, folder) = (site.base.root().to_owned(), site.raw.join(PANES), folder.to_owned());
    untrusted::apart(move || {
        let named: BTreeMap<&str, &str> = sessions.iter().map(|life| (life.session.as_str(), life.agent.as_str())).collect();
        let copy = |(session, agent): (&str, &str)| {
            let file = format!("{session}.txt");
            let to = folder.join(format!("{}.1.txt", agent.replace('/', "+")));
            let skipped = if panes.join(&file).is_file() {
                untrusted::copy_below(&panes, Path::new(&file), &to)
            } else {
                untrusted::copy_below(&base, &Path::new(recorded).join(&file), &to)
            };
            let skipped = skipped.map_err(|error| Halt::io("write", &to, &error))?;
            Ok(row("transcripts", Some(agent), skipped))
        };
        named.into_iter().filter_map(|life| copy(life).transpose()).collect()
    })
    .await?
}
