//! Whether every worker kept to its own rig's repository: by the log of pushes where origins are served, else by the commits' authors.

use super::{Answer, Case};
use crate::agents::STANDING_ROLES;
use crate::authors;
use crate::evidence::{Commit, Push, PushKind, RigGit, path};
use crate::next;
use crate::wording::{after, at_path, count, quoted, short_agent, short_sha};

/// Pushes that are told one by one.
const SHOWN: usize = 8;
/// What must be so where origins are served.
const EXPECTED: &str = "every agent of a rig pushes to the origin of its own rig only";

pub(super) fn answer(case: &Case<'_>) -> Answer {
    match case.run.pushes.when_known() {
        Some(pushes) => by_log(case, pushes),
        None if case.run.has_served_origins() => {
            Answer::unknown(EXPECTED, format!("evidence/{} is not there: git was not collected", path::PUSHES))
        }
        None => by_authors(case),
    }
}

/// Whoever pushed to the origin of another rig, whatever the commits say of their authors.
fn by_log(case: &Case<'_>, pushes: &[Push]) -> Answer {
    let strangers = |push: &&Push| push.is_accepted() && home_of(&push.agent).is_some_and(|home| home != push.rig);
    let foreign: Vec<(usize, &Push)> = pushes.iter().enumerate().filter(|(_, push)| strangers(push)).collect();
    let log = format!("evidence/{}", path::PUSHES);
    let Some((_, first)) = foreign.first() else {
        let accepted = pushes.iter().filter(|push| push.is_accepted()).count();
        return Answer::when(true, EXPECTED, format!("{accepted} changes of refs, none of them foreign")).at(at_path(log));
    };
    let saw: Vec<String> = foreign.iter().take(SHOWN).map(|(_, push)| sentence(case, push)).collect();
    let more = foreign.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    let answer = Answer::when(false, EXPECTED, saw.join("; ") + &rest);
    let answer = foreign.iter().take(SHOWN).fold(answer, |answer, (row, _)| answer.at(at_path(format!("{log}:{}", row + 1))));
    answer.next(next::view_agent(case.run, &first.agent, Some(case.run.since_start(first.at))))
}

/// The rig that an agent belongs to; none for the mayor, the daemon and whoever else has none.
fn home_of(agent: &str) -> Option<&str> {
    agent.split_once('/').map(|(rig, _)| rig).filter(|rig| *rig != "deacon")
}

fn sentence(case: &Case<'_>, push: &Push) -> String {
    let short = |id: &Option<String>| id.as_deref().map_or("nothing", short_sha).to_owned();
    let what = match (push.branch(), push.kind) {
        (_, PushKind::Repository) => "made the repository".to_owned(),
        (branch, kind) => {
            let name = branch.unwrap_or(&push.refname);
            format!("{} {} ({} → {})", kind.word(), quoted(name, 80), short(&push.from), short(&push.to))
        }
    };
    let home = home_of(&push.agent).unwrap_or_default();
    let when = after(case.run.since_start(push.at));
    format!("{} of rig {home} {what} in the origin of {} {when}", short_agent(&push.agent), push.rig)
}

/// Where origins are folders: by what commits say of their authors.
fn by_authors(case: &Case<'_>) -> Answer {
    let expected = "on each rig's target branch no commit by a worker of another rig";
    let Some(rigs) = case.run.rigs.when_known() else {
        return Answer::unknown(expected, format!("evidence/{} is not there: git was not collected", path::GIT_RIGS));
    };
    let foreign: Vec<Foreign<'_>> = rigs.iter().enumerate().flat_map(|(row, git)| foreign(case, row + 1, git)).collect();
    let Some(first) = foreign.first() else {
        let commits: usize = rigs.iter().map(|r| r.commits.len()).sum();
        return Answer::when(true, expected, format!("{}, none of them foreign", count(commits, "commit")))
            .at(at_path(format!("evidence/{}", path::GIT_RIGS)));
    };
    let saw: Vec<String> = foreign.iter().map(Foreign::sentence).collect();
    let written_at = case.run.since_start(first.commit.at);
    let answer = Answer::when(false, expected, saw.join("; "))
        .detail("commit", format!("{} on {} {}", first.commit.sha, first.git.rig, first.git.target));
    foreign.iter().flat_map(Foreign::places).fold(answer, |answer, place| answer.at(at_path(place))).next(next::view_agent(
        case.run,
        &first.author,
        Some(written_at),
    ))
}

/// A commit by a worker of another rig.
struct Foreign<'a> {
    git: &'a RigGit,
    /// Line of the rig in `git/rigs.ndjson`.
    row: usize,
    commit: &'a Commit,
    /// Its worker's address, or what the commit says of its author.
    author: String,
    home: String,
}

fn foreign<'a>(case: &Case<'_>, row: usize, git: &'a RigGit) -> Vec<Foreign<'a>> {
    let of_another = |commit: &'a Commit| {
        let (author, home) = home(case, commit, &git.rig).filter(|(_, home)| *home != git.rig)?;
        Some(Foreign { git, row, commit, author, home })
    };
    git.commits.iter().filter_map(of_another).collect()
}

impl Foreign<'_> {
    fn sentence(&self) -> String {
        let Self { git, commit, author, home, .. } = self;
        format!(
            "{} of rig {home} wrote {} {} on {} {} ({})",
            short_agent(author),
            short_sha(&commit.sha),
            quoted(&commit.subject, 80),
            git.rig,
            git.target,
            commit.files.join(", ")
        )
    }

    /// The files that it touched and that are still there, then the row of the rig.
    fn places(&self) -> Vec<String> {
        let kept = |file: &&String| self.git.files.iter().any(|f| f.path == **file);
        let tree = |file: &String| format!("evidence/{}/{}/tree/{file}", path::GIT, self.git.rig);
        let row = format!("evidence/{}:{}", path::GIT_RIGS, self.row);
        self.commit.files.iter().filter(kept).take(3).map(tree).chain([row]).collect()
    }
}

/// A commit's author and the rig that it belongs to, when it is a worker's. Of workers that share a name, it is the one of the rig `here`
/// where there is such a one: nothing is held against anybody that may not be so.
fn home(case: &Case<'_>, commit: &Commit, here: &str) -> Option<(String, String)> {
    let authors = authors::of(commit, case.agents);
    if authors.is_empty() {
        let short = short_agent(&commit.author);
        let (rig, name) = short.split_once('/')?;
        let is_worker = case.plan.rigs.iter().any(|r| r == rig) && !STANDING_ROLES.contains(&name);
        return is_worker.then(|| (commit.author.clone(), rig.to_owned()));
    }
    let at_home = authors.iter().find(|author| author.rig.as_deref() == Some(here));
    let author = at_home.or(authors.first())?;
    let is_worker = !STANDING_ROLES.contains(&author.role.as_str());
    author.rig.clone().filter(|_| is_worker).map(|rig| (author.agent.clone(), rig))
}
