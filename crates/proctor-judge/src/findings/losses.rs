//! Telemetry that is not in the store, or not as it was sent: who sent it, how much, why, and the first of it.

use std::collections::BTreeMap;

use proctor_store::{Loss, LossKind};

use super::{Finding, Known};
use crate::evidence::path;
use crate::intake::{records, requests};
use crate::next;
use crate::summary::{Evidence, Level};
use crate::wording::{after, at_logsql, at_path, count, grouped, quoted, short_agent};

/// How much of a first example is shown.
const SHOWN: usize = 160;

/// Kind, whose address, and whether the address held the token.
type Key<'a> = (LossKind, &'a str, bool);

/// One finding for each kind and sender.
pub(super) fn all(known: &Known<'_>) -> Vec<Finding> {
    let mut groups: BTreeMap<Key<'_>, Vec<&Loss>> = BTreeMap::new();
    for loss in &known.telemetry.losses {
        let who = loss.agent.as_deref().or(loss.claimed.as_deref()).unwrap_or_default();
        groups.entry((loss.kind, who, loss.claimed.is_some())).or_default().push(loss);
    }
    groups.iter().filter_map(|(key, losses)| finding(known, key, losses)).collect()
}

fn finding(known: &Known<'_>, (kind, who, is_claimed): &Key<'_>, losses: &[&Loss]) -> Option<Finding> {
    let first = losses.iter().min_by_key(|loss| loss.first_at)?;
    let amount = amount(*kind, losses);
    let sender = match (who.is_empty(), is_claimed) {
        (true, _) => "by the town's own paths".to_owned(),
        (false, false) => format!("by {}'s address", short_agent(who)),
        (false, true) => format!("by {}'s address, without its token,", short_agent(who)),
    };
    let Words { level, id, title, expected, then } = words(*kind);
    let example = if first.example.is_empty() { first.reason.clone() } else { quoted(&first.example, SHOWN) };
    let title = match kind {
        LossKind::FarOff if amount.starts_with("1 ") => format!("{amount} that came {sender} bears a time far outside the run"),
        LossKind::Dropped => format!("{amount} of records that came {sender} {title}"),
        _ => format!("{amount} that came {sender} {title}"),
    };
    let finding = Finding::new(level, id, title)
        .expected(expected)
        .saw(format!("{}{then}", reasons(losses)))
        .detail("first", format!("{example} {}", after(known.run.since_start(first.first_at))))
        .at(place(*kind, who, *is_claimed));
    let at = Some(known.run.since_start(first.first_at));
    Some(finding.next(if who.is_empty() { next::view(known.run) } else { next::view_agent(known.run, who, at) }))
}

struct Words {
    level: Level,
    id: &'static str,
    title: &'static str,
    expected: &'static str,
    then: &'static str,
}

fn words(kind: LossKind) -> Words {
    let (level, id, title, expected, then) = match kind {
        LossKind::Refused => (
            Level::Warning,
            "telemetry.refused",
            "could not be read",
            "OTLP over HTTP, protobuf or JSON",
            "; nothing of them is in the store, and what depends on it is not known",
        ),
        LossKind::Rejected => (
            Level::Warning,
            "telemetry.rejected",
            "could not be read",
            "records as OTLP defines them",
            "; they are not in the store, the others of their requests are, and the sender was told",
        ),
        LossKind::Repaired => (
            Level::Warning,
            "telemetry.repaired",
            "could not be read whole",
            "records as OTLP defines them",
            "; they are in the store with something replaced or left out, and the sender was told",
        ),
        LossKind::Repeated => (
            Level::Note,
            "telemetry.repeated",
            "had come before",
            "each record once",
            "; counted once, as an exporter sends again what was not answered in time",
        ),
        LossKind::FarOff => (
            Level::Warning,
            "telemetry.far_off",
            "bear times far outside the run",
            "times within the run, in nanoseconds since 1970",
            "; kept as they are, and placed where they arrived",
        ),
        LossKind::Dropped => {
            (Level::Note, "telemetry.dropped", "had been dropped by the sender", "everything that the sender had", "")
        }
    };
    Words { level, id, title, expected, then }
}

fn amount(kind: LossKind, losses: &[&Loss]) -> String {
    let sum: u64 = losses.iter().map(|loss| loss.count).sum();
    let same = losses.iter().all(|loss| loss.signal == losses[0].signal);
    match kind {
        LossKind::Refused => requests(sum),
        LossKind::Dropped => format!("{} attributes, events or links", grouped(sum)),
        _ if same => records(losses[0].signal, sum),
        _ => count(usize::try_from(sum).unwrap_or(usize::MAX), "record"),
    }
}

/// `16 of logs: content type; 1 of metrics: too large`.
fn reasons(losses: &[&Loss]) -> String {
    let each = losses.iter().map(|loss| format!("{} of {}: {}", loss.count, loss.signal.name(), loss.reason));
    each.collect::<Vec<_>>().join("; ")
}

/// Where it can be looked up.
fn place(kind: LossKind, who: &str, is_claimed: bool) -> Evidence {
    let column = if is_claimed { "proctor.agent.contradicted" } else { "proctor.agent" };
    match kind {
        LossKind::FarOff if who.is_empty() => at_logsql("proctor.far_off:*"),
        LossKind::FarOff => at_logsql(format!("proctor.far_off:* AND \"{column}\":=\"{who}\"")),
        _ => at_path(format!("evidence/{}/manifest.json", path::TELEMETRY)),
    }
}
