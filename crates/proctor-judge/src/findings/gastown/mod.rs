//! What the real Gas Town is known to do wrong, when it did so in this run: symptom, evidence, cause, versions, way round.
//!
//! A finding of this kind tells what happened around an outcome; whether something landed is decided by git alone. One defect is one
//! finding, however often it was seen. The table of ids stands in `docs/gastown-findings.md`.

mod clues;
mod dispatch;
mod order;
mod output;
mod table;
mod traces;
mod workers;

use self::clues::Clues;
use super::{CAUSE, Known, VERSIONS, WAY_ROUND};
use crate::evidence::Time;
use crate::next;
use crate::outcome::Outcome;
use crate::summary::{Evidence, Finding, Level};
use crate::wording::{after, count, short_agent};
use table::{DEFECTS, EXPLAINED};

/// The town that these defects are of.
const TOWN: &str = "gastown";
/// Occurrences that are told one by one.
const TOLD: usize = 6;
/// Pieces of evidence that one finding points at.
const PLACES: usize = 4;

/// A known defect.
struct Defect {
    /// Stable name, `gastown.…`.
    id: &'static str,
    /// Its weight when it decides nothing.
    level: Level,
    /// What went wrong, in one sentence.
    title: &'static str,
    /// What should have happened.
    expected: &'static str,
    /// Why it happens.
    cause: &'static str,
    /// Where it was seen.
    versions: &'static str,
    /// How to avoid it until it is mended.
    way_round: &'static str,
    /// Where it shows in this run.
    seen: fn(&Clues<'_>) -> Vec<Occurrence>,
}

/// One time that a defect showed.
#[derive(Clone, Debug, Default)]
struct Occurrence {
    /// What was seen, on one line.
    text: String,
    /// When, as far as it is known.
    at: Option<Time>,
    /// Whose doing it was.
    agent: Option<String>,
    /// Issues that it touches.
    issues: Vec<String>,
    /// Where it stands.
    places: Vec<Evidence>,
}

/// Every known defect that showed in this run; none for other towns.
pub(super) fn all(known: &Known<'_>) -> Vec<Finding> {
    if known.run.record.town != TOWN {
        return Vec::new();
    }
    let clues = Clues::gather(known);
    let found = DEFECTS.iter().map(|defect| (defect, (defect.seen)(&clues)));
    found.filter(|(_, seen)| !seen.is_empty()).map(|(defect, seen)| finding(known, defect, &seen)).collect()
}

/// Adds to a finding about landing what is known of its cause in this town.
pub(super) fn explain(known: &Known<'_>, finding: Finding) -> Finding {
    let explained = EXPLAINED.iter().find(|e| e.id == finding.id).filter(|_| known.run.record.town == TOWN);
    match explained {
        Some(e) => finding.detail(CAUSE, e.cause).detail(VERSIONS, e.versions).detail(WAY_ROUND, e.way_round),
        None => finding,
    }
}

/// What is known of the cause of a finding that is not this town's alone.
struct Explanation {
    id: &'static str,
    cause: &'static str,
    versions: &'static str,
    way_round: &'static str,
}

fn finding(known: &Known<'_>, defect: &Defect, seen: &[Occurrence]) -> Finding {
    let mut issues: Vec<&str> = seen.iter().flat_map(|o| &o.issues).map(String::as_str).collect();
    issues.sort_unstable();
    issues.dedup();
    let level = if issues.iter().any(|id| decides(known, id)) { Level::Problem } else { defect.level };
    let title = if issues.is_empty() { defect.title.to_owned() } else { format!("{} ({})", defect.title, issues.join(", ")) };
    let mut finding = Finding::new(level, defect.id, title).expected(defect.expected).saw(saw(seen));
    for occurrence in seen.iter().take(TOLD).filter(|_| seen.len() > 1) {
        finding = finding.detail("seen", told(known, occurrence));
    }
    if let [only] = seen {
        finding = only.agent.iter().fold(finding, |f, agent| f.detail("by", short_agent(agent)));
        finding = only.at.iter().fold(finding, |f, at| f.detail("when", after(known.run.since_start(*at))));
    }
    finding = finding.detail(CAUSE, defect.cause).detail(VERSIONS, defect.versions).detail(WAY_ROUND, defect.way_round);
    let mut places: Vec<&Evidence> = Vec::new();
    for place in seen.iter().flat_map(|o| &o.places) {
        if !places.contains(&place) && places.len() < PLACES {
            places.push(place);
        }
    }
    finding.evidence.extend(places.into_iter().cloned());
    finding.next(look(known, seen))
}

/// Whether an issue is one of those that keep the run from landing.
fn decides(known: &Known<'_>, issue: &str) -> bool {
    let unfinished = || {
        let closed = known.run.beads.rows.iter().any(|b| b.id == issue && b.status == "closed");
        let merged = known.run.deliveries.rows.iter().any(|d| d.issue == issue && d.merged);
        !(closed && merged)
    };
    known.outcome == Outcome::NotLanded && known.run.tracked().contains(&issue) && unfinished()
}

fn saw(seen: &[Occurrence]) -> String {
    let first = seen.first().map_or_else(String::new, |o| o.text.clone());
    match seen.len() {
        1 => first,
        n if n > TOLD => format!("{first}; {}, of which the first {TOLD} are told", count(n, "occurrence")),
        n => format!("{first}; {}", count(n, "occurrence")),
    }
}

/// `+12.31 s alice/furiosa: …`.
fn told(known: &Known<'_>, occurrence: &Occurrence) -> String {
    let at = occurrence.at.map(|at| after(known.run.since_start(at)));
    let who = occurrence.agent.as_deref().map(short_agent);
    let head: Vec<String> = at.into_iter().chain(who).collect();
    if head.is_empty() { occurrence.text.clone() } else { format!("{}: {}", head.join(" "), occurrence.text) }
}

fn look(known: &Known<'_>, seen: &[Occurrence]) -> String {
    let first = seen.iter().find_map(|o| Some((o.agent.as_deref()?, o.at)));
    match first {
        Some((agent, at)) => next::view_agent(known.run, agent, at.map(|at| known.run.since_start(at))),
        None => next::view(known.run),
    }
}
