//! What the town's own rows must say: mails, workers, the end state.

use std::collections::{BTreeMap, BTreeSet};

use super::{Answer, Case};
use crate::agents::STANDING_ROLES;
use crate::evidence::{Mail, path};
use crate::next;
use crate::plan::{MailCheck, WorkersCheck};
use crate::run::Run;
use crate::wording::{at_path, count, quoted, short_agent};

pub(super) fn mail(case: &Case<'_>, check: &MailCheck) -> Answer {
    let expected = format!(
        "a mail {} from {} to whoever holds {}'s issue, with a text",
        quoted(&check.subject, 120),
        check.from,
        check.to_holder_of
    );
    let Some(mails) = case.run.mail.when_known() else {
        return Answer::unknown(expected, format!("evidence/{} is not there", path::MAIL));
    };
    let holders = holders(case, &check.to_holder_of);
    let line = |wanted: &Mail| mails.iter().position(|m| m.id == wanted.id).map_or(0, |at| at + 1);
    let same: Vec<&Mail> =
        mails.iter().filter(|m| m.subject == check.subject && short_agent(&m.from) == short_agent(&check.from)).collect();
    let good = same.iter().find(|m| holders.contains(&short_agent(&m.to)) && !m.body.trim().is_empty());
    if let Some(mail) = good {
        let saw = format!("sent to {}, {} characters", mail.to, mail.body.trim().chars().count());
        return Answer::when(true, expected, saw).at(at_path(format!("evidence/{}:{}", path::MAIL, line(mail))));
    }
    let saw = mail_trouble(&same, mails, &holders, check);
    let place = same
        .first()
        .map_or_else(|| at_path(format!("evidence/{}", path::MAIL)), |m| at_path(format!("evidence/{}:{}", path::MAIL, line(m))));
    let next = same.first().map_or_else(|| next::view_events(case.run, "mail"), |m| next::view_mail(case.run, m));
    Answer::when(false, expected, saw).absent(same.is_empty() || holders.is_empty()).at(place).next(next)
}

fn mail_trouble(same: &[&Mail], all: &[Mail], holders: &BTreeSet<String>, check: &MailCheck) -> String {
    let held = if holders.is_empty() {
        format!("nobody held an issue of {}", check.to_holder_of)
    } else {
        format!("{} held it", holders.iter().cloned().collect::<Vec<_>>().join(", "))
    };
    match same {
        [] => match nearest(all, check) {
            Some(mail) => {
                format!("no such mail; the nearest is {} from {} to {}", quoted(&mail.subject, 120), mail.from, mail.to)
            }
            None => "no mail was sent".into(),
        },
        [mail, ..] if holders.contains(&short_agent(&mail.to)) => format!("sent to {}, but without a text", mail.to),
        mails => {
            let to: Vec<&str> = mails.iter().map(|m| m.to.as_str()).collect();
            format!("sent to {}, but {held}", to.join(", "))
        }
    }
}

fn nearest<'a>(all: &'a [Mail], check: &MailCheck) -> Option<&'a Mail> {
    all.iter().max_by(|a, b| {
        let likeness = |m: &Mail| strsim::normalized_damerau_levenshtein(&m.subject, &check.subject);
        likeness(a).total_cmp(&likeness(b))
    })
}

/// Everybody who held the tracked issue of `rig` at some time, by the short form of the address.
fn holders(case: &Case<'_>, rig: &str) -> BTreeSet<String> {
    let run = case.run;
    let tracked: BTreeSet<&str> = run.tracked().into_iter().collect();
    let mut holders = BTreeSet::new();
    let issues: BTreeSet<&str> = run
        .beads
        .rows
        .iter()
        .filter(|b| b.rig.as_deref() == Some(rig) && tracked.contains(b.id.as_str()))
        .map(|b| b.id.as_str())
        .collect();
    let mut hold = |agent: &Option<String>| holders.extend(agent.as_deref().map(short_agent));
    run.deliveries.rows.iter().filter(|d| d.rig == rig).for_each(|d| hold(&d.worker));
    run.beads.rows.iter().filter(|b| issues.contains(b.id.as_str())).for_each(|b| hold(&b.assignee));
    let about = |issue: &Option<String>| issue.as_deref().is_some_and(|i| issues.contains(i));
    run.sessions.rows.iter().filter(|s| about(&s.issue)).for_each(|s| hold(&Some(s.agent.clone())));
    run.agents.rows.iter().filter(|a| about(&a.issue)).for_each(|a| hold(&Some(a.agent.clone())));
    holders
}

pub(super) fn workers(case: &Case<'_>, check: &WorkersCheck) -> Answer {
    let mut expected = format!("{} of role {}", count(usize::try_from(check.count).unwrap_or(usize::MAX), "agent"), check.role);
    if let Some(rigs) = check.rigs {
        expected += &format!(", in at least {}", count(usize::try_from(rigs).unwrap_or(usize::MAX), "rig"));
    }
    if !case.run.sessions.known && !case.run.agents.known {
        return Answer::unknown(expected, format!("evidence/{} is not there", path::SESSIONS));
    }
    let mut found: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    let sessions = case.run.sessions.rows.iter().filter(|s| s.role == check.role);
    found.extend(sessions.map(|s| (s.agent.as_str(), s.rig.as_deref())));
    let agents = case.run.agents.rows.iter().filter(|a| a.role == check.role);
    found.extend(agents.map(|a| (a.agent.as_str(), a.rig.as_deref())));
    let rigs: BTreeSet<&str> = found.values().flatten().copied().collect();
    let enough_rigs = check.rigs.is_none_or(|least| rigs.len() as u64 >= least);
    let holds = found.len() as u64 == check.count && enough_rigs;
    let names: Vec<String> = found.keys().map(|a| short_agent(a)).collect();
    let saw = match names.is_empty() {
        true => "none".into(),
        false => format!("{} in {}: {}", names.len(), count(rigs.len(), "rig"), names.join(", ")),
    };
    Answer::when(holds, expected, saw)
        .absent((found.len() as u64) < check.count)
        .at(at_path(format!("evidence/{}", path::SESSIONS)))
        .next(next::view_at(case.run, &[("role", check.role.clone())]))
}

pub(super) fn end_state(case: &Case<'_>) -> Answer {
    let run = case.run;
    let rest = if run.is_live() { "no worker at work" } else { "no worker's session left" };
    let expected = format!("convoy closed, every tracked issue closed and merged, merge queues empty, {rest}");
    let collected = [run.convoys.known, run.beads.known, run.deliveries.known, run.merge_requests.known, run.sessions.known];
    if collected.contains(&false) {
        return Answer::unknown(expected, "the town's end state was not collected whole");
    }
    let wrong = disorder(case);
    let saw = if wrong.is_empty() { format!("so it is, for {}", count(run.tracked().len(), "issue")) } else { wrong.join("; ") };
    Answer::when(wrong.is_empty(), expected, saw)
        .absent(true)
        .at(at_path("evidence/town/"))
        .at(at_path(format!("evidence/{}", path::DELIVERIES)))
        .next(next::view(run))
}

fn disorder(case: &Case<'_>) -> Vec<String> {
    let run = case.run;
    let mut wrong = Vec::new();
    match run.convoy() {
        None => wrong.push(run.no_convoy()),
        Some(convoy) if convoy.status != "closed" => wrong.push(format!("the convoy {} is {}", convoy.id, convoy.status)),
        Some(_) => {}
    }
    for id in run.tracked() {
        match run.beads.rows.iter().find(|b| b.id == id) {
            None => wrong.push(format!("{id} is tracked and does not exist")),
            Some(bead) if bead.status != "closed" => wrong.push(format!("{id} is {}", bead.status)),
            Some(_) => {}
        }
        if !run.deliveries.rows.iter().any(|d| d.issue == id && d.merged) {
            wrong.push(format!("{id} is not merged"));
        }
    }
    let open = run.merge_requests.rows.iter().filter(|m| m.closed_at.is_none() && m.status == "open");
    wrong.extend(open.map(|m| format!("merge request {} of {} is open", m.id, m.issue)));
    let alive = run.sessions.rows.iter().filter(|s| s.ended_at.is_none() && !STANDING_ROLES.contains(&s.role.as_str()));
    let alive = alive.filter(|s| !run.is_live() || is_working(run, &s.agent));
    wrong.extend(alive.map(|s| format!("session {} of {} never ended", s.session, short_agent(&s.agent))));
    wrong
}

/// Nobody ends the workers of a live town: one that rests waits for the next issue. One of whom the town says nothing is not known to.
fn is_working(run: &Run, agent: &str) -> bool {
    !run.agents.rows.iter().any(|row| row.agent == agent && row.state != "working")
}
