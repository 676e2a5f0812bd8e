//! A reader of JSON that goes on behind what it cannot read.
//!
//! A usual reader gives up at the first fault, and with it all records of a request. This one replaces the text that is no Unicode,
//! marks the object in which something is wrong, and goes on behind it. Strict JSON reads as ever.

use std::borrow::Cow;

/// Deeper values are not read, so that no body can exhaust the stack.
const DEEPEST: usize = 128;

/// A value as far as it could be read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    /// As written. `NaN` and `Infinity` too, which some programs write as bare words.
    Number(&'a str),
    Text(Text<'a>),
    List(Vec<Json<'a>>, Whole),
    Object(Vec<(Cow<'a, str>, Json<'a>)>, Whole),
    /// What is no JSON, as written.
    Unreadable(Cow<'a, str>),
}

/// A text, and whether something in it was replaced: bytes that are no UTF-8, half of a surrogate pair, an escape that JSON has not.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Text<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) is_replaced: bool,
}

/// Whether all of a list or an object could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Yes,
    No,
}

impl Json<'_> {
    /// The value as a person would write it, for messages and for what takes its place.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(truth) => truth.to_string(),
            Self::Number(text) => (*text).to_owned(),
            Self::Text(text) => text.text.to_string(),
            Self::Unreadable(text) => text.to_string(),
            Self::List(items, _) => format!("[{}]", items.iter().map(Self::quoted).collect::<Vec<_>>().join(",")),
            Self::Object(fields, _) => {
                let each = fields.iter().map(|(name, value)| format!("{name:?}:{}", value.quoted()));
                format!("{{{}}}", each.collect::<Vec<_>>().join(","))
            }
        }
    }

    fn quoted(&self) -> String {
        if let Self::Text(text) = self { format!("{:?}", text.text) } else { self.shown() }
    }
}

/// What a body holds.
pub(super) struct Parsed<'a> {
    pub(super) value: Json<'a>,
    /// Where the body first is no JSON, in bytes, and why.
    pub(super) fault: Option<(usize, &'static str)>,
}

/// Reads `bytes`.
pub(super) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut parser = Parser { bytes, at: 0, depth: 0, fault: None, is_cut: false };
    let value = parser.value();
    parser.skip_blanks();
    if parser.at < bytes.len() {
        parser.fault("something follows the end of the body's value");
    }
    Parsed { value, fault: parser.fault }
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    fault: Option<(usize, &'static str)>,
    is_cut: bool,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn fault(&mut self, why: &'static str) {
        self.fault_at(self.at, why);
    }

    fn fault_at(&mut self, at: usize, why: &'static str) {
        self.fault.get_or_insert((at, why));
    }

    fn cut(&mut self) -> Whole {
        self.fault("the body ends too early");
        self.is_cut = true;
        Whole::No
    }

    fn value(&mut self) -> Json<'a> {
        self.skip_blanks();
        match self.peek() {
            Some(b'"') => Json::Text(self.text()),
            Some(b'{' | b'[') if self.depth == DEEPEST => self.too_deep(),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::list),
            Some(_) => self.word(),
            None => {
                self.cut();
                Json::Unreadable(Cow::Borrowed(""))
            }
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Json<'a>) -> Json<'a> {
        self.at += 1;
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn too_deep(&mut self) -> Json<'a> {
        self.fault("values are nested too deep");
        self.at += 1;
        self.skip_to_end();
        Json::Unreadable(Cow::Borrowed("…"))
    }

    fn object(&mut self) -> Json<'a> {
        let mut fields = Vec::new();
        loop {
            self.skip_blanks();
            match self.peek() {
                None => return Json::Object(fields, self.cut()),
                Some(b'}') => break self.at += 1,
                Some(b'"') => {
                    let name = self.text().text;
                    self.skip_blanks();
                    if self.peek() != Some(b':') {
                        return Json::Object(fields, self.broken("a name without a value"));
                    }
                    self.at += 1;
                    let value = self.value();
                    fields.push((name, value));
                    if self.is_cut {
                        return Json::Object(fields, Whole::No);
                    }
                    self.separator(b'}');
                }
                Some(_) => return Json::Object(fields, self.broken("a name without quotes")),
            }
        }
        Json::Object(fields, Whole::Yes)
    }

    fn list(&mut self) -> Json<'a> {
        let mut items = Vec::new();
        loop {
            self.skip_blanks();
            match self.peek() {
                None => return Json::List(items, self.cut()),
                Some(b']') => break self.at += 1,
                Some(b'}') => {
                    self.fault("a list without its end");
                    return Json::List(items, Whole::No);
                }
                Some(_) => {
                    items.push(self.value());
                    if self.is_cut {
                        return Json::List(items, Whole::No);
                    }
                    self.separator(b']');
                }
            }
        }
        Json::List(items, Whole::Yes)
    }

    /// The comma between two parts. One that is missing, or stands before the end, loses nothing.
    fn separator(&mut self, end: u8) {
        self.skip_blanks();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.skip_blanks();
                if self.peek() == Some(end) {
                    self.fault("a comma before the end");
                }
            }
            Some(byte) if byte != end => self.fault("a comma is missing"),
            _ => {}
        }
    }

    /// Gives up the rest of the object that was begun.
    fn broken(&mut self, why: &'static str) -> Whole {
        self.fault(why);
        self.skip_to_end();
        Whole::No
    }

    /// Behind the end of the object or list that was begun; brackets in quoted text do not count.
    fn skip_to_end(&mut self) {
        let mut open = 1_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.text();
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return;
            }
        }
        self.cut();
    }

    /// `true`, `null`, a number, or what is none of them.
    fn word(&mut self) -> Json<'a> {
        let start = self.at;
        while self.peek().is_some_and(|byte| !b",:]}{[\" \t\r\n".contains(&byte)) {
            self.at += 1;
        }
        // A sign where a value should stand.
        self.at = self.at.max(start + 1);
        let word = &self.bytes[start..self.at];
        match std::str::from_utf8(word) {
            Ok("null") => Json::Null,
            Ok("true") => Json::Bool(true),
            Ok("false") => Json::Bool(false),
            Ok(text) if is_number(text) => {
                if text.ends_with(|c: char| c.is_ascii_alphabetic()) {
                    self.fault_at(start, "a bare word");
                }
                Json::Number(text)
            }
            _ => {
                self.fault_at(start, "a bare word");
                Json::Unreadable(String::from_utf8_lossy(word))
            }
        }
    }

    fn text(&mut self) -> Text<'a> {
        self.at += 1;
        let start = self.at;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    let bytes = &self.bytes[start..self.at];
                    self.at += 1;
                    return unicode(bytes);
                }
                b'\\' | 0..0x20 => return self.escaped_text(start),
                _ => self.at += 1,
            }
        }
        self.cut();
        unicode(&self.bytes[start..])
    }

    fn escaped_text(&mut self, start: usize) -> Text<'a> {
        let mut bytes = self.bytes[start..self.at].to_vec();
        let mut is_replaced = false;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => {
                    let text = unicode(&bytes);
                    return Text { is_replaced: is_replaced || text.is_replaced, text: Cow::Owned(text.text.into_owned()) };
                }
                b'\\' => is_replaced |= !self.escape(&mut bytes),
                _ => {
                    is_replaced |= byte < 0x20;
                    bytes.push(byte);
                }
            }
        }
        self.cut();
        Text { text: Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()), is_replaced: true }
    }

    /// Whether it was an escape of JSON.
    fn escape(&mut self, into: &mut Vec<u8>) -> bool {
        let Some(byte) = self.peek() else { return false };
        self.at += 1;
        let plain = match byte {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            b'"' | b'\\' | b'/' => byte,
            b'u' => return self.code_point(into),
            _ => {
                into.extend([b'\\', byte]);
                return false;
            }
        };
        into.push(plain);
        true
    }

    /// `\uXXXX`, or two of them that make one character.
    fn code_point(&mut self, into: &mut Vec<u8>) -> bool {
        let Some(first) = self.hex() else {
            into.extend_from_slice(b"\\u");
            return false;
        };
        let mut code = u32::from(first);
        if (0xd800..0xdc00).contains(&first) && self.bytes[self.at..].starts_with(b"\\u") {
            let before = self.at;
            self.at += 2;
            match self.hex().filter(|second| (0xdc00..0xe000).contains(second)) {
                Some(second) => code = 0x10000 + ((code - 0xd800) << 10) + (u32::from(second) - 0xdc00),
                None => self.at = before,
            }
        }
        let found = char::from_u32(code);
        into.extend_from_slice(found.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut [0; 4]).as_bytes());
        found.is_some()
    }

    fn hex(&mut self) -> Option<u16> {
        let digits = self.bytes.get(self.at..self.at + 4)?;
        let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        let number = u16::from_str_radix(text, 16).ok()?;
        self.at += 4;
        Some(number)
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    matches!(digits, "NaN" | "Infinity")
        || (digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte)))
}

fn unicode(bytes: &[u8]) -> Text<'_> {
    let text = String::from_utf8_lossy(bytes);
    let is_replaced = matches!(text, Cow::Owned(_));
    Text { text, is_replaced }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &[u8]) -> (String, bool) {
        let parsed = parse(text);
        (parsed.value.shown(), parsed.fault.is_some())
    }

    #[test]
    fn strict_json_reads_as_ever() {
        for text in [r#"{"a":[1,-2.5e3,true,null,"x"],"b":{}}"#, "[]", r#""é😀\"/""#, "0"] {
            let ours = parse(text.as_bytes());
            assert!(ours.fault.is_none(), "{text}");
        }
        assert_eq!(shown(br#"{"a":"\u00e9\ud83d\ude00\n\t\/\\"}"#), ("{\"a\":\"é😀\\n\\t/\\\\\"}".into(), false));
    }

    #[test]
    fn text_that_is_no_unicode_is_replaced_and_told() {
        for bytes in [&b"\"a\xffb\""[..], br#""a\ud800b""#, br#""a\udc00b""#, b"\"a\xe2\x82b\""] {
            let Json::Text(text) = parse(bytes).value else { panic!("no text") };
            assert_eq!((&*text.text, text.is_replaced), ("a\u{fffd}b", true));
        }
        let Json::Text(text) = parse(br#""\ud800\u0041""#).value else { panic!("no text") };
        assert_eq!((&*text.text, text.is_replaced), ("\u{fffd}A", true));
    }

    #[test]
    fn a_fault_costs_the_object_that_it_stands_in() {
        let list = |text: &str| match parse(text.as_bytes()).value {
            Json::List(items, _) => {
                let whole = |item: &Json<'_>| matches!(item, Json::Object(_, Whole::Yes));
                items.iter().map(|item| if whole(item) { '+' } else { '-' }).collect::<String>()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(list(r#"[{"a":1},{"a" 1},{"a":2}]"#), "+-+");
        assert_eq!(list(r#"[{"a":1},{a:{"b":[1]}},{"a":2}]"#), "+-+");
        assert_eq!(list(r#"[{"a":1},@,{"a":2}]"#), "+-+");
        assert_eq!(list(r#"[{"a":1} {"a":2},]"#), "++");
        assert_eq!(list(r#"[{"a":1},{"a":[1,2}]"#), "++", "the list inside is not whole, and its object goes on");
        assert_eq!(list(r#"[{"a":1},{"a":"#), "+-");
        assert_eq!(list(&format!("[{{\"a\":1}},{}1{}]", "[".repeat(500), "]".repeat(500))), "+-");
    }

    #[test]
    fn every_beginning_of_a_body_is_read_without_a_panic() {
        let body = br#"{"resourceLogs":[{"a":"\ud83d\ude00","b":[NaN,1e5,{"c":null}]}]} "#;
        for end in 0..body.len() {
            let parsed = parse(&body[..end]);
            assert!(parsed.fault.is_some() || end >= body.len() - 1, "{end}");
        }
    }
}
