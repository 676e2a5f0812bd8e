//! A text so that `gt nudge` can type it.
//!
//! `gt` hands a text to tmux in pieces. One that begins with `-` is taken for a flag, and the nudge fails with half of the text typed; of
//! one that ends with `;` tmux takes that for itself; and where a piece ends within a letter, the letter is gone.

/// Bytes of a piece.
const PIECE: usize = 512;
/// What `gt` types before a text of somebody who has no role in the town.
const BEFORE: &str = "[from unknown] ";

/// The same text, after as many spaces as it takes for no piece to begin or end where it does harm.
pub(super) fn harmless(text: &str) -> String {
    let padded = |spaces: usize| format!("{}{text}", " ".repeat(spaces));
    let found = (0..PIECE).map(padded).find(|padded| is_harmless(&format!("{BEFORE}{padded}")));
    found.unwrap_or_else(|| text.to_owned())
}

fn is_harmless(typed: &str) -> bool {
    let bytes = typed.as_bytes();
    let does_no_harm = |at: usize| typed.is_char_boundary(at) && bytes[at] != b'-' && bytes[at - 1] != b';';
    (PIECE..bytes.len()).step_by(PIECE).all(does_no_harm)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text whose first border lies just before `at_border`.
    fn text(before: &str, at_border: &str) -> String {
        let filled = "x".repeat(PIECE - BEFORE.len() - before.len());
        format!("{filled}{before}{at_border}")
    }

    #[test]
    fn no_piece_begins_as_a_flag_ends_as_a_command_or_cuts_a_letter() {
        for bad in [text("UTF", "-8 and more"), text("a;", "b"), text("", "-"), text("-", "-- three")] {
            let typed = harmless(&bad);
            assert_eq!(typed.trim_start(), bad);
            assert_ne!(typed, bad);
            assert!(is_harmless(&format!("{BEFORE}{typed}")), "{typed:?}");
        }
        let cut = format!("{}ü and more", "x".repeat(PIECE - BEFORE.len() - 1));
        assert_eq!(harmless(&cut), format!(" {cut}"));
    }

    #[test]
    fn a_text_that_does_no_harm_stays_as_it_is() {
        for good in ["", "- short", &text("UTF-8", " and more"), &"y".repeat(5000)] {
            assert_eq!(harmless(good), good);
        }
    }
}
