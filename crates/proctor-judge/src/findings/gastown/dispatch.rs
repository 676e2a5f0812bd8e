//! Defects of handing out work: who slings, what becomes of the flags, what a roll-back leaves.

use std::sync::LazyLock;

use regex::{Match, Regex};

use super::Occurrence;
use super::clues::{Clues, DAEMON, Said};
use crate::evidence::path;
use crate::wording::{after, at_path, quoted};

#[allow(clippy::unwrap_used, reason = "a constant pattern, tried by every test")]
static HOOKED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[Bb]ead (\S+) is already (?:being slung|(?:hooked|pinned|in_progress) to ([^\s,]+))").unwrap());
#[allow(clippy::unwrap_used, reason = "a constant pattern, tried by every test")]
static FED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"Convoy (\S+): feeding (\S+) to (\S+)").unwrap());
#[allow(clippy::unwrap_used, reason = "a constant pattern, tried by every test")]
static SLUNG: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"gt sling ([a-z0-9]+-[a-z0-9.]+)[^\n;&|]*--merge[ =](\w+)").unwrap());

/// The strategy of `gt sling --merge` is stored only with a new convoy.
pub(super) fn merge_flag_ignored(clues: &Clues<'_>) -> Vec<Occurrence> {
    let ignored = clues.lines("Already tracked by convoy").flat_map(|(said, line)| {
        let slung = SLUNG.captures_iter(&said.command);
        slung.map(|words| merge_flag(clues, said, line, &words[1], &words[2])).collect::<Vec<_>>()
    });
    ignored.collect()
}

fn merge_flag(clues: &Clues<'_>, said: &Said<'_>, line: &str, issue: &str, strategy: &str) -> Occurrence {
    let rows = &clues.known.run.merge_requests.rows;
    let made = rows.iter().enumerate().find(|(_, m)| m.issue == issue);
    let then = made.map_or_else(String::new, |(_, m)| {
        format!("; its merge request {} appeared {}", m.id, after(clues.known.run.since_start(m.created_at)))
    });
    let mut places = vec![said.place.clone()];
    places.extend(made.map(|(row, _)| at_path(format!("evidence/{}:{}", path::MERGE_REQUESTS, row + 1))));
    Occurrence {
        text: format!("{issue} was slung with --merge {strategy}, answered {}{then}", quoted(line, 120)),
        at: said.at,
        agent: said.agent.map(str::to_owned),
        issues: vec![issue.to_owned()],
        places,
    }
}

/// Somebody slings what the daemon has slung already.
pub(super) fn two_slingers(clues: &Clues<'_>) -> Vec<Occurrence> {
    clues
        .said
        .iter()
        .flat_map(|said| {
            HOOKED.captures_iter(&said.output).map(|words| late(clues, said, &words[1], words.get(2))).collect::<Vec<_>>()
        })
        .collect()
}

/// The daemon hands out an issue of a convoy before whoever made the convoy does.
pub(super) fn daemon_slung(clues: &Clues<'_>) -> Vec<Occurrence> {
    let fed = clues.daemon.iter().filter_map(|(number, line)| {
        let words = FED.captures(line)?;
        let (convoy, issue, rig) = (&words[1], &words[2], &words[3]);
        let refused = format!("sling {issue} failed");
        let later = clues.daemon.iter().find(|(after, line)| after > number && line.contains(&refused));
        let came = if later.is_some() { ", and was refused: somebody else had it" } else { "" };
        let places = [Some(number), later.map(|(number, _)| number)].into_iter().flatten();
        Some(Occurrence {
            text: format!("the daemon slung {issue} of convoy {convoy} to {rig}{came}"),
            at: None,
            agent: None,
            issues: vec![issue.to_owned()],
            places: places.map(|number| at_path(format!("evidence/{}/{DAEMON}:{number}", path::RAW))).collect(),
        })
    });
    fed.collect()
}

fn late(clues: &Clues<'_>, said: &Said<'_>, issue: &str, holder: Option<Match<'_>>) -> Occurrence {
    let fed = clues.daemon.iter().find(|(_, line)| FED.captures(line).is_some_and(|words| &words[2] == issue));
    let events = clues.events.iter().filter(|e| e.kind == "sling" && e.payload.to_string().contains(&format!("\"{issue}\"")));
    let actors: Vec<String> = events.clone().map(|e| e.actor.clone()).collect();
    let how = holder.map_or_else(|| "being slung by somebody else".to_owned(), |holder| format!("hooked to {}", holder.as_str()));
    let mut text = format!("{issue} was {how} when it was slung");
    if let Some((number, _)) = fed {
        text += &format!("; the daemon had fed it (line {number} of its log)");
    }
    if actors.len() > 1 {
        text += &format!("; slung by {}", actors.join(" and "));
    }
    let mut places = vec![said.place.clone()];
    places.extend(fed.map(|(number, _)| at_path(format!("evidence/{}/{DAEMON}:{number}", path::RAW))));
    places.extend(events.map(|e| e.place.clone()));
    Occurrence { text, at: said.at, agent: said.agent.map(str::to_owned), issues: vec![issue.to_owned()], places }
}

/// A roll-back leaves the convoy that was made for the bead open.
pub(super) fn rollback_leaves_convoy(clues: &Clues<'_>) -> Vec<Occurrence> {
    let run = clues.known.run;
    let open = |id: &String| run.beads.rows.iter().any(|b| b.id == *id && b.status != "closed");
    let left = run
        .convoys
        .rows
        .iter()
        .enumerate()
        .filter(|(_, c)| c.status == "open" && c.title.starts_with("Work: ") && c.tracked.iter().any(open));
    let left: Vec<_> = left.collect();
    let rolled = clues.lines("rolling back spawned polecat").flat_map(|(said, line)| {
        let of_this = |issue: &String| said.command.contains(issue.as_str()) || said.output.contains(issue.as_str());
        let mine = left.iter().filter(move |(_, c)| c.tracked.iter().any(of_this));
        mine.map(|(row, convoy)| Occurrence {
            text: format!("{}; convoy {} {} stayed open", quoted(line, 160), convoy.id, quoted(&convoy.title, 80)),
            at: said.at,
            agent: said.agent.map(str::to_owned),
            issues: convoy.tracked.clone(),
            places: vec![said.place.clone(), at_path(format!("evidence/{}:{}", path::CONVOYS, row + 1))],
        })
        .collect::<Vec<_>>()
    });
    rolled.collect()
}
