//! Requests to the run's listeners that count for nobody, were refused, or asked for what does not exist: each with its sender.

use std::collections::{BTreeMap, BTreeSet};

use super::Known;
use crate::evidence::{Exchange, RefusalReason, RefusedRequests, path};
use crate::next;
use crate::summary::{Finding, Level};
use crate::wording::{after, at_path, count, quoted, short_agent};

pub(super) fn all(known: &Known<'_>) -> Vec<Finding> {
    let mut findings = claimed(known);
    findings.extend(unknown_paths(known));
    findings.extend(refused(known));
    findings
}

type Group<'a> = Vec<(usize, &'a RefusedRequests)>;

/// Rows of one kind, by listener and the agent that is named.
fn groups<'a>(known: &'a Known<'_>, is_claim: bool) -> BTreeMap<(&'a str, &'a str), Group<'a>> {
    let mut groups: BTreeMap<(&str, &str), Group<'_>> = BTreeMap::new();
    for (index, row) in known.run.requests.rows.iter().enumerate().filter(|(_, row)| is_about_tokens(row.reason) == is_claim) {
        // Of many refused alike only some senders are looked up.
        let whom = if is_claim { row.claimed.as_deref() } else { None };
        groups.entry((row.listener.as_str(), whom.unwrap_or_default())).or_default().push((index + 1, row));
    }
    groups
}

pub(crate) fn is_about_tokens(reason: RefusalReason) -> bool {
    matches!(reason, RefusalReason::NoToken | RefusalReason::UnknownToken | RefusalReason::ForeignToken)
}

/// Requests by the address of an agent that did not hold the agent's token.
fn claimed(known: &Known<'_>) -> Vec<Finding> {
    let finding = |((listener, whom), rows): (&(&str, &str), &Group<'_>)| {
        let (line, first) = rows.iter().min_by_key(|(_, row)| row.first_at)?;
        let named = if whom.is_empty() { "no agent".to_owned() } else { short_agent(whom) };
        let senders = senders(rows);
        let by = if senders.is_empty() { String::new() } else { format!("; {} sent them", senders.join(", ")) };
        let title = format!("{} to the {listener} by the address of {named}, without its token{by}", requests(total(rows)));
        Some(
            Finding::new(Level::Warning, "identity.token", title)
                .expected("requests of an agent by its own address, which holds its token")
                .saw(format!("{}; kept, and counted for nobody", reasons(rows)))
                .detail("first", format!("{} {}", quoted(&first.example, 200), after(known.run.since_start(first.first_at))))
                .detail("process", process(rows))
                .at(at_path(format!("evidence/{}:{line}", path::REQUESTS)))
                .next(next::view(known.run)),
        )
    };
    groups(known, true).iter().filter_map(finding).collect()
}

/// Requests and connections that were refused so that nothing is exhausted.
fn refused(known: &Known<'_>) -> Vec<Finding> {
    let finding = |((listener, _), rows): (&(&str, &str), &Group<'_>)| {
        let (line, first) = rows.first()?;
        let senders = senders(rows);
        let of = if senders.is_empty() { String::new() } else { format!(" of {}", senders.join(", ")) };
        let title = format!("the {listener} refused {}{of}: {}", requests(total(rows)), reasons(rows));
        Some(
            Finding::new(Level::Warning, "requests.refused", title)
                .expected("requests within the limits of one sender")
                .saw(reasons(rows))
                .detail("first", format!("{} {}", quoted(&first.example, 200), after(known.run.since_start(first.first_at))))
                .detail("process", process(rows))
                .at(at_path(format!("evidence/{}:{line}", path::REQUESTS)))
                .next(next::view(known.run)),
        )
    };
    groups(known, false).iter().filter_map(finding).collect()
}

fn total(rows: &Group<'_>) -> u64 {
    rows.iter().map(|(_, row)| row.count).sum()
}

fn requests(number: u64) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "request")
}

/// The agents that sent them, as far as they are known.
fn senders(rows: &Group<'_>) -> Vec<String> {
    let agents: BTreeSet<&str> = rows.iter().filter_map(|(_, row)| row.agent.as_deref()).collect();
    agents.into_iter().map(short_agent).collect()
}

fn process(rows: &Group<'_>) -> String {
    let from = rows.iter().find_map(|(_, row)| row.from.as_ref());
    from.map_or_else(|| "not known".to_owned(), |from| format!("{} ({})", from.program, from.pid))
}

/// `3 without a token, 1 with another agent's token`.
fn reasons(rows: &Group<'_>) -> String {
    let mut counts: BTreeMap<RefusalReason, u64> = BTreeMap::new();
    for (_, row) in rows {
        *counts.entry(row.reason).or_default() += row.count;
    }
    let parts: Vec<String> = counts.iter().map(|(reason, number)| format!("{number} {}", words(*reason))).collect();
    parts.join(", ")
}

fn words(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::NoToken => "without a token",
        RefusalReason::UnknownToken => "with a token that is nobody's",
        RefusalReason::ForeignToken => "with the token of another agent",
        RefusalReason::TooManyConnections => "for too many open connections",
        RefusalReason::TooSlow => "for not arriving in time",
        RefusalReason::TooMuch => "for too many bytes or requests",
    }
}

/// What an agent asked the gateway for that does not exist there.
fn unknown_paths(known: &Known<'_>) -> Vec<Finding> {
    let mut by_agent: BTreeMap<&str, Vec<&Exchange>> = BTreeMap::new();
    for exchange in known.run.unknown_requests() {
        by_agent.entry(&exchange.agent).or_default().push(exchange);
    }
    let finding = |(agent, rows): (&&str, &Vec<&Exchange>)| {
        let first = rows.first()?;
        let who = short_agent(agent);
        let title = format!("{who} asked the gateway {} for what it does not have: {}", times(rows.len()), paths(rows));
        Some(
            Finding::new(Level::Warning, "gateway.unknown_path", title)
                .expected("POST /v1/messages, the provider's API that the gateway plays")
                .saw(format!("{}, each answered with HTTP 404", paths(rows)))
                .detail("agent", *agent)
                .detail("first", after(known.run.since_start(first.at)))
                .at(at_path(format!("evidence/{}:{}", path::EXCHANGES, first.n)))
                .next(next::view_exchange(known.run, first)),
        )
    };
    by_agent.iter().filter_map(finding).collect()
}

fn times(number: usize) -> String {
    if number == 1 { "once".to_owned() } else { format!("{number} times") }
}

/// Methods and paths, the most frequent first, at most three.
pub(super) fn paths(rows: &[&Exchange]) -> String {
    const SHOWN: usize = 3;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        *counts.entry(row.request.as_str()).or_default() += 1;
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    let more = counts.len().saturating_sub(SHOWN);
    let shown: Vec<String> = counts.iter().take(SHOWN).map(|(request, _)| quoted(request, 120)).collect();
    if more == 0 { shown.join(", ") } else { format!("{}, and {more} more", shown.join(", ")) }
}
