//! The one place through which text reaches a terminal.

use std::borrow::Cow;

use proctor_judge::visible;

/// The text with everything spelled that acts on a terminal instead of being seen. Sequences that set colours stay where
/// `colour` says that Proctor writes them; texts of others were spelled before they were coloured.
pub(crate) fn harmless(text: &str, colour: bool) -> Cow<'_, str> {
    if !colour || !text.contains('\u{1b}') {
        return visible(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        out.push_str(&visible(&rest[..at]));
        let length = colours(&rest[at..]);
        let (own, after) = rest[at..].split_at(length.max(1));
        if length > 0 {
            out.push_str(own)
        } else {
            out.push_str(&visible(own))
        }
        rest = after;
    }
    out.push_str(&visible(rest));
    Cow::Owned(out)
}

/// Bytes of the colour sequence that the text begins with; 0 when it begins with another.
fn colours(text: &str) -> usize {
    let Some(inside) = text.strip_prefix("\u{1b}[") else { return 0 };
    let digits = inside.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
    if inside[digits..].starts_with('m') { digits + 3 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_colours_stay_on_a_screen_that_has_them_and_nothing_else_does() {
        let text = "\u{1b}[1;31m✗\u{1b}[0m a\u{1b}[2J\u{1b}]52;c;eA==\u{7}\tb\u{9b}0m\u{202e}\n\u{1b}";
        let rest = " a\\x1b[2J\\x1b]52;c;eA==\\x07\tb\\x9b0m\\u{202e}\n\\x1b";
        assert_eq!(harmless(text, true), format!("\u{1b}[1;31m✗\u{1b}[0m{rest}"));
        assert_eq!(harmless(text, false), format!("\\x1b[1;31m✗\\x1b[0m{rest}"));
        assert_eq!(harmless("plain – ✓\n", true), "plain – ✓\n");
    }
}
