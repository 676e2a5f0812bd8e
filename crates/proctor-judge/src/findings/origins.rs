//! What became of the origins: pushes that were refused, branches that were taken back, what could not be kept, and what origins that are
//! folders leave open.

use super::Known;
use crate::evidence::{GitFile, Push, PushKind, RigGit, path};
use crate::next;
use crate::run::Run;
use crate::summary::{Evidence, Finding, Level};
use crate::wording::{after, at_path, count, quoted, short_agent, short_sha};

/// Pushes or files that are told one by one.
const SHOWN: usize = 8;
/// The run's note on how origins were reached.
const ORIGINS: &str = "origins";
/// What that note says of folders.
const FOLDERS: &str = "file";

pub(super) fn all(known: &Known<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = refused(known).into_iter().collect();
    findings.extend(taken_back(known));
    findings.extend(known.run.rigs.rows.iter().enumerate().filter_map(|(row, git)| not_kept(known, row + 1, git)));
    findings.extend(changed(known));
    findings.extend(folders(known));
    findings
}

/// Collected files that are not what was merged.
fn changed(known: &Known<'_>) -> Option<Finding> {
    let changed = crate::trees::changed(known.run);
    let (rig, file) = changed.first()?;
    let title = format!("{file} of {rig} in the evidence is not what was merged");
    let names: Vec<String> = changed.iter().take(SHOWN).map(|(rig, path)| format!("{rig} {}", quoted(path, 80))).collect();
    let finding = Finding::new(Level::Problem, "origins.changed", title)
        .expected("every file below evidence/git/<rig>/tree/ with the SHA-256 that was recorded when it was collected")
        .saw(format!("{} of another SHA-256: {}", count(changed.len(), "file"), names.join(", ")));
    let place = |(rig, file): &(&str, &str)| at_path(format!("evidence/{}/{rig}/tree/{file}", path::GIT));
    let finding = changed.iter().take(SHOWN).map(place).fold(finding, Finding::at);
    Some(finding.next(next::repeat(known.run)))
}

fn rows(run: &Run, wanted: impl Fn(&Push) -> bool) -> Vec<(Evidence, &Push)> {
    let place = |row: usize| at_path(format!("evidence/{}:{}", path::PUSHES, row + 1));
    run.pushes.rows.iter().enumerate().filter(|(_, push)| wanted(push)).map(|(row, push)| (place(row), push)).collect()
}

fn with_places(finding: Finding, rows: &[(Evidence, &Push)]) -> Finding {
    rows.iter().take(SHOWN).fold(finding, |finding, (place, _)| finding.at(place.clone()))
}

/// Who tried to push without a right to.
fn refused(known: &Known<'_>) -> Option<Finding> {
    let rows = rows(known.run, |push| !push.is_accepted());
    let (_, first) = rows.first()?;
    let told = |push: &Push| {
        let why = push.refused.as_deref().unwrap_or_default();
        format!("{} to {} {}: {why} (from {})", pusher(push), push.rig, after(known.run.since_start(push.at)), push.address)
    };
    let saw: Vec<String> = rows.iter().take(SHOWN).map(|(_, push)| told(push)).collect();
    let finding = Finding::new(
        Level::Warning,
        "origins.refused",
        format!("{} refused", count(rows.len(), "push").replace("pushs", "pushes")),
    )
    .expected("every push by an agent of the run, with its own token")
    .saw(saw.join("; "));
    let who = first.sender.as_deref().unwrap_or(&first.agent);
    Some(with_places(finding, &rows).next(next::view_agent(known.run, who, Some(known.run.since_start(first.at)))))
}

/// Who pushed: whose token it was, or whose process where the token was nobody's.
fn pusher(push: &Push) -> String {
    let claimed = if push.agent.is_empty() { "nobody".to_owned() } else { quoted(&short_agent(&push.agent), 60) };
    match &push.sender {
        Some(sender) if *sender != push.agent => format!("{} as {claimed}", short_agent(sender)),
        _ => claimed,
    }
}

/// Target branches that somebody moved back or removed.
fn taken_back(known: &Known<'_>) -> Vec<Finding> {
    let of_rig = |git: &RigGit| {
        let rows = takes_back(known.run, &git.rig, &git.target);
        let (_, first) = rows.first()?;
        let saw: Vec<String> = rows.iter().take(SHOWN).map(|(_, push)| took_back(known.run, push)).collect();
        let title = format!("{} of {} was taken back by {}", git.target, git.rig, short_agent(&first.agent));
        let finding =
            Finding::new(Level::Warning, "origins.rewound", title).expected("the target branch only grows").saw(saw.join("; "));
        Some(with_places(finding, &rows).next(next::view_agent(known.run, &first.agent, Some(known.run.since_start(first.at)))))
    };
    known.run.rigs.rows.iter().filter_map(of_rig).collect()
}

fn takes_back<'a>(run: &'a Run, rig: &str, branch: &str) -> Vec<(Evidence, &'a Push)> {
    let back = [PushKind::Rewound, PushKind::Deleted];
    rows(run, |push| push.rig == rig && push.branch() == Some(branch) && back.contains(&push.kind))
}

fn took_back(run: &Run, push: &Push) -> String {
    let short = |id: &Option<String>| id.as_deref().map_or("nothing", short_sha).to_owned();
    let when = after(run.since_start(push.at));
    format!("{} moved it from {} to {} {when}", short_agent(&push.agent), short(&push.from), short(&push.to))
}

/// Who took a branch back last, and where that stands.
pub(super) fn who_took_back(run: &Run, rig: &str, branch: &str) -> Option<(String, Evidence)> {
    takes_back(run, rig, branch).pop().map(|(place, push)| (took_back(run, push), place))
}

/// Files that were not kept, and reading that stopped at a limit, with whoever pushed there last.
fn not_kept(known: &Known<'_>, row: usize, git: &RigGit) -> Option<Finding> {
    let odd: Vec<&GitFile> = git.files.iter().filter(|file| file.not_kept.is_some()).collect();
    if odd.is_empty() && git.cut.is_empty() {
        return None;
    }
    let named = |file: &&GitFile| format!("{}: {}", quoted(&file.path, 80), file.not_kept.as_deref().unwrap_or_default());
    let mut saw: Vec<String> = git.cut.iter().take(SHOWN).map(|cut| quoted(cut, 200)).collect();
    saw.extend(odd.iter().take(SHOWN).map(named));
    let (all, told) = (odd.len() + git.cut.len(), saw.len());
    if all > told {
        saw.push(format!("and {} more", all - told));
    }
    let title = match odd.len() {
        0 => format!("not all of {} of {} was read", git.target, git.rig),
        number => format!("{} on {} of {} not kept", count(number, "file"), git.target, git.rig),
    };
    let finding = Finding::new(Level::Warning, "origins.not_kept", title)
        .expected("a target branch whose files can be kept as they are")
        .saw(saw.join("; "))
        .at(at_path(format!("evidence/{}:{row}", path::GIT_RIGS)));
    let owner = rows(known.run, |push| push.is_accepted() && push.rig == git.rig && push.branch() == Some(&git.target)).pop();
    Some(match owner {
        Some((place, push)) => finding.detail("pushed last by", short_agent(&push.agent)).at(place),
        None => finding,
    })
}

/// What nobody can know where everybody in the town can write the origins.
fn folders(known: &Known<'_>) -> Option<Finding> {
    known.run.record.notes.get(ORIGINS).filter(|how| *how == FOLDERS)?;
    Some(
        Finding::new(Level::Note, "origins.folders", "the origins are folders that every agent can write")
            .expected("origins = \"served\" in scenario.toml, where the town allows it")
            .saw("who pushed what is taken from commits and reflogs, which an agent can write; history, hooks and settings of an origin may be an agent's making")
            .at(at_path(format!("evidence/{}", path::GIT_RIGS))),
    )
}
