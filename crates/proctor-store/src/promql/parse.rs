//! Parses a query with `promql-parser`, and finds the place of what it could not read.
//!
//! The parser's errors have no place. The first token after which no continuation can make the text a query is where it went
//! wrong; a few continuations, tried by the parser itself, find it.

use promql_parser::parser::{Expr, parse as parse_expr};

use crate::error::QueryError;

/// How the parser begins to say that a function does not exist.
const UNKNOWN_FUNCTION: &str = "unknown function with name ";

/// Reads a query.
pub(super) fn parse(query: &str) -> Result<Expr, QueryError> {
    parse_expr(query).map_err(|message| explained(query, &message))
}

fn explained(query: &str, message: &str) -> QueryError {
    let message = message.lines().next().unwrap_or_default();
    let said = if message == "invalid promql query" { "this is not PromQL" } else { message };
    let tokens = tokens(query);
    if query.trim().is_empty() {
        return QueryError::at(1, 1, "the query is empty").hinted("gastown_bd_calls_total");
    }
    if let Some(name) = message.strip_prefix(UNKNOWN_FUNCTION).map(|name| name.trim_matches(|c| c == '\'' || c == '"'))
        && let Some(start) = query.find(name)
    {
        return at(query, start, start + name.len(), &format!("there is no function `{name}`"));
    }
    let wrong = (1..=tokens.len()).find(|count| !can_go_on(query, &tokens[..*count]));
    match wrong.and_then(|count| tokens.get(count - 1)) {
        Some(token) => at(query, token.start, token.end, &format!("{said} from here on")),
        None => {
            let end = query.trim_end().len();
            at(query, end, end + 1, "the query ends too early")
        }
    }
}

fn at(query: &str, start: usize, end: usize, message: &str) -> QueryError {
    let chars = |upto: usize| query.char_indices().take_while(|(at, _)| *at < upto).count();
    QueryError::at(chars(start) + 1, chars(end).saturating_sub(chars(start)), message)
}

struct Token {
    /// Byte offsets.
    start: usize,
    end: usize,
}

/// Whether some continuation of the text up to these tokens is a query.
fn can_go_on(query: &str, tokens: &[Token]) -> bool {
    const NEXT: [&str; 16] =
        ["", "x", "1", "(x)", "x)", "=\"\"", "\"\"", "[5m]", "5m", "5m]", "(x) x", ")(x)", ",x", "x, x", "x[5m]", "1, x"];
    let end = tokens.last().map_or(0, |token| token.end);
    let text = &query[..end];
    let closers = closers(text, tokens);
    let arguments = ["", ", \"\"", ", \"\", \"\", \"\", \"\"", ", x", ", 1", ", 1, 1", ", x[5m]"];
    NEXT.iter().any(|next| arguments.iter().any(|more| parse_expr(&format!("{text} {next}{more}{closers}")).is_ok()))
        || NEXT.iter().any(|next| parse_expr(&format!("{text} {next}{closers} (x)")).is_ok())
}

/// The brackets that are still open, closed.
fn closers(text: &str, tokens: &[Token]) -> String {
    let mut open = Vec::new();
    for token in tokens {
        match &text[token.start..token.end] {
            "(" => open.push(')'),
            "{" => open.push('}'),
            "[" => open.push(']'),
            ")" | "}" | "]" => drop(open.pop()),
            _ => {}
        }
    }
    open.into_iter().rev().collect()
}

/// Words, quoted texts and single signs.
fn tokens(query: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = query.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        if c.is_whitespace() {
            continue;
        }
        let mut end = start + c.len_utf8();
        let quote = matches!(c, '"' | '\'' | '`').then_some(c);
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | ':');
        let pair = |c: char, next: char| matches!((c, next), ('=' | '!' | '<' | '>', '=') | ('=' | '!', '~'));
        let mut escaped = false;
        let mut closed = false;
        while let Some((at, next)) = chars.peek().copied() {
            let belongs = match quote {
                Some(_) => !closed,
                None => (word(c) && word(next)) || (at == start + 1 && pair(c, next)),
            };
            if !belongs {
                break;
            }
            closed = quote == Some(next) && !escaped;
            escaped = next == '\\' && !escaped;
            end = at + next.len_utf8();
            chars.next();
        }
        tokens.push(Token { start, end });
    }
    tokens
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    #[test]
    fn an_error_points_at_its_place() {
        for (query, column) in [
            ("sum(", 5),
            ("sum by (model) bd_x", 16),
            ("rate(x[5m)", 10),
            ("x{a=}", 5),
            ("x + * y", 5),
            ("1 + nosuchfunction(x)", 5),
            ("rate(x)", 7),
            ("x)", 2),
            ("", 1),
        ] {
            let error = parse(query).unwrap_err();
            assert_eq!(error.column, column, "{query}: {error}\n{}", error.caret(query));
        }
    }
}
