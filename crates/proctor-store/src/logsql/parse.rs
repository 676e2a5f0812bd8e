//! The parser of LogsQL filters. Pipes are in `parse_pipes`.
//!
//! `NOT` binds closer than `AND`, `AND` (also implied by a blank) closer than `OR`.

use regex::Regex;

use super::ast::{Comparison, Filter, Query, Test, span};
use super::lex::{Kind, Token, tokens};
use super::time::{self, Moment};
use crate::error::QueryError;

/// Parentheses deeper than this are refused, so that no query can exhaust the stack.
const DEEPEST: usize = 128;

/// The field that a word without a field is looked for in.
const MESSAGE: &str = "_msg";

/// Reads a query.
///
/// # Errors
/// Says where the query cannot be understood, or what in it is not there yet.
pub fn parse(query: &str) -> Result<Query, QueryError> {
    let mut parser = Parser { tokens: tokens(query)?, at: 0, depth: 0 };
    let filter = if parser.peek().kind == Kind::End || parser.peek().is("|") { Filter::All } else { parser.any(MESSAGE)? };
    let pipes = parser.pipes()?;
    let rest = parser.peek();
    match rest.kind {
        Kind::End => Ok(Query { filter, pipes }),
        _ if rest.is(")") => Err(rest.error("there is no `(` for this `)`")),
        _ => Err(rest.error(format!("{} is not expected here", rest.shown())).hinted("quote it if it is text")),
    }
}

pub(super) struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    pub(super) fn peek(&self) -> &Token {
        // The last token is `End`, and `next` never goes past it.
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn peek_after(&self) -> &Token {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)]
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    /// Undoes one [`Parser::next`].
    pub(super) fn step_back(&mut self) {
        self.at -= 1;
    }

    pub(super) fn eat(&mut self, sign: &str) -> bool {
        let found = self.peek().is(sign);
        self.at += usize::from(found);
        found
    }

    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.peek().is_word(word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, sign: &str) -> Result<(), QueryError> {
        if self.eat(sign) {
            return Ok(());
        }
        let found = self.peek();
        Err(found.error(format!("expected `{sign}`, found {}", found.shown())))
    }

    /// `a OR b`.
    pub(super) fn any(&mut self, field: &str) -> Result<Filter, QueryError> {
        let mut parts = vec![self.all(field)?];
        while self.eat_word("or") {
            parts.push(self.all(field)?);
        }
        Ok(one_or(parts, Filter::Or))
    }

    /// `a AND b`, `a b`.
    fn all(&mut self, field: &str) -> Result<Filter, QueryError> {
        let mut parts = vec![self.unary(field)?];
        while !self.at_end_of_filter() {
            self.eat_word("and");
            parts.push(self.unary(field)?);
        }
        Ok(one_or(parts, Filter::And))
    }

    fn at_end_of_filter(&self) -> bool {
        let token = self.peek();
        token.kind == Kind::End || token.is(")") || token.is("|") || token.is_word("or")
    }

    fn unary(&mut self, field: &str) -> Result<Filter, QueryError> {
        if self.eat("!") || self.eat("-") || self.eat_word("not") {
            return Ok(Filter::Not(Box::new(self.nested(|parser| parser.unary(field))?)));
        }
        if self.eat("(") {
            let inner = self.nested(|parser| parser.any(field))?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.eat("{") {
            return self.stream();
        }
        if self.peek_after().is(":") && matches!(self.peek().kind, Kind::Word(_) | Kind::Quoted(_)) {
            return self.with_field();
        }
        self.test(field)
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, QueryError>) -> Result<T, QueryError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.peek().error(format!("more than {DEEPEST} levels deep")));
        }
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// `field:…`.
    fn with_field(&mut self) -> Result<Filter, QueryError> {
        let name = self.name()?;
        self.expect(":")?;
        if name == "_time" {
            return self.time();
        }
        if name == "_stream" && self.eat("{") {
            return self.stream();
        }
        self.nested(|parser| parser.unary(&name))
    }

    /// `{key="value", key!="value", key=~"regex"}`.
    fn stream(&mut self) -> Result<Filter, QueryError> {
        let mut parts = Vec::new();
        while !self.eat("}") {
            let name = self.name()?;
            let sign = self.next();
            let value = self.next();
            let (Kind::Quoted(text) | Kind::Word(text)) = &value.kind else {
                return Err(value
                    .error(format!("expected a value, found {}", value.shown()))
                    .hinted("{service.name=\"gastown\"}"));
            };
            let filter = |test| Filter::Field { name: name.clone(), test };
            parts.push(match &sign.kind {
                Kind::Sign("=") => filter(Test::Exact(text.clone())),
                Kind::Sign("!=") => Filter::Not(Box::new(filter(Test::Exact(text.clone())))),
                Kind::Sign("=~") => filter(Test::Regex(regex(&format!("^(?:{text})$"), &value)?)),
                Kind::Sign("!~") => Filter::Not(Box::new(filter(Test::Regex(regex(&format!("^(?:{text})$"), &value)?)))),
                _ => return Err(sign.error(format!("expected `=`, `!=`, `=~` or `!~`, found {}", sign.shown()))),
            });
            if !self.eat(",") && !self.peek().is("}") {
                let found = self.peek();
                return Err(found.error(format!("expected `,` or `}}`, found {}", found.shown())));
            }
        }
        Ok(Filter::And(parts))
    }

    /// What a field must be like.
    fn test(&mut self, field: &str) -> Result<Filter, QueryError> {
        let filter = |test| Filter::Field { name: field.to_owned(), test };
        let token = self.next();
        match &token.kind {
            Kind::Sign("*") if field == MESSAGE && !self.glued() => Ok(Filter::All),
            Kind::Sign("*") if !self.glued() => Ok(filter(Test::NotEmpty)),
            Kind::Sign("*") => {
                Err(token.error("text after `*` is not there yet").hinted("use a regular expression: field:~\".*text\""))
            }
            Kind::Sign("=") => self.exact().map(filter),
            Kind::Sign("!=") => Ok(Filter::Not(Box::new(filter(self.exact()?)))),
            Kind::Sign("~" | "=~") => self.regex_test().map(filter),
            Kind::Sign("!~") => Ok(Filter::Not(Box::new(filter(self.regex_test()?)))),
            Kind::Sign("<") => self.compared(Comparison::Less).map(filter),
            Kind::Sign("<=") => self.compared(Comparison::LessOrEqual).map(filter),
            Kind::Sign(">") => self.compared(Comparison::Greater).map(filter),
            Kind::Sign(">=") => self.compared(Comparison::GreaterOrEqual).map(filter),
            Kind::Word(word) if self.peek().is("(") && !self.peek().spaced => self.function(word, &token).map(filter),
            Kind::Word(word) if word == "range" && self.peek().is("[") => self.number_range().map(filter),
            Kind::Word(word) if is_keyword(word) => Err(expected_filter(&token)),
            Kind::Word(text) | Kind::Quoted(text) => self.phrase(text).map(filter),
            Kind::Sign(_) | Kind::End => Err(expected_filter(&token)),
        }
    }

    /// Whether the next token follows without a blank and could belong to this text.
    fn glued(&self) -> bool {
        let next = self.peek();
        !next.spaced && matches!(next.kind, Kind::Word(_) | Kind::Quoted(_) | Kind::Sign("*"))
    }

    fn phrase(&mut self, text: &str) -> Result<Test, QueryError> {
        let next = self.peek();
        if next.spaced {
            return Ok(Test::Phrase(text.to_owned()));
        }
        if next.is("*") {
            self.at += 1;
            return Ok(Test::Prefix(text.to_owned()));
        }
        if next.is("=") || next.is("~") || next.is(":") || matches!(next.kind, Kind::Quoted(_)) {
            let message = format!("{} is not expected inside a word", next.shown());
            return Err(next.error(message).hinted("quote the whole text"));
        }
        Ok(Test::Phrase(text.to_owned()))
    }

    fn exact(&mut self) -> Result<Test, QueryError> {
        if self.peek().is("(") || self.peek().is_word("in") && self.peek_after().is("(") {
            return Err(self.peek().error("`=` takes one text").hinted("field:in(a, b)"));
        }
        let text = self.text()?;
        let prefix = !self.peek().spaced && self.eat("*");
        Ok(if prefix { Test::ExactPrefix(text) } else { Test::Exact(text) })
    }

    fn regex_test(&mut self) -> Result<Test, QueryError> {
        let token = self.next();
        match &token.kind {
            Kind::Word(text) | Kind::Quoted(text) => regex(text, &token).map(Test::Regex),
            _ => Err(token.error(format!("expected a regular expression, found {}", token.shown())).hinted("field:~\"a|b\"")),
        }
    }

    fn compared(&mut self, sign: Comparison) -> Result<Test, QueryError> {
        let sign = match (sign, self.eat("=")) {
            (Comparison::Less, true) => Comparison::LessOrEqual,
            (Comparison::Greater, true) => Comparison::GreaterOrEqual,
            (sign, _) => sign,
        };
        Ok(Test::Compare(sign, self.text()?))
    }

    /// `name(…)`.
    fn function(&mut self, name: &str, token: &Token) -> Result<Test, QueryError> {
        match name.to_lowercase().as_str() {
            "in" => self.texts().map(Test::In),
            "contains_any" => self.texts().map(Test::ContainsAny),
            "contains_all" => self.texts().map(Test::ContainsAll),
            "seq" => self.texts().map(Test::Sequence),
            "i" => self.single().map(|text| Test::AnyCase(text.to_lowercase())),
            "exact" => self.single().map(Test::Exact),
            "re" => self.single().and_then(|text| regex(&text, token)).map(Test::Regex),
            "range" => self.number_range(),
            "len_range" => self.length_range(token),
            "string_range"
            | "ipv4_range"
            | "value_type"
            | "eq_field"
            | "le_field"
            | "lt_field"
            | "contains_common_case"
            | "equals_common_case"
            | "json_array_contains_any"
            | "pattern_match" => Err(token.error(format!("the filter `{name}()` is not there yet"))),
            _ => {
                let error = token.error(format!("there is no filter `{name}()`"));
                Err(error.hinted("there are in, contains_any, contains_all, seq, i, exact, re, range, len_range"))
            }
        }
    }

    fn single(&mut self) -> Result<String, QueryError> {
        self.expect("(")?;
        let text = self.text()?;
        self.expect(")")?;
        Ok(text)
    }

    /// `(a, "b", c)`.
    fn texts(&mut self) -> Result<Vec<String>, QueryError> {
        self.expect("(")?;
        let mut texts = Vec::new();
        while !self.eat(")") {
            texts.push(self.text()?);
            if self.eat(",") || self.peek().is(")") {
                continue;
            }
            let found = self.peek();
            let error = found.error(format!("expected `,` or `)`, found {}", found.shown()));
            return Err(if found.is(":") || found.is("|") { error.hinted("subqueries are not there yet") } else { error });
        }
        Ok(texts)
    }

    fn number_range(&mut self) -> Result<Test, QueryError> {
        let (from_inclusive, from, to, to_inclusive) = self.bounds()?;
        Ok(Test::Range { from: (number(&from)?, from_inclusive), to: (number(&to)?, to_inclusive) })
    }

    fn length_range(&mut self, token: &Token) -> Result<Test, QueryError> {
        let (_, from, to, _) = self.bounds()?;
        let whole = |bound: &Bound| if bound.text == "inf" { Some(u64::MAX) } else { bound.text.parse().ok() };
        match (whole(&from), whole(&to)) {
            (Some(from), Some(to)) => Ok(Test::Length { from, to }),
            _ => Err(token.error("lengths are whole numbers").hinted("len_range(5, 10)")),
        }
    }

    /// `(a, b]`: whether the first belongs to it, the two, whether the last belongs to it.
    fn bounds(&mut self) -> Result<(bool, Bound, Bound, bool), QueryError> {
        let from_inclusive = self.eat("[");
        if !from_inclusive {
            self.expect("(")?;
        }
        let from = self.bound()?;
        self.expect(",")?;
        let to = self.bound()?;
        let to_inclusive = self.eat("]");
        if !to_inclusive {
            self.expect(")")?;
        }
        Ok((from_inclusive, from, to, to_inclusive))
    }

    /// Everything up to a blank, comma or bracket: times hold colons.
    fn bound(&mut self) -> Result<Bound, QueryError> {
        let first = self.peek().clone();
        let mut text = String::new();
        let mut end = first.column;
        while matches!(self.peek().kind, Kind::Word(_) | Kind::Quoted(_) | Kind::Sign(":" | "-")) {
            let next = self.peek();
            if !text.is_empty() && next.spaced {
                break;
            }
            match &next.kind {
                Kind::Word(part) | Kind::Quoted(part) => text.push_str(part),
                Kind::Sign(sign) => text.push_str(sign),
                Kind::End => {}
            }
            end = next.column + next.length;
            self.at += 1;
        }
        if text.is_empty() {
            return Err(first.error(format!("expected a value, found {}", first.shown())));
        }
        Ok(Bound { text, column: first.column, length: end - first.column })
    }

    /// `_time:…`.
    fn time(&mut self) -> Result<Filter, QueryError> {
        let token = self.peek().clone();
        match token.kind {
            Kind::Sign("[" | "(") => self.time_range(),
            Kind::Sign(sign @ ("<" | "<=" | ">" | ">=")) => {
                self.at += 1;
                let or_equal = self.eat("=") || sign.len() == 2;
                let (first, last) = moment(&self.bound()?)?;
                let at = |nanos, inclusive| Some(Moment { nanos, inclusive });
                Ok(match (sign.starts_with('<'), or_equal) {
                    (true, true) => span(None, at(last, true)),
                    (true, false) => span(None, at(first, false)),
                    (false, true) => span(at(first, true), None),
                    (false, false) => span(at(last, false), None),
                })
            }
            Kind::Sign("=") => {
                self.at += 1;
                self.time()
            }
            _ => self.time_value(),
        }
    }

    fn time_range(&mut self) -> Result<Filter, QueryError> {
        let (from_inclusive, from, to, to_inclusive) = self.bounds()?;
        let (first, past_first) = moment(&from)?;
        let (start, last) = moment(&to)?;
        let from = Moment { nanos: if from_inclusive { first } else { past_first }, inclusive: from_inclusive };
        let to = Moment { nanos: if to_inclusive { last } else { start }, inclusive: to_inclusive };
        Ok(span(Some(from), Some(to)))
    }

    fn time_value(&mut self) -> Result<Filter, QueryError> {
        let value = self.bound()?;
        if value.text == "day_range" || value.text == "week_range" {
            return Err(value.error(format!("`_time:{}` is not there yet", value.text)));
        }
        if let Some(nanos) = time::duration(&value.text) {
            let offset = if self.eat_word("offset") { self.bound()? } else { return Ok(Filter::Recent { nanos, offset: 0 }) };
            let offset = time::duration(&offset.text).ok_or_else(|| offset.error("not a duration").hinted("5m, 1h30m, 100ms"))?;
            return Ok(Filter::Recent { nanos, offset });
        }
        let (first, last) = moment(&value)?;
        Ok(span(Some(Moment { nanos: first, inclusive: true }), Some(Moment { nanos: last, inclusive: true })))
    }

    /// A field's name, quoted or not.
    pub(super) fn name(&mut self) -> Result<String, QueryError> {
        let token = self.next();
        match token.kind {
            Kind::Word(name) | Kind::Quoted(name) => Ok(name),
            _ => Err(token.error(format!("expected a field's name, found {}", token.shown()))),
        }
    }

    /// A text, quoted or not; a dash may stand before a number.
    pub(super) fn text(&mut self) -> Result<String, QueryError> {
        let minus = if self.eat("-") { "-" } else { "" };
        let token = self.next();
        match &token.kind {
            Kind::Word(text) | Kind::Quoted(text) => Ok(format!("{minus}{text}")),
            _ => Err(token.error(format!("expected a text, found {}", token.shown()))),
        }
    }
}

/// A written bound and where it stands.
struct Bound {
    text: String,
    column: usize,
    length: usize,
}

impl Bound {
    fn error(&self, message: impl Into<String>) -> QueryError {
        QueryError::at(self.column, self.length, message)
    }
}

fn one_or(mut parts: Vec<Filter>, many: impl FnOnce(Vec<Filter>) -> Filter) -> Filter {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => Filter::All,
    }
}

fn is_keyword(word: &str) -> bool {
    ["and", "or", "not"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

fn expected_filter(token: &Token) -> QueryError {
    let error = token.error(format!("expected a word, a phrase or field:value, found {}", token.shown()));
    if is_keyword(token.shown().trim_matches('`')) { error.hinted("quote it if it is text") } else { error }
}

fn regex(text: &str, token: &Token) -> Result<Regex, QueryError> {
    Regex::new(text).map_err(|error| {
        let reason = error.to_string();
        token.error(format!("not a regular expression: {}", reason.lines().last().unwrap_or_default().trim()))
    })
}

fn number(bound: &Bound) -> Result<f64, QueryError> {
    match bound.text.as_str() {
        "inf" | "+inf" => Ok(f64::INFINITY),
        "-inf" => Ok(f64::NEG_INFINITY),
        text => super::matching::number(text).ok_or_else(|| bound.error(format!("`{text}` is not a number"))),
    }
}

fn moment(bound: &Bound) -> Result<(i64, i64), QueryError> {
    let error = || {
        bound
            .error(format!("`{}` is not a time", bound.text))
            .hinted("2026-11-22, 2026-11-22T06:39:38Z, or a duration such as 5m")
    };
    time::stretch(&bound.text).ok_or_else(error)
}
