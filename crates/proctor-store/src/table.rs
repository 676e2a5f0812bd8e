//! The rows in memory, and the counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;

use crate::again::{Provable, Seen};
use crate::losses::{Loss, LossKind, Losses, Sender};
use crate::otlp::{Rows, What};
use crate::record::{FarOff, LogRecord, MetricPoint, Span, Time, TimeRange};
use crate::store::{Ingested, Stats};

/// How much later than it came a row may have happened, for clocks that differ a little.
const AHEAD: TimeDelta = TimeDelta::minutes(1);
/// How much earlier than the run's first telemetry a row may have happened.
const BEHIND: TimeDelta = TimeDelta::minutes(10);

/// All rows in the order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) logs: Vec<Arc<LogRecord>>,
    pub(crate) points: Vec<Arc<MetricPoint>>,
    pub(crate) spans: Vec<Arc<Span>>,
    pub(crate) seq: u64,
    pub(crate) stats: Stats,
    pub(crate) losses: Losses,
    /// When the first request came, by Proctor's clock, and the newest moment that is known of the run.
    came: Option<(Time, Time)>,
    seen: (Seen<LogRecord>, Seen<MetricPoint>, Seen<Span>),
}

/// A request's rows with what they have in common.
pub(crate) struct Arrived {
    pub(crate) rows: Rows,
    pub(crate) from: Sender,
    pub(crate) at: Time,
    /// Bytes as received.
    pub(crate) body_bytes: u64,
}

impl Table {
    /// Numbers the rows of one request and takes them in, but those that came before.
    pub(crate) fn add(&mut self, arrived: Arrived) -> Ingested {
        let Arrived { rows, from, at, body_bytes } = arrived;
        let first = self.note_time(at);
        let mut adding =
            Adding { seq: self.seq, first, at, newest: at, from: &from, losses: &mut self.losses, added: Ingested::default() };
        adding.all(rows.logs, &mut self.logs, &mut self.seen.0);
        adding.all(rows.points, &mut self.points, &mut self.seen.1);
        adding.all(rows.spans, &mut self.spans, &mut self.seen.2);
        let (seq, newest, mut added) = (adding.seq, adding.newest, adding.added);
        self.seq = seq;
        self.note_time(newest);
        for note in &rows.notes.all {
            let kind = match note.what {
                What::Rejected => LossKind::Rejected,
                What::Repaired => LossKind::Repaired,
            };
            self.losses.add(kind, &from, (note.reason, note.count, &note.example), at);
        }
        self.losses.add(LossKind::Dropped, &from, ("attributes, events or links that the sender left out", rows.dropped, ""), at);
        (added.rejected, added.repaired) = (rows.notes.rejected(), rows.notes.repaired());
        self.count(added, rows.dropped, body_bytes);
        added
    }

    fn count(&mut self, added: Ingested, dropped: u64, body_bytes: u64) {
        let stats = &mut self.stats;
        stats.logs = self.logs.len() as u64;
        stats.points = self.points.len() as u64;
        stats.spans = self.spans.len() as u64;
        stats.requests += 1;
        stats.bytes += body_bytes;
        stats.contradicted += added.contradicted;
        stats.dropped_by_senders += dropped;
        stats.records_rejected += added.rejected;
        stats.repaired += added.repaired;
        stats.repeated += added.repeated;
        stats.far_off += added.far_off;
    }

    /// Counts a refused request; `why` is what its sender was told.
    pub(crate) fn refuse(&mut self, reason: &str, from: &Sender, why: &str, at: Time) {
        self.note_time(at);
        *self.stats.rejected.entry(reason.to_owned()).or_default() += 1;
        self.losses.add(LossKind::Refused, from, (reason, 1, why), at);
    }

    /// Moves the run's clock on; gives when the first request came.
    fn note_time(&mut self, at: Time) -> Time {
        let (first, newest) = self.came.get_or_insert((at, at));
        *newest = at.max(*newest);
        *first
    }

    /// The run's own clock, as far as the store knows it: when the newest request came, or what a record of it says that is not far off.
    pub(crate) fn clock(&self) -> Option<Time> {
        self.came.map(|(_, newest)| newest)
    }

    pub(crate) fn losses(&self) -> Vec<Loss> {
        self.losses.all()
    }

    pub(crate) fn logs_in(&self, range: TimeRange) -> Vec<Arc<LogRecord>> {
        sorted(&self.logs, range, |row| (row.time, row.seq))
    }

    pub(crate) fn points_in(&self, range: TimeRange) -> Vec<Arc<MetricPoint>> {
        sorted(&self.points, range, |row| (row.time, row.origin.seq))
    }

    pub(crate) fn spans_in(&self, range: TimeRange) -> Vec<Arc<Span>> {
        sorted(&self.spans, range, |row| (row.start, row.origin.seq))
    }

    /// Rows that arrived after sequence number `seq`.
    pub(crate) fn logs_past(&self, seq: u64) -> Vec<Arc<LogRecord>> {
        let from = self.logs.partition_point(|row| row.seq <= seq);
        self.logs.get(from..).unwrap_or_default().to_vec()
    }
}

/// What the three kinds of row have in common while they are taken in.
trait Row: Provable {
    fn place(&mut self, seq: u64, far_off: Option<FarOff>);
    fn times(&self) -> [Time; 2];
    fn is_contradicted(&self) -> bool;
    /// For people.
    fn name(&self) -> &str;
    /// What its being the same rests on.
    const PROOF: &'static str;
}

impl Row for LogRecord {
    fn place(&mut self, seq: u64, far_off: Option<FarOff>) {
        (self.seq, self.far_off) = (seq, far_off);
    }

    fn times(&self) -> [Time; 2] {
        [self.time; 2]
    }

    fn is_contradicted(&self) -> bool {
        self.contradicted.is_some()
    }

    fn name(&self) -> &str {
        if self.body.is_empty() { &self.event_name } else { &self.body }
    }

    const PROOF: &'static str = "the same record of the same session";
}

impl Row for MetricPoint {
    fn place(&mut self, seq: u64, far_off: Option<FarOff>) {
        (self.origin.seq, self.origin.far_off) = (seq, far_off);
    }

    fn times(&self) -> [Time; 2] {
        [self.time; 2]
    }

    fn is_contradicted(&self) -> bool {
        self.origin.contradicted.is_some()
    }

    fn name(&self) -> &str {
        &self.metric.name
    }

    const PROOF: &'static str = "the same point of the same series";
}

impl Row for Span {
    fn place(&mut self, seq: u64, far_off: Option<FarOff>) {
        (self.origin.seq, self.origin.far_off) = (seq, far_off);
    }

    fn times(&self) -> [Time; 2] {
        [self.start, self.end]
    }

    fn is_contradicted(&self) -> bool {
        self.origin.contradicted.is_some()
    }

    fn name(&self) -> &str {
        &self.name
    }

    const PROOF: &'static str = "the same span of the same trace";
}

/// Takes the rows of one request in.
struct Adding<'a> {
    seq: u64,
    /// When the run's first request came.
    first: Time,
    at: Time,
    newest: Time,
    from: &'a Sender,
    losses: &'a mut Losses,
    added: Ingested,
}

impl Adding<'_> {
    fn all<T: Row>(&mut self, rows: Vec<T>, into: &mut Vec<Arc<T>>, seen: &mut Seen<T>) {
        for mut row in rows {
            let (proof, is_known) = seen.look(&row);
            if is_known {
                self.added.repeated += 1;
                self.losses.add(LossKind::Repeated, self.from, (T::PROOF, 1, row.name()), self.at);
                continue;
            }
            self.seq += 1;
            self.added.stored += 1;
            self.added.contradicted += u64::from(row.is_contradicted());
            let far_off = row.times().into_iter().find_map(|time| self.far_off(time));
            match far_off {
                Some(how) => self.note_far_off(&row, how),
                None => self.newest = row.times().into_iter().fold(self.newest, Time::max),
            }
            row.place(self.seq, far_off);
            let row = Arc::new(row);
            seen.keep(proof, &row);
            into.push(row);
        }
    }

    fn far_off(&self, time: Time) -> Option<FarOff> {
        if time.signed_duration_since(self.at) > AHEAD {
            Some(FarOff::Ahead)
        } else if self.first.signed_duration_since(time) > BEHIND {
            Some(FarOff::Behind)
        } else {
            None
        }
    }

    fn note_far_off(&mut self, row: &impl Row, how: FarOff) {
        let reason = match how {
            FarOff::Ahead => "a time later than the record came",
            FarOff::Behind => "a time before the run",
        };
        let time = row.times().into_iter().find(|time| self.far_off(*time).is_some()).unwrap_or(self.at);
        let example = format!("{} at {}", row.name(), time.format("%Y-%m-%dT%H:%M:%SZ"));
        self.added.far_off += 1;
        self.losses.add(LossKind::FarOff, self.from, (reason, 1, &example), self.at);
    }
}

fn sorted<T>(rows: &[Arc<T>], range: TimeRange, key: impl Fn(&T) -> (Time, u64)) -> Vec<Arc<T>> {
    let mut rows: Vec<Arc<T>> = rows.iter().filter(|row| range.contains(key(row).0)).map(Arc::clone).collect();
    rows.sort_by_key(|row| key(row));
    rows
}

/// The counts as the manifest states them.
pub(crate) fn stats_json(stats: &Stats) -> serde_json::Value {
    let rejected: &BTreeMap<String, u64> = &stats.rejected;
    serde_json::json!({
        "logs": stats.logs, "points": stats.points, "spans": stats.spans,
        "requests": stats.requests, "bytes": stats.bytes, "rejected": rejected,
        "contradicted": stats.contradicted, "dropped_by_senders": stats.dropped_by_senders,
        "records_rejected": stats.records_rejected, "repaired": stats.repaired, "repeated": stats.repeated,
        "far_off": stats.far_off,
    })
}
