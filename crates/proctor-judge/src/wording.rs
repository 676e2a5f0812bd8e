//! How figures, moments and names are put into words, the same in every report.

use std::fmt::Write as _;

use crate::evidence::Time;
use crate::summary::{Evidence, EvidenceKind};
use crate::visible::visible_line;

/// Seconds from `from` to `to`, to the microsecond.
pub(crate) fn seconds(from: Time, to: Time) -> f64 {
    round((to - from).num_microseconds().map_or(0.0, |us| us as f64 / 1e6))
}

/// Six decimals: sums of floats stay the same text whatever the order of addition was.
pub(crate) fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// `0.04 s`, `7.7 s`, `12 min 5 s`, `1 h 2 min`.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 0.995 => format!("{:.2} s", positive_zero(s)),
        s if s < 59.95 => format!("{s:.1} s"),
        s if s < 60.0 => "1 min 0 s".into(),
        s if s < 3600.0 => format!("{} min {} s", (s / 60.0).floor(), (s % 60.0).floor()),
        s => format!("{} h {} min", (s / 3600.0).floor(), (s % 3600.0 / 60.0).floor()),
    }
}

/// `+12.31 s`: a moment after the run began.
pub(crate) fn after(seconds: f64) -> String {
    format!("{:+.2} s", positive_zero((seconds * 100.0).round() / 100.0))
}

/// `31 ms`, `14.3 s`.
pub(crate) fn milliseconds(value: f64) -> String {
    if value >= 999.5 { duration(value / 1e3) } else { format!("{:.0} ms", positive_zero(value.round())) }
}

/// The sum of no numbers is a negative zero, which nobody wants to read.
fn positive_zero(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value }
}

/// `1 204`, with thin grouping by thousands.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

/// `112 k`, `1.2 M`; small values as they are.
pub(crate) fn short_count(value: u64) -> String {
    match value {
        0..10_000 => grouped(value),
        10_000..999_500 => format!("{} k", (value + 500) / 1000),
        _ => format!("{:.1} M", value as f64 / 1e6),
    }
}

/// `$0.00`, `$0.0042`: at least two decimals, four below a cent's precision.
pub(crate) fn dollars(value: f64) -> String {
    if value != 0.0 && value < 1.0 { format!("${value:.4}") } else { format!("${value:.2}") }
}

/// `1 convoy`, `3 convoys`.
pub(crate) fn count(value: usize, one: &str) -> String {
    let plural = if one.ends_with('y') && !one.ends_with("ey") && !one.ends_with("oy") {
        format!("{}ies", &one[..one.len() - 1])
    } else {
        format!("{one}s")
    };
    format!("{} {}", grouped(value as u64), if value == 1 { one } else { &plural })
}

/// The first nine letters of a commit's hash.
pub(crate) fn short_sha(sha: &str) -> &str {
    sha.get(..9).unwrap_or(sha)
}

/// An agent's address as mail and people write it: `alice/polecats/furiosa` is `alice/furiosa`, `mayor/` is `mayor`.
pub(crate) fn short_agent(agent: &str) -> String {
    let trimmed = agent.trim_end_matches('/');
    trimmed.replace("/polecats/", "/").replace("/crew/", "/")
}

/// The text without ANSI escape sequences (ECMA-48: CSI, OSC and two-byte escapes).
pub(crate) fn without_ansi(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('[') => while chars.next().is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c)) {},
            Some(']') => skip_osc(&mut chars),
            // Intermediate bytes come before the final byte of a longer escape, such as `ESC ( B`.
            Some(' '..='/') => while chars.next().is_some_and(|c| (' '..='/').contains(&c)) {},
            _ => {}
        }
    }
    out
}

/// The text without the sequences that only colour it (SGR). Any other sequence stays, to be spelled.
pub(crate) fn without_colours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        let inside = &rest[at + 2..];
        let end =
            inside.find(|c: char| !(c.is_ascii_digit() || matches!(c, ';' | ':'))).filter(|end| inside[*end..].starts_with('m'));
        out.push_str(&rest[..at]);
        match end {
            Some(end) => rest = &inside[end + 1..],
            None => {
                out.push_str("\u{1b}[");
                rest = inside;
            }
        }
    }
    out + rest
}

/// Skips an operating system command: it ends with BEL or with `ESC \`.
fn skip_osc(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while let Some(c) = chars.next() {
        if c == '\u{7}' {
            return;
        }
        if c == '\u{1b}' {
            chars.next_if_eq(&'\\');
            return;
        }
    }
}

/// The text in quotation marks on one line, what acts spelled, the end left out (and counted) beyond `limit` characters.
pub(crate) fn quoted(text: &str, limit: usize) -> String {
    let plain = text.trim();
    let total = plain.chars().count();
    let shown: String = plain.chars().take(limit).collect();
    let mut out = format!("\"{}\"", visible_line(&shown));
    if total > limit {
        let _ = write!(out, " … {} more characters", grouped((total - limit) as u64));
    }
    out
}

/// Evidence that is a file or folder of the run.
pub(crate) fn at_path(path: impl Into<String>) -> Evidence {
    Evidence { kind: EvidenceKind::Path, at: path.into() }
}

/// Evidence that is a LogsQL query.
pub(crate) fn at_logsql(query: impl Into<String>) -> Evidence {
    Evidence { kind: EvidenceKind::Logsql, at: query.into() }
}

/// Evidence that is a PromQL query.
pub(crate) fn at_promql(query: impl Into<String>) -> Evidence {
    Evidence { kind: EvidenceKind::Promql, at: query.into() }
}

/// `text` for a POSIX shell: as it is when nothing in it is special, else in single quotes.
pub(crate) fn shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ansi_sequences_vanish_and_text_stays() {
        assert_eq!(without_ansi("\u{1b}[1;31mMeet\u{1b}[0m me\u{1b}(B now"), "Meet me now");
        assert_eq!(without_ansi("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{7}!"), "link!");
        assert_eq!(without_ansi("cut \u{1b}["), "cut ");
    }

    #[test]
    fn colours_vanish_and_what_moves_or_clears_stays() {
        assert_eq!(without_colours("\u{1b}[1;31mMeet\u{1b}[m me\u{1b}[38:5:1m!"), "Meet me!");
        for text in ["\u{1b}[2J", "\u{1b}]0;t\u{7}", "\u{1b}[", "\u{1b}[31", "\u{1b}(B", "\u{1b}[?1049h"] {
            assert_eq!(without_colours(text), text);
        }
    }

    #[test]
    fn quoting_keeps_one_line_and_counts_what_it_leaves_out() {
        assert_eq!(quoted("a\nb\u{1b}[0m", 10), "\"a\\nb\\x1b[0m\"");
        assert_eq!(quoted("abcdef", 4), "\"abcd\" … 2 more characters");
    }

    #[test]
    fn figures_read_well() {
        assert_eq!(grouped(1_234_567), "1\u{a0}234\u{a0}567");
        for (value, expected) in [(112_400, "112 k"), (53_631, "54 k"), (10_499, "10 k"), (999_499, "999 k"), (999_500, "1.0 M")]
        {
            assert_eq!(short_count(value), expected);
        }
        assert_eq!(duration(0.041), "0.04 s");
        assert_eq!((duration(0.999), duration(59.97), duration(-0.0)), ("1.0 s".into(), "1 min 0 s".into(), "0.00 s".into()));
        let none: f64 = [].iter().sum();
        assert_eq!((milliseconds(none), milliseconds(-0.2), milliseconds(31.5)), ("0 ms".into(), "0 ms".into(), "32 ms".into()));
        assert_eq!((milliseconds(999.7), milliseconds(14_277.0)), ("1.0 s".into(), "14.3 s".into()));
        assert_eq!((after(none), after(-0.001), after(-0.02)), ("+0.00 s".into(), "+0.00 s".into(), "-0.02 s".into()));
        assert_eq!(duration(725.0), "12 min 5 s");
        assert_eq!(count(2, "query"), "2 queries");
        assert_eq!(count(1, "convoy"), "1 convoy");
        assert_eq!(count(2, "convoy"), "2 convoys");
        assert_eq!(dollars(0.0), "$0.00");
    }

    #[test]
    fn a_command_can_be_pasted() {
        assert_eq!(shell("reports/latest"), "reports/latest");
        assert_eq!(shell("it's"), "'it'\\''s'");
    }

    #[test]
    fn addresses_of_people_have_no_polecats() {
        assert_eq!(short_agent("alice/polecats/furiosa"), "alice/furiosa");
        assert_eq!(short_agent("mayor/"), "mayor");
    }
}
