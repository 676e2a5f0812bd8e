//! Signs: intervals in which a landed clause was seen to have one value.

use proctor_judge::evidence::{Sign, Time};
use proctor_judge::plan::Clause;

/// One clause at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The clause.
    pub clause: Clause,
    /// Whether it holds.
    pub value: bool,
    /// How far: `2/3`.
    pub now: String,
    /// Who said so.
    pub source: &'static str,
    /// What exactly was seen.
    pub detail: String,
}

/// The name of a clause in files and on screens.
pub fn name(clause: Clause) -> &'static str {
    match clause {
        Clause::IssuesClosed => "issues_closed",
        Clause::Merged => "merged",
        Clause::Pushed => "pushed",
        Clause::NoWorkerBusy => "no_worker_busy",
        Clause::ConvoyClosed => "convoy_closed",
    }
}

/// The signs of a run so far.
#[derive(Clone, Debug, Default)]
pub struct SignLog {
    rows: Vec<Sign>,
}

impl SignLog {
    /// Takes readings of one moment; those that changed.
    pub fn take(&mut self, readings: &[Reading], at: Time) -> Vec<Reading> {
        readings.iter().filter(|reading| self.take_one(reading, at)).cloned().collect()
    }

    fn take_one(&mut self, reading: &Reading, at: Time) -> bool {
        let clause = name(reading.clause);
        let last = self.rows.iter_mut().rev().find(|row| row.clause == clause);
        if let Some(row) = last
            && row.value == reading.value
            && row.now == reading.now
            && row.detail == reading.detail
        {
            row.last_seen = at;
            return false;
        }
        self.rows.push(Sign {
            clause: clause.into(),
            value: reading.value,
            now: reading.now.clone(),
            first_seen: at,
            last_seen: at,
            source: reading.source.into(),
            detail: reading.detail.clone(),
        });
        true
    }

    /// All rows, in the order in which they began.
    pub fn rows(&self) -> &[Sign] {
        &self.rows
    }

    /// Since when a clause has held without a break.
    pub fn since(&self, clause: Clause) -> Option<Time> {
        let own = self.rows.iter().rev().filter(|row| row.clause == name(clause));
        own.take_while(|row| row.value).last().map(|row| row.first_seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(value: bool, now: &str) -> Reading {
        Reading { clause: Clause::Merged, value, now: now.into(), source: "git", detail: String::new() }
    }

    fn at(second: i64) -> Time {
        Time::from_timestamp(second, 0).unwrap_or_default()
    }

    #[test]
    fn an_interval_grows_until_something_changes() {
        let mut log = SignLog::default();
        for (second, value, now) in [(1, false, "0/3"), (2, false, "0/3"), (3, false, "1/3"), (4, true, "3/3"), (5, true, "3/3")]
        {
            log.take(&[reading(value, now)], at(second));
        }
        let rows: Vec<(i64, i64)> = log.rows().iter().map(|r| (r.first_seen.timestamp(), r.last_seen.timestamp())).collect();
        assert_eq!(rows, [(1, 2), (3, 3), (4, 5)]);
        assert_eq!(log.since(Clause::Merged), Some(at(4)));
    }

    #[test]
    fn a_clause_that_broke_holds_since_it_was_mended() {
        let mut log = SignLog::default();
        for (second, value) in [(1, true), (2, false), (3, true)] {
            log.take(&[reading(value, "x")], at(second));
        }
        assert_eq!(log.since(Clause::Merged), Some(at(3)));
        assert_eq!(log.since(Clause::Pushed), None);
    }
}
