//! From the text of a LogsQL query to tokens with their places.

use crate::error::QueryError;

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bare word: everything up to a blank or a character with a meaning of its own. Dots, dashes and slashes belong to it.
    Word(String),
    /// A quoted text, unescaped.
    Quoted(String),
    /// One of `( ) [ ] { } , | : = ! ~ * < > <= >= != !~ =~ -`.
    Sign(&'static str),
    /// The end of the query.
    End,
}

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// From 1, in characters.
    pub(super) column: usize,
    /// In characters.
    pub(super) length: usize,
    /// Whether a blank stands before it.
    pub(super) spaced: bool,
}

impl Token {
    pub(super) fn is(&self, sign: &str) -> bool {
        matches!(&self.kind, Kind::Sign(own) if *own == sign)
    }

    /// Whether it is the bare word `word`, in any letter case.
    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(own) if own.eq_ignore_ascii_case(word))
    }

    /// The token as a person would point at it.
    pub(super) fn shown(&self) -> String {
        match &self.kind {
            Kind::Word(text) => format!("`{text}`"),
            Kind::Quoted(text) => format!("{text:?}"),
            Kind::Sign(sign) => format!("`{sign}`"),
            Kind::End => "the end of the query".to_owned(),
        }
    }

    pub(super) fn error(&self, message: impl Into<String>) -> QueryError {
        QueryError::at(self.column, self.length, message)
    }
}

/// Longest first, so that `>=` is not read as `>`.
const SIGNS: [&str; 22] =
    [">=", "<=", "!=", "!~", "=~", "(", ")", "[", "]", "{", "}", ",", "|", ":", "=", "!", "~", "*", "<", ">", "-", ";"];

/// Splits `query` into tokens; the last one is [`Kind::End`].
pub(super) fn tokens(query: &str) -> Result<Vec<Token>, QueryError> {
    let mut lexer = Lexer { chars: query.chars().collect(), at: 0 };
    let mut tokens = Vec::new();
    loop {
        let spaced = lexer.skip_blanks();
        let start = lexer.at;
        let kind = lexer.kind(spaced || tokens.is_empty())?;
        let end = kind == Kind::End;
        tokens.push(Token { kind, column: start + 1, length: (lexer.at - start).max(1), spaced });
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
}

impl Lexer {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    /// Skips blanks and comments (`# …` to the end of the line).
    fn skip_blanks(&mut self) -> bool {
        let start = self.at;
        while let Some(c) = self.peek() {
            if c == '#' && (self.at == 0 || self.chars[self.at - 1].is_whitespace()) {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.at += 1;
                }
            } else if c.is_whitespace() {
                self.at += 1;
            } else {
                break;
            }
        }
        self.at > start
    }

    fn kind(&mut self, spaced: bool) -> Result<Kind, QueryError> {
        match self.peek() {
            None => Ok(Kind::End),
            Some(quote @ ('"' | '\'' | '`')) => self.quoted(quote),
            Some('-') if !spaced && !self.after_sign() => Ok(self.word()),
            Some(_) => Ok(self.sign().unwrap_or_else(|| self.word())),
        }
    }

    /// Whether the character before is a sign, so that a dash here is one too (`(-word`, `field:-5`).
    fn after_sign(&self) -> bool {
        self.at == 0 || matches!(self.chars[self.at - 1], '(' | ',' | ':' | '!' | '=' | '<' | '>' | '|' | '[')
    }

    fn sign(&mut self) -> Option<Kind> {
        let sign =
            SIGNS.into_iter().find(|sign| sign.chars().enumerate().all(|(i, c)| self.chars.get(self.at + i) == Some(&c)))?;
        self.at += sign.len();
        Some(Kind::Sign(sign))
    }

    fn word(&mut self) -> Kind {
        let start = self.at;
        while self.peek().is_some_and(|c| !c.is_whitespace() && !"()[]{},|:\"'`=!~*<>;".contains(c)) {
            self.at += 1;
        }
        Kind::Word(self.chars[start..self.at].iter().collect())
    }

    fn quoted(&mut self, quote: char) -> Result<Kind, QueryError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                _ if c == quote => return Ok(Kind::Quoted(text)),
                '\\' if quote != '`' => text.push(self.escaped()),
                _ => text.push(c),
            }
        }
        let open = QueryError::at(start + 1, self.at - start, "this text is not closed");
        Err(open.hinted(format!("add {quote} where it ends")))
    }

    fn escaped(&mut self) -> char {
        let c = self.peek().unwrap_or('\\');
        self.at += 1;
        match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            other => other,
        }
    }
}
