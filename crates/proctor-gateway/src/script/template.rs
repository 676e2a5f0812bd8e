//! `{{name}}` in a script's texts and commands. Anything else between double braces is left as it is.

use std::collections::BTreeMap;

/// A piece of a text: verbatim, or the name of a value.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, name, after)) = next_name(rest) {
        pieces.extend([Piece::Text(before), Piece::Name(name)]);
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// The text before the first name, the name, and the text after it.
fn next_name(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(found) = text[from..].find("{{") {
        let open = from + found;
        let inner = &text[open + 2..];
        let close = inner.find("}}")?;
        let name = inner[..close].trim();
        if is_name(name) {
            return Some((&text[..open], name, &inner[close + 2..]));
        }
        from = open + 2;
    }
    None
}

/// Whether a value can be called this: a letter or `_`, then letters, digits and `_`.
pub(super) fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_') && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The names that a text uses, in order.
pub(super) fn names(text: &str) -> Vec<&str> {
    let name = |piece| match piece {
        Piece::Name(name) => Some(name),
        Piece::Text(_) => None,
    };
    pieces(text).into_iter().filter_map(name).collect()
}

/// The text with its names replaced; `Err` is the first name without a value.
pub(crate) fn fill(text: &str, values: &BTreeMap<String, String>) -> Result<String, String> {
    pieces(text)
        .into_iter()
        .map(|piece| match piece {
            Piece::Text(text) => Ok(text),
            Piece::Name(name) => values.get(name).map(String::as_str).ok_or_else(|| name.to_owned()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> BTreeMap<String, String> {
        BTreeMap::from([("issue".to_owned(), "al-1".to_owned()), ("rig".to_owned(), "alice".to_owned())])
    }

    #[test]
    fn names_are_replaced_by_their_values() {
        assert_eq!(fill("bd show {{issue}} --rig {{ rig }}!", &values()), Ok("bd show al-1 --rig alice!".to_owned()));
        assert_eq!(fill("{{issue}}{{issue}}", &values()), Ok("al-1al-1".to_owned()));
    }

    #[test]
    fn other_braces_stay() {
        for text in ["{{ .Field }}", "{{", "a }} b", "${X}", "{{{}}}", "{{1a}}"] {
            assert_eq!(fill(text, &values()).as_deref(), Ok(text));
        }
        assert_eq!(fill("{{ .A }} {{issue}}", &values()).as_deref(), Ok("{{ .A }} al-1"));
    }

    #[test]
    fn a_name_without_a_value_is_named() {
        assert_eq!(fill("{{rig}} {{nope}}", &values()), Err("nope".to_owned()));
        assert_eq!(names("{{rig}} {{nope}}"), ["rig", "nope"]);
    }
}
