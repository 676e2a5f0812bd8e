//! LogsQL: the query language of VictoriaLogs, as far as runs need it.
//!
//! `parse` makes a query tree or an error that points at a column; [`crate::Store::logsql`] evaluates it. What is there,
//! and where it differs from VictoriaLogs, stands in `docs/queries.md`.

use std::collections::BTreeMap;

/// One row of an answer: field name to text. Empty values are left out.
pub type Row = BTreeMap<String, String>;

/// The answer to a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The rows: of a query without pipes, ascending by time.
    pub rows: Vec<Row>,
    /// How many rows there would have been without the limit.
    pub total: usize,
}
