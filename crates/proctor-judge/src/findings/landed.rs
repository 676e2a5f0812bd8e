//! Why it did not land: one finding per tracked issue whose work is not done, with the last thing that was seen of it.

use super::{Known, terminal};
use crate::authors;
use crate::evidence::{Bead, Delivery, Exchange, MergeRequest, Session, path};
use crate::next;
use crate::outcome::Outcome;
use crate::run::Run;
use crate::summary::{Evidence, Finding, Level};
use crate::wording::{after, at_path, count, duration, quoted, short_agent, short_sha};

pub(super) fn all(known: &Known<'_>) -> Vec<Finding> {
    let mut findings = causes(known);
    findings.extend(second_convoy(known));
    findings.extend(other_title(known));
    // Where script or provider are to blame, not landing is a consequence.
    if known.outcome != Outcome::NotLanded {
        findings.iter_mut().for_each(|f| f.level = f.level.max(Level::Warning));
    }
    findings
}

fn causes(known: &Known<'_>) -> Vec<Finding> {
    let run = known.run;
    // Before phase 6 nothing can have landed, and an early end has its own finding.
    let asked = run.reached(6) && known.landed.iter().any(|c| c.value == Some(false));
    let early = crate::checks::incomplete(run).is_some();
    if !asked || early {
        return timed_out(known).into_iter().filter(|_| !early).collect();
    }
    let fates: Vec<Fate<'_>> = run.tracked().into_iter().map(|id| Fate::of(run, id)).collect();
    if fates.iter().all(Fate::never_held) {
        return vec![never_slung(known, &fates)];
    }
    let mut findings: Vec<Finding> = fates.iter().filter_map(|fate| cause(known, fate)).collect();
    findings.sort_by_key(|finding| link(&finding.id));
    if findings.is_empty() {
        findings.extend(convoy_open(known).or_else(|| timed_out(known)).or_else(|| Some(not_together(known))));
    }
    findings
}

/// The chain that leads to landing, by what is missing when it ends there: whoever did not come to the earlier link cannot have come to
/// the later one, so that the earliest is told first.
const CHAIN: [&str; 10] = [
    "landed.not_slung",
    "landed.worker_died",
    "landed.worker_hangs",
    "landed.done_without_commit",
    "landed.pushed_not_done",
    "landed.conflict",
    "landed.rejected",
    "landed.not_merged_yet",
    "landed.rewound",
    "landed.closed_not_merged",
];

fn link(id: &str) -> usize {
    CHAIN.iter().position(|link| *link == id).unwrap_or(CHAIN.len())
}

/// What is known of one tracked issue.
struct Fate<'a> {
    id: &'a str,
    bead: Option<&'a Bead>,
    delivery: Option<&'a Delivery>,
    /// Sessions that had it on their hook, oldest first.
    sessions: Vec<&'a Session>,
    /// The newest submission of its work.
    merge: Option<&'a MergeRequest>,
}

impl<'a> Fate<'a> {
    fn of(run: &'a Run, id: &'a str) -> Self {
        let mut sessions: Vec<&Session> = run.sessions.rows.iter().filter(|s| s.issue.as_deref() == Some(id)).collect();
        sessions.sort_by_key(|s| s.started_at);
        Self {
            id,
            bead: run.beads.rows.iter().find(|b| b.id == id),
            delivery: run.deliveries.rows.iter().find(|d| d.issue == id),
            sessions,
            merge: run.merge_requests.rows.iter().filter(|m| m.issue == id).max_by_key(|m| m.created_at),
        }
    }

    fn closed(&self) -> bool {
        self.bead.is_some_and(|b| b.status == "closed")
    }

    fn merged(&self) -> bool {
        self.delivery.is_some_and(|d| d.merged)
    }

    /// Nobody ever had it: no session, no assignee, no submission, no work.
    fn never_held(&self) -> bool {
        let assigned = self.bead.is_some_and(|b| b.assignee.is_some() || b.status == "closed");
        self.sessions.is_empty() && self.merge.is_none() && !assigned && !self.merged()
    }

    fn worker(&self) -> Option<&'a str> {
        let session = self.sessions.last().map(|s| s.agent.as_str());
        let delivery = self.delivery.and_then(|d| d.worker.as_deref());
        session.or(delivery).or_else(|| self.bead.and_then(|b| b.assignee.as_deref()))
    }

    fn rig(&self) -> Option<&'a str> {
        let bead = self.bead.and_then(|b| b.rig.as_deref());
        bead.or_else(|| self.delivery.map(|d| d.rig.as_str())).or_else(|| self.sessions.last().and_then(|s| s.rig.as_deref()))
    }

    /// `ev-41k "Eve: write chapter.md"`.
    fn name(&self) -> String {
        self.bead.map_or_else(|| self.id.to_owned(), |b| format!("{} {}", self.id, quoted(&b.title, 80)))
    }

    fn own_commits(&self) -> u32 {
        self.delivery.map_or(0, |d| d.own_commits)
    }

    /// Whether there is a commit that the log of pushes does not have.
    fn never_pushed(&self, run: &Run) -> bool {
        let commit = self.delivery.and_then(|delivery| delivery.submitted.as_deref());
        let pushes = run.pushes.when_known();
        commit.zip(pushes).is_some_and(|(commit, pushes)| {
            pushes.iter().all(|push| !push.to.as_deref().is_some_and(|to| to.starts_with(commit)))
        })
    }

    /// Where its row stands.
    fn place(&self, run: &Run) -> Evidence {
        row(path::BEADS, run.beads.rows.iter().position(|b| b.id == self.id))
    }

    /// Where what git tells of its rig stands.
    fn git_place(&self, run: &Run) -> Evidence {
        row(path::GIT_RIGS, run.rigs.rows.iter().position(|r| Some(r.rig.as_str()) == self.rig()))
    }
}

/// A line of a rows file, or the file where there is no such line.
fn row(file: &str, index: Option<usize>) -> Evidence {
    at_path(index.map_or_else(|| format!("evidence/{file}"), |index| format!("evidence/{file}:{}", index + 1)))
}

/// The one cause that explains best why an issue is not done.
fn cause(known: &Known<'_>, fate: &Fate<'_>) -> Option<Finding> {
    // Of a closed issue about which git was not asked, nothing can be said.
    if fate.closed() && fate.delivery.is_none_or(|delivery| delivery.merged) {
        return None;
    }
    let finding = rewound(known, fate)
        .or_else(|| closed_not_merged(known, fate))
        .or_else(|| refused(known, fate))
        .or_else(|| fate.never_held().then(|| not_slung(known, fate)))
        .or_else(|| pushed_not_done(known, fate))
        .or_else(|| done_without_commit(known, fate))
        .or_else(|| worker_died(known, fate))
        .unwrap_or_else(|| worker_hangs(fate));
    Some(dressed(known, fate, finding))
}

/// The facts that every such finding shows.
fn dressed(known: &Known<'_>, fate: &Fate<'_>, mut finding: Finding) -> Finding {
    let run = known.run;
    if let Some(bead) = fate.bead.filter(|b| b.status == "closed") {
        let when = bead.closed_at.map_or_else(String::new, |at| format!("{} ", after(run.since_start(at))));
        let by = bead.closed_by.as_deref().map_or_else(|| "somebody".into(), short_agent);
        let why = bead.close_reason.as_deref().map_or_else(String::new, |r| format!(" ({r})"));
        finding = finding.detail("closed", format!("{when}by {by}{why}"));
    }
    let branch = fate.delivery.and_then(|d| d.branch.as_deref());
    let branch = branch.or_else(|| fate.merge.map(|m| m.branch.as_str())).or_else(|| fate.sessions.last()?.branch.as_deref());
    if let Some(branch) = branch {
        let commits = match fate.own_commits() {
            0 if fate.never_pushed(run) => "never pushed".into(),
            0 => "no commit of its own".into(),
            n => count(n as usize, "commit of its own").replace("commit of its owns", "commits of its own"),
        };
        finding = finding.detail("branch", format!("{branch}: {commits}"));
    }
    if let Some(files) = fate.delivery.map(|d| &d.conflicts).filter(|files| !files.is_empty()) {
        finding = finding.detail("conflict", format!("its branch and the target branch both changed {}", files.join(", ")));
    }
    if let Some(merge) = fate.merge {
        let decided = merge.closed_at.map_or_else(String::new, |at| format!(", decided {}", after(run.since_start(at))));
        let why = merge.reason.as_deref().map_or_else(String::new, |r| format!(" ({r})"));
        let made = after(run.since_start(merge.created_at));
        finding = finding.detail("merge request", format!("{} {}{why}, submitted {made}{decided}", merge.id, merge.status));
    }
    if let Some(worker) = fate.worker() {
        finding = finding.detail("last seen", last_seen(known, worker));
    }
    if let Some(why) = gave_up(run) {
        finding = finding.detail("waited", why);
    }
    finding = terminal::of(run, fate.worker().unwrap_or("mayor"), finding).at(at_path(sign_of(known, fate)));
    if let Some(rig) = fate.rig().and_then(|r| run.rig(r)).filter(|r| r.head.is_some()) {
        finding = finding.at(at_path(format!("evidence/{}/{}/", path::GIT, rig.rig)));
    }
    let closed = fate.bead.and_then(|b| b.closed_at);
    let whom = fate.worker().unwrap_or("mayor");
    finding.next(match (closed, last_exchange(run, whom)) {
        (None, Some(last)) => next::view_exchange(run, last),
        (closed, _) => next::view_agent(run, whom, closed.map(|at| run.since_start(at))),
    })
}

/// Why the run did not wait until its limit.
fn gave_up(run: &Run) -> Option<String> {
    let stopped = run.record.stopped.as_ref().filter(|s| s.kind == crate::evidence::StopKind::Timeout)?;
    let end = run.record.phases.iter().find(|p| p.number == 6)?.ended_at?;
    let why = stopped.message.strip_prefix(NOBODY_LEFT)?;
    Some(format!(
        "the run did not wait for its limit: {}, nobody was left who could land what is missing ({why})",
        after(run.since_start(end))
    ))
}

/// How the harness says so (`cycle/stranded.rs`).
const NOBODY_LEFT: &str = "not landed, and nobody is left who could land what is missing: ";

/// The newest sign of the clause that this issue keeps from holding.
fn sign_of(known: &Known<'_>, fate: &Fate<'_>) -> String {
    let clause = if fate.closed() { "merged" } else { "issues_closed" };
    let sign = known.landed.iter().find(|c| c.clause == clause).and_then(|c| c.evidence.clone());
    sign.unwrap_or_else(|| format!("evidence/{}", path::SIGNS))
}

fn problem(id: &str, title: String) -> Finding {
    Finding::new(Level::Problem, format!("landed.{id}"), title)
}

fn rewound(known: &Known<'_>, fate: &Fate<'_>) -> Option<Finding> {
    let git = known.run.rig(fate.rig()?)?;
    let lost = git.rewound.first().filter(|_| !fate.merged())?;
    let head = git.head.as_deref().map_or("nothing", short_sha);
    let finding = problem("rewound", format!("{} of {} was rewound after {} was merged", git.target, git.rig, fate.name()))
        .expected("the target branch only grows")
        .saw(format!("{} was its head and is no longer among its ancestors; it is now {head}", short_sha(lost)))
        .at(fate.git_place(known.run));
    Some(match super::origins::who_took_back(known.run, &git.rig, &git.target) {
        Some((who, place)) => finding.detail("by", who).at(place),
        None => finding,
    })
}

fn closed_not_merged(known: &Known<'_>, fate: &Fate<'_>) -> Option<Finding> {
    let main = fate.rig().and_then(|r| known.run.rig(r)).map_or("main", |g| g.target.as_str());
    let missing = fate.closed() && !fate.merged();
    missing.then(|| {
        problem("closed_not_merged", format!("{} is closed but nothing was merged", fate.name()))
            .expected(format!("its work on {main} of the origin before it is closed"))
            .saw(match fate.own_commits() {
                0 if fate.never_pushed(known.run) => format!("nothing of it on {main}, and its commit was never pushed"),
                0 => format!("nothing of it on {main}, no commit of its own"),
                n => format!("nothing of it on {main}, {} left on its branch", count(n as usize, "commit")),
            })
            .at(fate.place(known.run))
            .at(fate.git_place(known.run))
    })
}

/// Submitted, and the merge queue did not take it.
fn refused(known: &Known<'_>, fate: &Fate<'_>) -> Option<Finding> {
    let merge = fate.merge.filter(|_| !fate.merged())?;
    let reason = merge.reason.clone().unwrap_or_else(|| "no reason given".into());
    let when = after(known.run.since_start(merge.created_at));
    let row = known.run.merge_requests.rows.iter().position(|m| m.id == merge.id).map_or(1, |at| at + 1);
    let finding = match merge.status.as_str() {
        "conflict" => problem(
            "conflict",
            format!("{} conflicts with {} of {}, and nobody resolved it", fate.name(), merge.target, merge.rig),
        )
        .expected("the worker rebases its branch and submits again")
        .saw(format!("{} submitted {when}: {reason}", merge.branch)),
        "rejected" => problem("rejected", format!("the merge queue of {} rejected {}", merge.rig, fate.name()))
            .expected("a submission that can be merged")
            .saw(format!("{} submitted {when}: {reason}", merge.branch)),
        "open" => problem("not_merged_yet", format!("{} was submitted and not merged before the deadline", fate.name()))
            .expected("the merge queue empties")
            .saw(format!("{} submitted {when}, still open", merge.branch)),
        _ => return None,
    };
    Some(finding.at(at_path(format!("evidence/{}:{row}", path::MERGE_REQUESTS))))
}

fn not_slung(known: &Known<'_>, fate: &Fate<'_>) -> Finding {
    problem("not_slung", format!("{} was never slung", fate.name()))
        .expected("every tracked issue slung to its rig")
        .saw("no worker, no session and no assignee for it")
        .detail("mayor", last_seen(known, "mayor"))
        .at(fate.place(known.run))
}

/// Commits are on the origin, and the worker never said that it was done.
fn pushed_not_done(known: &Known<'_>, fate: &Fate<'_>) -> Option<Finding> {
    let git = known.run.rig(fate.rig()?)?;
    let branch = fate.sessions.last().and_then(|s| s.branch.as_deref()).or(fate.delivery?.branch.as_deref());
    let on_branch = branch.is_some_and(|b| git.branches.contains_key(b) && fate.own_commits() > 0);
    let worker = fate.worker()?;
    let on_main = match known.run.pushes.when_known() {
        Some(pushes) => {
            pushes.iter().any(|push| push.is_accepted() && push.agent == worker && push.branch() == Some(&git.target))
        }
        None => git.commits.iter().any(|commit| authors::may_be(commit, worker, known.agents)),
    };
    let open = !fate.closed() && fate.merge.is_none();
    (open && (on_branch || on_main)).then(|| {
        let place = if on_main { git.target.as_str() } else { branch.unwrap_or("its branch") };
        problem("pushed_not_done", format!("the work of {} was pushed, but its worker never said it was done", fate.name()))
            .expected("gt done after the push")
            .saw(format!(
                "commits by {} on {place} of the origin, no submission, the issue is {}",
                short_agent(worker),
                status(fate)
            ))
            .at(fate.git_place(known.run))
    })
}

/// The worker said that it was done, and there is nothing.
fn done_without_commit(known: &Known<'_>, fate: &Fate<'_>) -> Option<Finding> {
    let worker = fate.worker()?;
    let said = known.telemetry.records_of(worker).any(|r| r.body == "done")
        || known.run.agents.rows.iter().any(|a| a.agent == worker && a.state == "done");
    let nothing = fate.delivery.is_some_and(|delivery| delivery.own_commits == 0 && !delivery.merged);
    (said && nothing).then(|| {
        problem("done_without_commit", format!("{} was reported done without a commit", fate.name()))
            .expected("at least one commit of its own on the worker's branch when it says gt done")
            .saw(format!("gt done by {}, no commit, the issue is {}", short_agent(worker), status(fate)))
    })
}

fn worker_died(known: &Known<'_>, fate: &Fate<'_>) -> Option<Finding> {
    let last = fate.sessions.last()?;
    let exit = last.exit.as_deref()?;
    let ended = last.ended_at?;
    // What the harness or the town itself ended at the end of the run did not die.
    let stopped = exit.contains("stopped") || known.run.collecting_since().is_some_and(|since| since <= ended);
    (!stopped).then(|| {
        let who = short_agent(&last.agent);
        let row = known.run.sessions.rows.iter().position(|s| s.run_id == last.run_id).map_or(1, |at| at + 1);
        let finding =
            problem("worker_died", format!("{who} ended by {exit} with {} unfinished, and nobody took over", fate.name()))
                .expected("a worker that finishes, or another in its place")
                .saw(format!(
                    "session {} ended {} by {exit}; the issue is {}",
                    last.session,
                    after(known.run.since_start(ended)),
                    status(fate)
                ))
                .at(at_path(format!("evidence/{}:{row}", path::SESSIONS)));
        match super::fence::signalled_by(known, last) {
            Some(killer) => finding.detail("signalled by", killer),
            None => finding,
        }
    })
}

fn worker_hangs(fate: &Fate<'_>) -> Finding {
    let who = fate.worker().map_or_else(|| "its worker".into(), short_agent);
    problem("worker_hangs", format!("{who} did not finish {}", fate.name()))
        .expected("gt done before the deadline")
        .saw(format!("no gt done; the issue is {}", status(fate)))
        .at(at_path(format!("evidence/{}", path::AGENTS)))
}

fn status(fate: &Fate<'_>) -> String {
    fate.bead.map_or_else(|| "unknown to the town".into(), |b| b.status.clone())
}

fn last_exchange<'a>(run: &'a Run, agent: &str) -> Option<&'a Exchange> {
    run.exchanges.rows.iter().rev().find(|e| e.agent == agent)
}

/// The last that was observed of an agent: its state, and what it asked and did last.
fn last_seen(known: &Known<'_>, agent: &str) -> String {
    let run = known.run;
    let state = run.agents.rows.iter().find(|a| a.agent == agent).map_or("state unknown", |a| a.state.as_str());
    let mut text = format!("{} {state}", short_agent(agent));
    let Some(last) = last_exchange(run, agent) else {
        let record = known.telemetry.records_of(agent).last();
        let heard = record.map(|r| format!("; last event {} at {}", r.body, after(run.since_start(r.time))));
        return text + &heard.unwrap_or_else(|| format!("; it never called the model{}", asked_instead(run, agent)));
    };
    text += &format!("; last model call {} (HTTP {}): {}", after(run.since_start(last.at)), last.status, told(last));
    // What the harness and the town did when they ended it is no sign of the agent.
    let end = run.collecting_since().unwrap_or_else(|| run.last_moment());
    let answered_s = run.since_start(last.at) + last.duration_ms / 1e3;
    let returned = |r: &&proctor_store::LogRecord| r.body == "claude_code.tool_result" && r.time > last.at && r.time < end;
    let since = |from_s: f64| duration((run.since_start(end) - from_s).max(0.0));
    text + &match known.telemetry.records_of(agent).find(returned) {
        Some(result) => {
            let at_s = run.since_start(result.time);
            format!("; its tool call ended {}, and nothing came in the {} after that", after(at_s), since(at_s))
        }
        None if last.stop_reason.as_deref() == Some("tool_use") => format!("; that had not returned {} later", since(answered_s)),
        None => format!("; nothing came in the {} after that", since(answered_s)),
    }
}

/// What an agent that never called the model asked the gateway for.
fn asked_instead(run: &Run, agent: &str) -> String {
    let rows: Vec<&Exchange> = run.unknown_requests().filter(|e| e.agent == agent).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(" and asked {} for what the gateway does not have: {}", count(rows.len(), "time"), super::requests::paths(&rows))
}

/// What the answer of a model call made of the agent.
fn told(exchange: &Exchange) -> String {
    match exchange.stop_reason.as_deref() {
        _ if exchange.status >= 400 => format!("refused, after {}", quoted(&exchange.asked, 160)),
        Some("tool_use") => format!("told to run {}", quoted(command(&exchange.answered), 240)),
        Some("end_turn") => format!("its turn ended with {}", quoted(&exchange.answered, 160)),
        _ => format!("told {}", quoted(&exchange.answered, 160)),
    }
}

/// The commands of an answer, without what was said before them: the gateway writes each after `$ ` on a line of its own.
fn command(answered: &str) -> &str {
    let inside = answered.find("\n$ ").map(|at| at + 3);
    inside.or(answered.strip_prefix("$ ").map(|_| 2)).map_or(answered, |at| &answered[at..])
}

fn never_slung(known: &Known<'_>, fates: &[Fate<'_>]) -> Finding {
    let run = known.run;
    let made = match (run.convoy(), fates.len()) {
        (_, 0) => "no issue was made".into(),
        (None, n) => format!("{} made; {}", count(n, "issue"), run.no_convoy()),
        (Some(convoy), n) => format!("convoy {} with {}", convoy.id, count(n, "issue")),
    };
    let finding = problem("never_slung", "the mayor never slung an issue, so no worker was spawned".into())
        .expected("every tracked issue slung to its rig")
        .saw(format!("{made}; no worker, no session and no assignee"))
        .detail("mayor", last_seen(known, "mayor"));
    let finding = mayors_end(run).into_iter().fold(finding, |finding, end| finding.detail("session", end));
    let unproven = run.record.delivery.as_ref().is_some_and(|delivery| delivery.received_at.is_none());
    let finding = match unproven {
        true => finding.detail("prompt", "it was typed, and nothing shows that the mayor received it"),
        false => finding,
    };
    let finding = gave_up(run).into_iter().fold(finding, |finding, why| finding.detail("waited", why));
    terminal::of(run, "mayor", finding)
        .at(at_path(format!("evidence/{}", path::BEADS)))
        .at(at_path(format!("evidence/{}", path::EXCHANGES)))
        .next(
            last_exchange(run, "mayor")
                .map_or_else(|| next::view_agent(run, "mayor", None), |last| next::view_exchange(run, last)),
        )
}

/// How the mayor's session ended, where it did so before the harness ended it.
fn mayors_end(run: &Run) -> Option<String> {
    let session = run.sessions.rows.iter().rev().find(|s| s.role == "mayor")?;
    let (exit, ended) = (session.exit.as_deref()?, session.ended_at?);
    let own = !exit.contains("stopped") && run.collecting_since().is_none_or(|since| ended < since);
    own.then(|| format!("{} ended {} by {exit}", session.session, after(run.since_start(ended))))
}

/// Every issue is done, and the convoy does not say so. Where a clause before it did not hold in time, the convoy had no reason to close.
fn convoy_open(known: &Known<'_>) -> Option<Finding> {
    let run = known.run;
    known.landed.iter().find(|c| c.clause == "convoy_closed" && c.value == Some(false))?;
    if run.convoy().is_some()
        && known.landed.iter().any(|c| BEFORE_THE_CONVOY.contains(&c.clause.as_str()) && c.value == Some(false))
    {
        return None;
    }
    let (headline, saw) = match run.convoy() {
        None if run.convoys.rows.is_empty() => (run.no_convoy(), "no convoy at all".to_owned()),
        None => (run.no_convoy(), "none of that title".to_owned()),
        Some(c) => (
            format!("convoy {} {} was not closed although every issue it tracks is done", c.id, quoted(&c.title, 80)),
            format!("it is {}", c.status),
        ),
    };
    Some(
        problem("convoy_open", headline)
            .expected("the convoy closes when its last issue does")
            .saw(saw)
            .at(at_path(format!("evidence/{}", path::CONVOYS)))
            .next(next::view_agent(run, "mayor", None)),
    )
}

/// More than one convoy of the title: what the first tracks must land all the same.
fn second_convoy(known: &Known<'_>) -> Option<Finding> {
    let run = known.run;
    let found = run.convoys_of_the_run();
    let (first, others) = found.split_first()?;
    let lacking = others.iter().find(|c| first.tracked.iter().any(|id| !c.tracked.contains(id)))?;
    let maker = run.beads.rows.iter().find(|b| b.id == lacking.id).map(|b| short_agent(&b.created_by));
    let by = maker.map_or_else(String::new, |who| format!(" by {who}"));
    let row = run.convoys.rows.iter().position(|c| c.id == lacking.id);
    Some(
        Finding::new(
            Level::Warning,
            "landed.second_convoy",
            format!("a second convoy {}, {}, was made{by} and lacks issues of the first", quoted(&lacking.title, 80), lacking.id),
        )
        .expected("one convoy of that title; what it tracks only grows")
        .saw(format!("{} tracks {}; {} tracks {}", first.id, first.tracked.join(", "), lacking.id, lacking.tracked.join(", ")))
        .at(self::row(path::CONVOYS, row))
        .next(next::view(run)),
    )
}

/// The convoy that was meant is called a little differently.
fn other_title(known: &Known<'_>) -> Option<Finding> {
    let run = known.run;
    let title = run.plan.as_ref()?.convoy.as_str();
    let convoy = run.convoy().filter(|convoy| convoy.title != title)?;
    let row = run.convoys.rows.iter().position(|c| c.id == convoy.id);
    Some(
        Finding::new(
            Level::Note,
            "landed.convoy_title",
            format!("the convoy is called {}, not {}", quoted(&convoy.title, 80), quoted(title, 80)),
        )
        .expected(format!("a convoy of the title {}", quoted(title, 80)))
        .saw(format!(
            "{} {}, which is {}; it counts as the one that was meant",
            convoy.id,
            quoted(&convoy.title, 80),
            convoy.status
        ))
        .at(self::row(path::CONVOYS, row))
        .next(next::view(run)),
    )
}

/// Clauses that hold before a convoy closes.
const BEFORE_THE_CONVOY: [&str; 3] = ["issues_closed", "merged", "pushed"];

/// Nothing else explains it: the deadline passed.
fn timed_out(known: &Known<'_>) -> Option<Finding> {
    let run = known.run;
    let stopped = run.record.stopped.as_ref().filter(|s| s.kind == crate::evidence::StopKind::Timeout)?;
    let limit = run.plan.as_ref().map_or_else(String::new, |p| format!(" within {}", duration(p.landing_timeout_s)));
    let missing: Vec<String> =
        known.landed.iter().filter(|c| c.value == Some(false)).map(|c| format!("{} {}", c.title, c.now)).collect();
    let missing = if missing.is_empty() { String::new() } else { format!(": {}", missing.join(", ")) };
    Some(
        problem("timeout", format!("the convoy did not land{limit}{missing}"))
            .expected("all landed clauses at the same moment")
            .saw(late(run).map_or_else(|| stopped.message.clone(), |late| format!("{}; {late}", stopped.message)))
            .at(at_path(format!("evidence/{}", path::SIGNS)))
            .next("proctor run --help   # --timeout, or CONVOY_TIMEOUT in seconds, gives it more time"),
    )
}

/// Which issues were closed only after the deadline.
fn late(run: &Run) -> Option<String> {
    let deadline = run.collecting_since()?;
    let late = |id: &&str| run.beads.rows.iter().any(|b| b.id == **id && b.closed_at.is_some_and(|at| at >= deadline));
    let ids: Vec<&str> = run.tracked().into_iter().filter(late).collect();
    (!ids.is_empty()).then(|| format!("{} was closed after it", ids.join(", ")))
}

/// A clause is false and nothing of the above applies.
fn not_together(known: &Known<'_>) -> Finding {
    let false_ones: Vec<String> =
        known.landed.iter().filter(|c| c.value == Some(false)).map(|c| format!("{} {}", c.title, c.now)).collect();
    problem("clause_false", format!("the landed clauses do not hold together: {}", false_ones.join(", ")))
        .expected("all landed clauses at the same moment")
        .saw(false_ones.join(", "))
        .at(at_path(format!("evidence/{}", path::SIGNS)))
        .next(next::view(known.run))
}
