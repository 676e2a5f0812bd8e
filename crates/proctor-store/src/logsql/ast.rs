//! The tree of a LogsQL query.

use regex::Regex;

use super::time::{Moment, TimeSpan};

/// A whole query: which records, then what becomes of them.
#[derive(Clone, Debug)]
pub struct Query {
    pub(super) filter: Filter,
    pub(super) pipes: Vec<Pipe>,
}

/// Which rows.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    All,
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Field {
        name: String,
        test: Test,
    },
    /// Range of `_time`.
    Time(TimeSpan),
    /// `_time:5m`: the last five minutes, `offset` before now.
    Recent {
        nanos: i64,
        offset: i64,
    },
}

/// What a field's text must be like. An absent field has the empty text.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// Contains it, bounded by token borders; the empty phrase matches the empty text only.
    Phrase(String),
    /// Contains a token border and then this.
    Prefix(String),
    /// Like [`Test::Phrase`] in any letter case; given in lower case.
    AnyCase(String),
    Exact(String),
    ExactPrefix(String),
    Regex(Regex),
    NotEmpty,
    Compare(Comparison, String),
    In(Vec<String>),
    ContainsAny(Vec<String>),
    ContainsAll(Vec<String>),
    /// Phrases in this order.
    Sequence(Vec<String>),
    /// Number range; `true` where the end belongs to it.
    Range {
        from: (f64, bool),
        to: (f64, bool),
    },
    /// Length in characters.
    Length {
        from: u64,
        to: u64,
    },
}

/// A comparison sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// One step after the filter.
#[derive(Clone, Debug)]
pub(super) enum Pipe {
    Stats { by: Vec<Group>, functions: Vec<Function> },
    Sort { by: Vec<SortKey>, limit: Option<usize>, offset: usize },
    Limit(usize),
    Offset(usize),
    Fields(Vec<String>),
    Delete(Vec<String>),
    Rename(Vec<(String, String)>),
    Uniq { by: Vec<String>, hits: bool },
    Filter(Filter),
}

/// A field to group by, with a bucket for times.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) field: String,
    /// Nanoseconds.
    pub(super) bucket: Option<i64>,
}

/// A field to sort by.
#[derive(Clone, Debug)]
pub(super) struct SortKey {
    pub(super) field: String,
    pub(super) descending: bool,
}

/// A figure over the rows of a group.
#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) kind: FunctionKind,
    pub(super) fields: Vec<String>,
    /// `if (…)`: which rows count.
    pub(super) only: Option<Filter>,
    /// Name of the result.
    pub(super) name: String,
}

/// The figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum FunctionKind {
    Count,
    CountEmpty,
    CountUniq,
    Sum,
    Min,
    Max,
    Avg,
    Quantile(f64),
    UniqValues,
    Values,
}

/// Used by the parser for `_time:[from, to]`.
pub(super) fn span(from: Option<Moment>, to: Option<Moment>) -> Filter {
    Filter::Time(TimeSpan { from, to })
}
