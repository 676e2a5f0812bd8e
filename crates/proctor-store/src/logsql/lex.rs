//! From the text of a LogsQL query to tokens with their places.

use crate::error::QueryError;

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bare word: everything up to a blank or a character with a meaning of its own. Dots, dashes and slashes belong to it.
    Word(String),
    /// A quoted text, its escapes resolved.
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

    /// A text in quotes. Backquotes take everything as it stands; in the others a backslash begins an escape of Go's, and one that Go has
    /// not is an error: dropped without a word it would change what is looked for.
    fn quoted(&mut self, quote: char) -> Result<Kind, QueryError> {
        let start = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                _ if c == quote => return self.unicode(bytes, start),
                '\\' if quote != '`' => self.escaped(quote, &mut bytes)?,
                _ => push(&mut bytes, c),
            }
        }
        let open = QueryError::at(start + 1, self.at - start, "this text is not closed");
        Err(open.hinted(format!("add {quote} where it ends")))
    }

    fn unicode(&self, bytes: Vec<u8>, start: usize) -> Result<Kind, QueryError> {
        let not = |_| QueryError::at(start + 1, self.at - start, "the escapes in this text make no UTF-8");
        String::from_utf8(bytes).map(Kind::Quoted).map_err(not)
    }

    /// `\n`, `\"`, `\x41`, `\101`, `\u00e9`, `\U0001f600`.
    fn escaped(&mut self, quote: char, bytes: &mut Vec<u8>) -> Result<(), QueryError> {
        let column = self.at;
        let Some(c) = self.peek() else { return Ok(()) };
        self.at += 1;
        let plain = match c {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' => b'\\',
            '"' | '\'' if c == quote => u8::try_from(c).unwrap_or_default(),
            _ => return self.numbered(c, column, bytes),
        };
        bytes.push(plain);
        Ok(())
    }

    /// An escape of digits. `\x` and octal ones give one byte, the others one character.
    fn numbered(&mut self, kind: char, column: usize, bytes: &mut Vec<u8>) -> Result<(), QueryError> {
        let (first, digits, base) = match kind {
            'x' => (self.at, 2, 16),
            'u' => (self.at, 4, 16),
            'U' => (self.at, 8, 16),
            '0'..='7' => (self.at - 1, 3, 8),
            _ => return Err(unknown_escape(kind, column)),
        };
        let text: String = self.chars.iter().skip(first).take(digits).collect();
        let is_whole = text.len() == digits && text.chars().all(|c| c.is_digit(base));
        let number = u32::from_str_radix(&text, base).ok().filter(|_| is_whole).ok_or_else(|| unknown_escape(kind, column))?;
        self.at = first + digits;
        match kind {
            'u' | 'U' => push(bytes, char::from_u32(number).ok_or_else(|| unknown_escape(kind, column))?),
            _ => bytes.push(u8::try_from(number).map_err(|_| unknown_escape(kind, column))?),
        }
        Ok(())
    }
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// `column` is the backslash's.
fn unknown_escape(kind: char, column: usize) -> QueryError {
    let error = QueryError::at(column, 2, format!("`\\{kind}` is no escape of quoted text"));
    error.hinted("write \\\\ for a backslash, or put the text in backquotes: `code \\d+`")
}
