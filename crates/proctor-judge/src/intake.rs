//! What senders sent and the run's store has otherwise, or not at all.

use proctor_store::{Loss, LossKind, Signal};

use crate::run::Run;
use crate::summary::{IntakeSummary, LossSummary};
use crate::telemetry::Telemetry;
use crate::wording::count;

/// The listener's name in `requests.ndjson`.
const LISTENER: &str = "telemetry listener";

/// The sums and every loss of the run.
pub(crate) fn summary(telemetry: &Telemetry) -> IntakeSummary {
    let sum = |kind| telemetry.losses.iter().filter(|loss| loss.kind == kind).map(|loss| loss.count).sum();
    IntakeSummary {
        refused_requests: sum(LossKind::Refused),
        rejected: sum(LossKind::Rejected),
        repaired: sum(LossKind::Repaired),
        repeated: sum(LossKind::Repeated),
        far_off: sum(LossKind::FarOff),
        dropped: sum(LossKind::Dropped),
        losses: telemetry.losses.iter().map(row).collect(),
    }
}

fn row(loss: &Loss) -> LossSummary {
    LossSummary {
        kind: loss.kind.name().to_owned(),
        agent: loss.agent.clone(),
        claimed: loss.claimed.clone(),
        signal: loss.signal.name().to_owned(),
        reason: loss.reason.clone(),
        count: loss.count,
        example: loss.example.clone(),
        first_at: loss.first_at,
    }
}

/// Why the store may lack what `agent` sent; absent when Proctor took all of it.
pub(crate) fn taken_from(run: &Run, telemetry: &Telemetry, agent: &str) -> Option<String> {
    let of_agent = |loss: &&Loss| loss.kind.is_lost() && loss.agent.as_deref().or(loss.claimed.as_deref()) == Some(agent);
    let mut told: Vec<String> = telemetry.losses.iter().filter(of_agent).map(lost).collect();
    let at_the_door = run.requests.rows.iter().filter(|row| {
        row.listener == LISTENER && row.agent.as_deref() == Some(agent) && !crate::findings::is_about_tokens(row.reason)
    });
    told.extend(at_the_door.map(|row| format!("{} refused at the listener", requests(row.count))));
    (!told.is_empty()).then(|| format!("proctor did not take all that it sent: {}", told.join(", ")))
}

/// `16 requests of logs refused: content type`.
fn lost(loss: &Loss) -> String {
    match loss.kind {
        LossKind::Refused => format!("{} of {} refused: {}", requests(loss.count), loss.signal.name(), loss.reason),
        _ => format!("{} rejected: {}", records(loss.signal, loss.count), loss.reason),
    }
}

pub(crate) fn requests(number: u64) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "request")
}

/// `3 log records`, `1 metric point`.
pub(crate) fn records(signal: Signal, number: u64) -> String {
    let one = match signal {
        Signal::Logs => "log record",
        Signal::Metrics => "metric point",
        Signal::Traces => "span",
    };
    count(usize::try_from(number).unwrap_or(usize::MAX), one)
}
