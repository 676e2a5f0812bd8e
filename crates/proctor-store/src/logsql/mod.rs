//! LogsQL: the query language of VictoriaLogs, as far as runs need it.
//!
//! [`parse`] makes a query tree or an error that points at a column; [`crate::Store::logsql`] evaluates it. What is there,
//! and where it differs from VictoriaLogs, stands in `docs/queries.md`.

mod ast;
mod fields;
mod lex;
mod matching;
mod parse;
mod parse_pipes;
mod run;
mod stats;
mod time;

use std::collections::BTreeMap;

pub use ast::Query;
pub use parse::parse;
pub(crate) use run::run;

use crate::record::{LogRecord, time_to_nanos};

/// One row of an answer: field name to text. Empty values are left out.
pub type Row = BTreeMap<String, String>;

/// The answer to a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The rows: of a query whose pipes keep the order, ascending by time.
    pub rows: Vec<Row>,
    /// How many rows there would have been without the limit.
    pub total: usize,
}

impl Query {
    /// Whether `record` passes the query's filter; its pipes do not matter. `_time:5m` counts back from `now`.
    #[must_use]
    pub fn matches(&self, record: &LogRecord, now: crate::Time) -> bool {
        let context = matching::Context { now: time_to_nanos(now) };
        context.passes(&self.filter, record, Some(time_to_nanos(record.time)))
    }
}

/// The row that an answer shows for `record`.
#[must_use]
pub fn row(record: &LogRecord) -> Row {
    fields::row(record)
}
