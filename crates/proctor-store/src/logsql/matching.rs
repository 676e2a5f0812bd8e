//! Whether a row passes a filter: VictoriaLogs' rules for words, phrases, prefixes and comparisons.

use super::ast::{Comparison, Filter, Test};
use super::fields::Fields;
use super::time::{self, Moment, TimeSpan};

/// What a filter is asked against.
pub(super) struct Context {
    /// What `_time:5m` counts back from, in nanoseconds.
    pub(super) now: i64,
}

impl Context {
    /// Whether `row` passes. `nanos` is its time, if it has one.
    pub(super) fn passes(&self, filter: &Filter, row: &impl Fields, nanos: Option<i64>) -> bool {
        match filter {
            Filter::All => true,
            Filter::And(all) => all.iter().all(|one| self.passes(one, row, nanos)),
            Filter::Or(any) => any.iter().any(|one| self.passes(one, row, nanos)),
            Filter::Not(one) => !self.passes(one, row, nanos),
            Filter::Field { name, test } => test.holds(&row.field(name)),
            Filter::Time(span) => nanos.is_some_and(|nanos| span.contains(nanos)),
            Filter::Recent { nanos: length, offset } => nanos.is_some_and(|nanos| self.recent(*length, *offset).contains(nanos)),
        }
    }

    fn recent(&self, length: i64, offset: i64) -> TimeSpan {
        let to = self.now.saturating_sub(offset);
        let from = Moment { nanos: to.saturating_sub(length), inclusive: false };
        TimeSpan { from: Some(from), to: Some(Moment { nanos: to, inclusive: true }) }
    }
}

impl Test {
    pub(super) fn holds(&self, text: &str) -> bool {
        match self {
            Self::Phrase(phrase) => has_phrase(text, phrase),
            Self::Prefix(prefix) => has_prefix(text, prefix),
            Self::AnyCase(phrase) => has_phrase(&text.to_lowercase(), phrase),
            Self::Exact(exact) => text == exact,
            Self::ExactPrefix(prefix) => text.starts_with(prefix.as_str()),
            Self::Regex(regex) => regex.is_match(text),
            Self::NotEmpty => !text.is_empty(),
            Self::Compare(sign, with) => compare(text, *sign, with),
            Self::In(values) => values.iter().any(|value| value == text),
            Self::ContainsAny(phrases) => phrases.iter().any(|phrase| has_phrase(text, phrase)),
            Self::ContainsAll(phrases) => phrases.iter().all(|phrase| has_phrase(text, phrase)),
            Self::Sequence(phrases) => in_sequence(text, phrases),
            Self::Range { from, to } => number(text).is_some_and(|n| in_range(n, *from, *to)),
            Self::Length { from, to } => (*from..=*to).contains(&(text.chars().count() as u64)),
        }
    }
}

fn is_token(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Contains `phrase`, case-sensitively, starting and ending on a token border. Letters, digits and `_` make tokens, so that
/// `.` and `-` are borders: `prime` is found in `prime.context`, `gt-b7` not in `gt-b70`.
fn has_phrase(text: &str, phrase: &str) -> bool {
    if phrase.is_empty() {
        return text.is_empty();
    }
    text.match_indices(phrase).any(|(at, _)| starts_on_border(text, phrase, at) && ends_on_border(text, phrase, at))
        || overlapping(text, phrase)
}

/// `match_indices` skips overlapping finds; few phrases can overlap themselves, and only those are looked at again.
fn overlapping(text: &str, phrase: &str) -> bool {
    let first = phrase.chars().next().unwrap_or_default();
    if !phrase.chars().skip(1).any(|c| c == first) {
        return false;
    }
    let starts = text.char_indices().map(|(at, _)| at).filter(|at| text[*at..].starts_with(phrase));
    starts.into_iter().any(|at| starts_on_border(text, phrase, at) && ends_on_border(text, phrase, at))
}

fn starts_on_border(text: &str, phrase: &str, at: usize) -> bool {
    !phrase.chars().next().is_some_and(is_token) || !text[..at].chars().next_back().is_some_and(is_token)
}

fn ends_on_border(text: &str, phrase: &str, at: usize) -> bool {
    !phrase.chars().next_back().is_some_and(is_token) || !text[at + phrase.len()..].chars().next().is_some_and(is_token)
}

fn has_prefix(text: &str, prefix: &str) -> bool {
    if prefix.is_empty() {
        return !text.is_empty();
    }
    text.char_indices().any(|(at, _)| text[at..].starts_with(prefix) && starts_on_border(text, prefix, at))
}

fn in_sequence(text: &str, phrases: &[String]) -> bool {
    let mut rest = text;
    for phrase in phrases {
        let found = rest
            .match_indices(phrase.as_str())
            .find(|(at, _)| starts_on_border(rest, phrase, *at) && ends_on_border(rest, phrase, *at));
        let Some((at, _)) = found else { return false };
        rest = &rest[at + phrase.len()..];
    }
    true
}

/// Numbers are compared as numbers when the query gives one; other texts by their characters.
fn compare(text: &str, sign: Comparison, with: &str) -> bool {
    let order = match (number(text), number(with)) {
        (Some(own), Some(with)) => own.partial_cmp(&with),
        (None, Some(_)) => None,
        (_, None) => Some(text.cmp(with)).filter(|_| !text.is_empty()),
    };
    order.is_some_and(|order| match sign {
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    })
}

fn in_range(n: f64, from: (f64, bool), to: (f64, bool)) -> bool {
    (from.0 < n || (from.1 && from.0 == n)) && (n < to.0 || (to.1 && n == to.0))
}

/// A text as a number: plain, a duration (in nanoseconds) or a size (`10KB`, `1MiB`, in bytes).
pub(super) fn number(text: &str) -> Option<f64> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return None;
    }
    text.parse().ok().or_else(|| time::duration(text).map(|nanos| nanos as f64)).or_else(|| size(text))
}

fn size(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 9] = [
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("GiB", 1_073_741_824.0),
        ("KB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("K", 1e3),
        ("M", 1e6),
        ("B", 1.0),
    ];
    UNITS.iter().find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_begins_and_ends_on_token_borders() {
        for (text, phrase, found) in [
            ("prime.context", "prime", true),
            ("primes", "prime", false),
            ("update gt-b7 --x", "gt-b7", true),
            ("update gt-b70", "gt-b7", false),
            ("update xgt-b7", "gt-b7", false),
            ("Prime", "prime", false),
            ("aab aa", "aa", true),
            ("aaa", "aa", false),
            ("a-a-ab a-a", "a-a", true),
            ("ünïcode wörd", "wörd", true),
            ("snake_case", "snake", false),
            ("", "", true),
            ("x", "", false),
        ] {
            assert_eq!(has_phrase(text, phrase), found, "{phrase:?} in {text:?}");
        }
    }

    #[test]
    fn a_prefix_begins_on_a_token_border() {
        assert!(has_prefix("polecat.spawn", "spa"));
        assert!(!has_prefix("polecat.spawn", "pawn"));
    }

    #[test]
    fn numbers_compare_as_numbers_and_texts_as_texts() {
        assert!(compare("9", Comparison::Less, "10"));
        assert!(compare("1.5s", Comparison::Greater, "900ms"));
        assert!(compare("2KiB", Comparison::Greater, "2KB"));
        assert!(!compare("abc", Comparison::Less, "10"));
        assert!(compare("abc", Comparison::Less, "abd"));
        assert!(!compare("", Comparison::Less, "abd"));
    }

    #[test]
    fn a_sequence_keeps_its_order() {
        let phrases = ["bd".to_owned(), "create".to_owned()];
        assert!(in_sequence("bd now create", &phrases));
        assert!(!in_sequence("create bd", &phrases));
    }
}
