//! Defects that a command's own words give away.

use super::Occurrence;
use super::clues::{Clues, DAEMON, Said};
use crate::evidence::path;
use crate::wording::{at_path, quoted};

/// Characters of an output's line that are repeated.
const LINE: usize = 240;

/// An occurrence that shows in what a command said.
fn heard(said: &Said<'_>, text: impl Into<String>) -> Occurrence {
    Occurrence {
        text: text.into(),
        at: said.at,
        agent: said.agent.map(str::to_owned),
        issues: Vec::new(),
        places: vec![said.place.clone()],
    }
}

/// `gt done` refuses because of files that it put there itself.
pub(super) fn done_refuses(clues: &Clues<'_>) -> Vec<Occurrence> {
    let refused = clues.lines("uncommitted changes would be lost");
    refused.map(|(said, line)| heard(said, quoted(said.line("Uncommitted:").unwrap_or(line), LINE))).collect()
}

/// `gt convoy create` takes bd's words for an unset key as a value.
pub(super) fn status_custom(clues: &Clues<'_>) -> Vec<Occurrence> {
    clues.lines("status.custom (not set)").map(|(said, line)| heard(said, quoted(line, LINE))).collect()
}

/// An issue that exists is not found from elsewhere in the town.
pub(super) fn prefix_routing(clues: &Clues<'_>) -> Vec<Occurrence> {
    let ids: Vec<&str> = clues.known.run.beads.rows.iter().map(|b| b.id.as_str()).collect();
    let missing = |said: &&Said<'_>| said.command.contains("bd show") || said.command.contains("bd update");
    let found = clues.said.iter().filter(missing).filter_map(|said| {
        let line = said.line("no issues found").or_else(|| said.line("issue not found"))?;
        let id = ids.iter().find(|id| line.contains(**id) || said.command.contains(**id))?;
        Some(Occurrence { issues: vec![(*id).to_owned()], ..heard(said, format!("{id} exists: {}", quoted(line, LINE))) })
    });
    found.collect()
}

/// `gt install` ends with 0 although the town cannot be used.
pub(super) fn install_partial(clues: &Clues<'_>) -> Vec<Occurrence> {
    let installs = clues.said.iter().filter(|said| said.command.contains("gt install") && said.exit.unwrap_or(0) == 0);
    let bad = |line: &&str| line.contains('⚠') && line.contains("issue_prefix");
    installs.filter_map(|said| Some(heard(said, quoted(said.output.lines().find(bad)?, LINE)))).collect()
}

/// `gt done` cannot go back to the default branch, which the merge worktree has checked out.
pub(super) fn worktree_busy(clues: &Clues<'_>) -> Vec<Occurrence> {
    clues.lines("could not checkout").map(|(said, line)| heard(said, quoted(line, LINE))).collect()
}

/// What `gt` prints of an end without a message: `gt mail check` ends with 1 where there is no new mail, and with 0 where there is.
const EXITS: [&str; 2] = ["Error: exit 0", "Error: exit 1"];

/// An exit code is printed as an error.
pub(super) fn error_exit(clues: &Clues<'_>) -> Vec<Occurrence> {
    let printed =
        |said: &Said<'_>| said.output.lines().map(str::trim).find(|line| EXITS.contains(line)).map(|line| quoted(line, LINE));
    let of_gt = clues.said.iter().filter(|said| said.command.contains("gt "));
    of_gt.filter_map(|said| Some(heard(said, printed(said)?))).collect()
}

/// The database server does not answer.
pub(super) fn dolt_unreachable(clues: &Clues<'_>) -> Vec<Occurrence> {
    let words = ["Dolt server unreachable", "circuit breaker is open"];
    let line = |said: &Said<'_>| words.iter().find_map(|words| said.line(words)).map(|line| quoted(line, LINE));
    clues.said.iter().filter_map(|said| Some(heard(said, line(said)?))).collect()
}

/// An agent was started and given up because its prompt was not seen.
pub(super) fn start_timeout(clues: &Clues<'_>) -> Vec<Occurrence> {
    clues.lines("timeout waiting for runtime prompt").map(|(said, line)| heard(said, quoted(line, LINE))).collect()
}

/// Every polecat's lock is said to be stale.
pub(super) fn stale_locks(clues: &Clues<'_>) -> Vec<Occurrence> {
    clues.lines("(dead PID").map(|(said, line)| heard(said, quoted(line, LINE))).collect()
}

/// `gt done` ends with 0 and closes the issue although there is no commit.
pub(super) fn done_without_commit(clues: &Clues<'_>) -> Vec<Occurrence> {
    let run = clues.known.run;
    let done = clues.lines("completing without merge request").filter_map(|(said, line)| {
        let issue = issue_of(clues, said.agent?);
        let delivery = run.deliveries.rows.iter().find(|d| Some(&d.issue) == issue.as_ref());
        let empty = delivery.is_none_or(|d| d.own_commits == 0);
        empty
            .then(|| Occurrence { issues: issue.into_iter().collect(), ..heard(said, format!("exit 0, {}", quoted(line, LINE))) })
    });
    done.collect()
}

/// `gt done` closes the issue although the push to the target branch was rejected.
pub(super) fn direct_push_failed(clues: &Clues<'_>) -> Vec<Occurrence> {
    let failed = clues.lines("direct push to").filter(|(_, line)| line.contains("failed")).filter_map(|(said, line)| {
        let issue = issue_of(clues, said.agent?)?;
        let closed = clues.known.run.beads.rows.iter().any(|bead| bead.id == issue && bead.status == "closed");
        let rejected = said.line("[rejected]").map(|line| format!(", {}", quoted(line.trim(), LINE))).unwrap_or_default();
        let text = format!("{}{rejected}; {issue} was closed", quoted(line, LINE));
        closed.then(|| Occurrence { issues: vec![issue], ..heard(said, text) })
    });
    failed.collect()
}

/// The issue that an agent worked on last.
fn issue_of(clues: &Clues<'_>, agent: &str) -> Option<String> {
    clues.known.run.sessions.rows.iter().rev().find(|session| session.agent == agent)?.issue.clone()
}

/// Words that gt prints in a town that is well, and what they are.
const NOISE: [(&str, &str); 6] = [
    ("no route found for prefix \"gt-\"", "the rig's own bead is looked for under a prefix that no town has"),
    ("no wisp config for", "the daemon looks for a setting that is optional"),
    ("could not stage town config files", "the town's root is no git repository, which is allowed"),
    ("unknown agent or no config dir", "an agent of one's own has no slash commands"),
    ("CLAUDE_CODE_EFFORT_LEVEL", "a notice about a variable, twice a sling"),
    ("Could not set beads.role", "git's settings are asked in a folder that is no repository"),
];

/// Warnings that mean nothing, one occurrence a kind.
pub(super) fn noise(clues: &Clues<'_>) -> Vec<Occurrence> {
    NOISE.iter().filter_map(|(words, meaning)| noise_of(clues, words, meaning)).collect()
}

fn noise_of(clues: &Clues<'_>, words: &str, meaning: &str) -> Option<Occurrence> {
    let said: Vec<&Said<'_>> = clues.said.iter().filter(|said| said.output.contains(words)).collect();
    let logged: Vec<usize> = clues.daemon.iter().filter(|(_, line)| line.contains(words)).map(|(number, _)| *number).collect();
    let log = logged.first().map(|number| at_path(format!("evidence/{}/{DAEMON}:{number}", path::RAW)));
    let place = said.first().map(|said| said.place.clone()).or(log)?;
    let text = format!("{} times {}: {meaning}", said.len() + logged.len(), quoted(words, LINE));
    Some(Occurrence { text, at: said.first().and_then(|s| s.at), places: vec![place], ..Occurrence::default() })
}
