//! Reads commits as objects: what an agent wrote into one stays in its place.

use chrono::{DateTime, FixedOffset};
use proctor_judge::evidence::{Commit, Time};

/// A commit object, without its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) tree: String,
    author: String,
    email: String,
    at: Time,
    subject: String,
}

impl Parsed {
    /// Reads a commit object. Bytes that are no UTF-8 become `U+FFFD`; a time that cannot be read is the epoch.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(2).position(|two| two == b"\n\n");
        let (head, message) = end.map_or((bytes, &[][..]), |end| (&bytes[..end], &bytes[end + 2..]));
        let text = String::from_utf8_lossy(head);
        let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        let tree = line("tree")?.to_owned();
        let (author, email, at) = person(line("author").unwrap_or_default());
        Some(Self { tree, author, email, at, subject: subject(message) })
    }

    pub(super) fn into_commit(self, sha: String, files: Vec<String>) -> Commit {
        let Self { author, email, at, subject, .. } = self;
        Commit { sha, author, email, at, subject, files }
    }
}

/// `Name <mail> 1700000000 +0100`.
fn person(line: &str) -> (String, String, Time) {
    let (name, rest) = line.split_once('<').unwrap_or((line, ""));
    let (mail, when) = rest.rsplit_once('>').unwrap_or((rest, ""));
    (name.trim().to_owned(), mail.trim().to_owned(), time(when.trim()).unwrap_or(Time::UNIX_EPOCH))
}

fn time(text: &str) -> Option<Time> {
    let seconds = text.split_whitespace().next()?.parse().ok()?;
    DateTime::from_timestamp(seconds, 0).filter(|at| DateTime::<FixedOffset>::from(*at).timestamp() == seconds)
}

/// The first paragraph of a message on one line, as git makes subjects.
fn subject(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let lines = text.lines().skip_while(|line| line.trim().is_empty()).take_while(|line| !line.trim().is_empty());
    lines.map(str::trim_end).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &[u8]) -> (String, String, i64, String) {
        let Parsed { author, email, at, subject, .. } = Parsed::read(text).unwrap_or_else(|| panic!());
        (author, email, at.timestamp(), subject)
    }

    #[test]
    fn separators_in_what_an_agent_wrote_are_text() {
        let text = b"tree 12ab\nparent 1\nauthor A\x01B \x02 <a@b> 1700000000 +0100\ncommitter C <c@d> 1 +0000\n\nfirst\x01line\x02\nsecond\n\nbody\n";
        let wanted = ("A\u{1}B \u{2}".into(), "a@b".into(), 1_700_000_000, "first\u{1}line\u{2} second".into());
        assert_eq!(parsed(text), wanted);
    }

    #[test]
    fn a_commit_of_no_sense_is_read_as_far_as_it_has_any() {
        assert_eq!(parsed(b"tree 1\nauthor <<<>>> x\n\n\xff\xfe").3, "\u{fffd}\u{fffd}");
        assert_eq!(parsed(b"tree 1\n\n").2, 0);
        assert_eq!(parsed(b"tree 1\nauthor a <b> 99999999999999999999 +0\n\n\n\nx").3, "x");
        assert_eq!(parsed(b"tree 1\nauthor a <b> -9223372036854775808 +0\n\nx").2, 0);
        assert_eq!(Parsed::read(b""), None);
    }
}
