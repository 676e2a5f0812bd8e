//! Characters that act instead of being seen, spelled so that they are seen.
//!
//! Names, titles and outputs are chosen by agents. On a terminal an escape sequence moves the cursor, changes the window's title
//! or writes the clipboard; on a page a bidirectional override makes a name read as another one; XML knows hardly any of them.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The text with every character spelled that acts or cannot be seen; line breaks and tabs stay.
///
/// A control character is spelled `\x1b`, any other one `\u{202e}`. A carriage return before a line feed is part of the line's end
/// and left out.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().any(|c| acts(c) && c != '\n' && c != '\t') { Cow::Owned(spelled(text, false)) } else { Cow::Borrowed(text) }
}

/// Like [`visible`], for what stands on one line: line breaks and tabs are spelled `\n` and `\t`.
#[must_use]
pub fn visible_line(text: &str) -> Cow<'_, str> {
    if text.chars().any(acts) { Cow::Owned(spelled(text, true)) } else { Cow::Borrowed(text) }
}

fn spelled(text: &str, one_line: bool) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' | '\t' if !one_line => out.push(c),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if acts(c) => spell(&mut out, c),
            c => out.push(c),
        }
    }
    out
}

fn spell(out: &mut String, c: char) {
    let code = u32::from(c);
    // Writing to a string cannot fail.
    let _ = if code < 0x100 { write!(out, "\\x{code:02x}") } else { write!(out, "\\u{{{code:x}}}") };
}

/// Whether a character does something instead of being seen: control characters, bidirectional controls, characters of no width,
/// line separators, and what Unicode deprecates or XML does not know.
pub(crate) fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// JSON as it was, every character that acts written as an escape of JSON's own: a reader gets the same text, and a terminal that
/// shows the file obeys nothing.
#[must_use]
pub fn visible_json(json: &str) -> Cow<'_, str> {
    if !json.chars().any(|c| acts(c) && c != '\n') {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match c {
            '\n' => out.push(c),
            c if acts(c) => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _ = write!(out, "\\u{unit:04x}");
            }),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// A value every text of which is [`visible`]; `None` when every one is already.
///
/// # Errors
/// When the value is no JSON, or cannot be read back from it.
pub(crate) fn every_text<T: Serialize + DeserializeOwned>(value: &T) -> Result<Option<T>, serde_json::Error> {
    let mut json = serde_json::to_value(value)?;
    let changed = spell_texts(&mut json);
    changed.then(|| serde_json::from_value(json)).transpose()
}

fn spell_texts(value: &mut Value) -> bool {
    match value {
        Value::String(text) => match visible(text) {
            Cow::Borrowed(_) => false,
            Cow::Owned(spelled) => {
                *text = spelled;
                true
            }
        },
        Value::Array(values) => values.iter_mut().map(spell_texts).filter(|changed| *changed).count() > 0,
        Value::Object(map) => {
            let in_values = map.values_mut().map(spell_texts).filter(|changed| *changed).count() > 0;
            let in_names = map.keys().any(|name| matches!(visible(name), Cow::Owned(_)));
            if in_names {
                *map = std::mem::take(map).into_iter().map(|(name, value)| (visible(&name).into_owned(), value)).collect();
            }
            in_values || in_names
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn what_acts_is_spelled_and_what_is_seen_stays() {
        let cases = [
            ("\u{1b}[2J\u{1b}]0;owned\u{7}", "\\x1b[2J\\x1b]0;owned\\x07"),
            ("bell\u{7} null\u{0} del\u{7f} csi\u{9b}31m", "bell\\x07 null\\x00 del\\x7f csi\\x9b31m"),
            ("evil\u{202e}gpj.exe", "evil\\u{202e}gpj.exe"),
            ("iso\u{2066}late\u{2069} mark\u{200f}", "iso\\u{2066}late\\u{2069} mark\\u{200f}"),
            ("pay\u{200b}load\u{feff}", "pay\\u{200b}load\\u{feff}"),
            ("tag\u{e0041}", "tag\\u{e0041}"),
            ("progress\rdone", "progress\\rdone"),
            ("two\r\nlines\tand\n", "two\nlines\tand\n"),
            ("Ἀλίκη schrieb 🎉 — “ok”\u{a0}…", "Ἀλίκη schrieb 🎉 — “ok”\u{a0}…"),
        ];
        for (text, expected) in cases {
            assert_eq!(visible(text), expected);
            assert_eq!(visible(&visible(text)), visible(text), "spelled once");
        }
    }

    #[test]
    fn what_stands_on_one_line_stays_on_it() {
        assert_eq!(visible_line("a\nPASSED\r\n\tb"), "a\\nPASSED\\n\\tb");
        assert!(matches!(visible_line("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_stays_the_same_value_and_acts_on_no_terminal() {
        let value = serde_json::json!({"a\u{7f}": ["\u{9b}31m", "\u{202e}", "\u{e0041}", "\u{1b}", "né"]});
        let text = serde_json::to_string_pretty(&value).unwrap();
        let shown = visible_json(&text);
        assert!(!shown.chars().any(|c| acts(c) && c != '\n'), "{shown}");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
    }

    #[test]
    fn every_text_of_a_value_is_spelled_names_too() {
        let value = serde_json::json!({"a\u{7f}": ["\u{1b}[31m", {"b": "x\u{202e}"}], "n": 1.5});
        let expected = serde_json::json!({"a\\x7f": ["\\x1b[31m", {"b": "x\\u{202e}"}], "n": 1.5});
        assert_eq!(every_text(&value).unwrap(), Some(expected.clone()));
        assert_eq!(every_text(&expected).unwrap(), None);
    }
}
