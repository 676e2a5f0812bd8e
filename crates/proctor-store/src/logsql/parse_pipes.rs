//! The parser of LogsQL pipes: what becomes of the rows after the filter.

use super::ast::{Function, FunctionKind, Group, Pipe, SortKey};
use super::lex::{Kind, Token};
use super::parse::Parser;
use super::time;
use crate::error::QueryError;

/// Pipes of VictoriaLogs that the store knows by name and does not have yet.
const LATER: [&str; 30] = [
    "block_stats",
    "blocks_count",
    "collapse_nums",
    "copy",
    "cp",
    "decolorize",
    "drop_empty_fields",
    "extract",
    "extract_regexp",
    "facets",
    "field_names",
    "field_values",
    "first",
    "format",
    "hash",
    "join",
    "json_array_len",
    "last",
    "len",
    "math",
    "eval",
    "pack_json",
    "pack_logfmt",
    "replace",
    "replace_regexp",
    "sample",
    "stream_context",
    "top",
    "union",
    "unpack_json",
];

impl Parser {
    pub(super) fn pipes(&mut self) -> Result<Vec<Pipe>, QueryError> {
        let mut pipes = Vec::new();
        while self.eat("|") {
            pipes.push(self.pipe()?);
        }
        Ok(pipes)
    }

    fn pipe(&mut self) -> Result<Pipe, QueryError> {
        let token = self.next();
        let Kind::Word(word) = &token.kind else {
            return Err(token.error(format!("expected a pipe, found {}", token.shown())).hinted("| stats by (level) count()"));
        };
        match word.to_lowercase().as_str() {
            "stats" => self.stats(),
            "by" => self.groups().and_then(|by| self.stats_of(by)),
            "count" if !self.peek().is("(") => Ok(Pipe::Stats { by: Vec::new(), functions: vec![count_all()] }),
            "sort" | "order" => self.sort(),
            "limit" | "head" => self.amount(10).map(Pipe::Limit),
            "offset" | "skip" => self.amount(0).map(Pipe::Offset),
            "fields" | "keep" => self.names().map(Pipe::Fields),
            "delete" | "del" | "rm" | "drop" => self.names().map(Pipe::Delete),
            "rename" | "mv" => self.renames(),
            "uniq" => self.uniq(),
            "filter" | "where" => self.any("_msg").map(Pipe::Filter),
            name if function_kind(name).is_some() => {
                self.step_back();
                self.stats_of(Vec::new())
            }
            name if LATER.contains(&name) || name.starts_with("unpack_") || name.starts_with("unroll") => {
                Err(token.error(format!("the pipe `{name}` is not there yet")))
            }
            name => {
                let error = token.error(format!("there is no pipe `{name}`"));
                Err(error.hinted("there are stats, sort, limit, offset, fields, delete, rename, uniq, filter, count"))
            }
        }
    }

    fn stats(&mut self) -> Result<Pipe, QueryError> {
        let by = if self.eat_word("by") || self.peek().is("(") { self.groups()? } else { Vec::new() };
        self.stats_of(by)
    }

    fn stats_of(&mut self, by: Vec<Group>) -> Result<Pipe, QueryError> {
        let mut functions = vec![self.stats_function()?];
        while self.eat(",") {
            functions.push(self.stats_function()?);
        }
        Ok(Pipe::Stats { by, functions })
    }

    /// `(field, _time:5m)`.
    fn groups(&mut self) -> Result<Vec<Group>, QueryError> {
        self.expect("(")?;
        let mut groups = Vec::new();
        while !self.eat(")") {
            let field = self.name()?;
            let bucket = if self.eat(":") { Some(self.bucket(&field)?) } else { None };
            groups.push(Group { field, bucket });
            self.comma_or_close()?;
        }
        Ok(groups)
    }

    fn bucket(&mut self, field: &str) -> Result<i64, QueryError> {
        let token = self.peek().clone();
        let text = self.text()?;
        match time::duration(&text) {
            Some(nanos) if nanos > 0 && field == "_time" => Ok(nanos),
            Some(_) => Err(token.error("buckets of other fields than `_time` are not there yet")),
            None => Err(token.error(format!("`{text}` is not a duration")).hinted("by (_time:5m)")),
        }
    }

    fn stats_function(&mut self) -> Result<Function, QueryError> {
        let token = self.next();
        let Some(kind) = word(&token).and_then(|name| function_kind(&name)) else {
            let error = token.error(format!("there is no figure {}", token.shown()));
            return Err(error
                .hinted("there are count, count_empty, count_uniq, sum, min, max, avg, quantile, median, uniq_values, values"));
        };
        let mut fields = self.arguments()?;
        let kind = if word(&token).as_deref() == Some("quantile") { quantile(&mut fields, &token)? } else { kind };
        let needs_field = !matches!(kind, FunctionKind::Count);
        if needs_field && fields.is_empty() {
            return Err(token.error(format!("{} needs a field", token.shown())));
        }
        let only = if self.eat_word("if") { Some(self.condition()?) } else { None };
        let named = self.eat_word("as");
        let name = match self.peek().kind {
            Kind::Word(_) | Kind::Quoted(_) => self.name()?,
            _ if named => return Err(self.peek().error("expected a name after `as`")),
            _ => default_name(&token, kind, &fields),
        };
        Ok(Function { kind, fields, only, name })
    }

    fn condition(&mut self) -> Result<super::ast::Filter, QueryError> {
        self.expect("(")?;
        let filter = self.any("_msg")?;
        self.expect(")")?;
        Ok(filter)
    }

    /// `(a, b)`; `*` stands for all rows.
    fn arguments(&mut self) -> Result<Vec<String>, QueryError> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        while !self.eat(")") {
            if !self.eat("*") {
                arguments.push(self.text()?);
            }
            self.comma_or_close()?;
        }
        Ok(arguments)
    }

    fn comma_or_close(&mut self) -> Result<(), QueryError> {
        if self.eat(",") || self.peek().is(")") {
            return Ok(());
        }
        let found = self.peek();
        Err(found.error(format!("expected `,` or `)`, found {}", found.shown())))
    }

    /// `sort by (a desc, b) desc limit 5 offset 2`.
    fn sort(&mut self) -> Result<Pipe, QueryError> {
        self.eat_word("by");
        let mut by = Vec::new();
        if self.eat("(") {
            while !self.eat(")") {
                let field = self.name()?;
                by.push(SortKey { field, descending: self.direction() });
                self.comma_or_close()?;
            }
        }
        if self.direction() {
            by.iter_mut().for_each(|key| key.descending = !key.descending);
        }
        let (mut limit, mut offset) = (None, 0);
        loop {
            if self.eat_word("limit") {
                limit = Some(self.amount(10)?);
            } else if self.eat_word("offset") {
                offset = self.amount(0)?;
            } else {
                return Ok(Pipe::Sort { by, limit, offset });
            }
        }
    }

    fn direction(&mut self) -> bool {
        let descending = self.eat_word("desc");
        if !descending {
            self.eat_word("asc");
        }
        descending
    }

    fn amount(&mut self, default: usize) -> Result<usize, QueryError> {
        let token = self.peek().clone();
        let Some(text) = word(&token) else { return Ok(default) };
        self.next();
        text.parse().map_err(|_| token.error(format!("`{text}` is not a whole number")))
    }

    /// `a, b`.
    fn names(&mut self) -> Result<Vec<String>, QueryError> {
        if self.eat("*") {
            return Ok(Vec::new());
        }
        let mut names = vec![self.name()?];
        while self.eat(",") {
            names.push(self.name()?);
        }
        Ok(names)
    }

    fn renames(&mut self) -> Result<Pipe, QueryError> {
        let mut pairs = Vec::new();
        loop {
            let from = self.name()?;
            self.eat_word("as");
            pairs.push((from, self.name()?));
            if !self.eat(",") {
                return Ok(Pipe::Rename(pairs));
            }
        }
    }

    fn uniq(&mut self) -> Result<Pipe, QueryError> {
        self.eat_word("by");
        let by = self.groups()?.into_iter().map(|group| group.field).collect();
        let hits = self.eat_word("with") && self.eat_word("hits") || self.eat_word("hits");
        Ok(Pipe::Uniq { by, hits })
    }
}

fn word(token: &Token) -> Option<String> {
    match &token.kind {
        Kind::Word(text) => Some(text.to_lowercase()),
        _ => None,
    }
}

fn function_kind(name: &str) -> Option<FunctionKind> {
    Some(match name {
        "count" => FunctionKind::Count,
        "count_empty" => FunctionKind::CountEmpty,
        "count_uniq" => FunctionKind::CountUniq,
        "sum" => FunctionKind::Sum,
        "min" => FunctionKind::Min,
        "max" => FunctionKind::Max,
        "avg" => FunctionKind::Avg,
        "quantile" | "median" => FunctionKind::Quantile(0.5),
        "uniq_values" => FunctionKind::UniqValues,
        "values" => FunctionKind::Values,
        _ => return None,
    })
}

fn quantile(fields: &mut Vec<String>, token: &Token) -> Result<FunctionKind, QueryError> {
    let part = fields.first().and_then(|text| text.parse::<f64>().ok()).filter(|part| (0.0..=1.0).contains(part));
    let part =
        part.ok_or_else(|| token.error("the first argument is a number from 0 to 1").hinted("quantile(0.95, duration_ms)"))?;
    fields.remove(0);
    Ok(FunctionKind::Quantile(part))
}

/// The name that VictoriaLogs gives: the call as written, `count(*)` for all rows.
fn default_name(token: &Token, kind: FunctionKind, fields: &[String]) -> String {
    let function = word(token).unwrap_or_default();
    let list = if fields.is_empty() { "*".to_owned() } else { fields.join(", ") };
    match kind {
        FunctionKind::Quantile(part) if function == "quantile" => format!("quantile({part}, {list})"),
        _ => format!("{function}({list})"),
    }
}

fn count_all() -> Function {
    Function { kind: FunctionKind::Count, fields: Vec::new(), only: None, name: "count(*)".to_owned() }
}
