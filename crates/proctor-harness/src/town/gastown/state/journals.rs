//! Whether a town's Dolt server may have written anything, as the files of its journals tell: to look at those costs neither the server nor
//! the reader anything.
//!
//! Dolt appends to a database's journal, waits for the disk, and only then lets others read what it wrote. So an answer is repeated by the
//! next one when the journals are as they were when it was asked for and had been so for a while. Where they are not found, the
//! server is asked every time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// The file that Dolt appends to.
const JOURNAL: &str = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv";
/// So long after a journal was written everybody can read what was written, unless the disk is very slow,
const SETTLED: Duration = Duration::from_millis(700);
/// for which the server is asked so often nevertheless. It also tells when a server is gone.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// The journals of a town's databases.
#[derive(Debug)]
pub(super) struct Journals {
    data: PathBuf,
    asked: Option<Asked>,
}

/// How the journals were when the server was asked last.
#[derive(Debug)]
struct Asked {
    at: Instant,
    stamps: Stamps,
    were_settled: bool,
}

/// Of each database: when its journal and the folder of it were written, and how long the journal was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamps(Vec<(SystemTime, SystemTime, u64)>);

impl Journals {
    pub(super) fn new(town: &Path) -> Self {
        Self { data: town.join(".dolt-data"), asked: None }
    }

    /// How the journals are now; absent when one is not found.
    pub(super) fn stamps(&self, databases: &[String]) -> Option<Stamps> {
        let stamp = |name: &String| {
            let folder = self.data.join(name).join(".dolt/noms");
            let journal = fs::metadata(folder.join(JOURNAL)).ok()?;
            Some((journal.modified().ok()?, fs::metadata(&folder).ok()?.modified().ok()?, journal.len()))
        };
        databases.iter().map(stamp).collect::<Option<_>>().map(Stamps)
    }

    /// Whether the server would say what it said last.
    pub(super) fn are_as_asked(&self, now: Option<&Stamps>) -> bool {
        self.asked
            .as_ref()
            .is_some_and(|asked| asked.were_settled && asked.at.elapsed() < ASK_EVERY && now == Some(&asked.stamps))
    }

    /// Notes that the server answered and how the journals were just before it was asked.
    pub(super) fn answered(&mut self, stamps: Option<Stamps>, asked_at: SystemTime) {
        self.asked = stamps.map(|stamps| Asked { at: Instant::now(), were_settled: stamps.are_settled(asked_at), stamps });
    }

    /// Forgets what was said.
    pub(super) fn forget(&mut self) {
        self.asked = None;
    }
}

impl Stamps {
    fn are_settled(&self, at: SystemTime) -> bool {
        let settled = |time: &SystemTime| at.duration_since(*time).is_ok_and(|age| age >= SETTLED);
        self.0.iter().all(|(journal, folder, _)| settled(journal) && settled(folder))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::io::Write;

    fn town(databases: &[&str]) -> (tempfile::TempDir, Vec<String>) {
        let town = tempfile::tempdir().unwrap();
        for name in databases {
            let folder = town.path().join(".dolt-data").join(name).join(".dolt/noms");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(JOURNAL), "begin").unwrap();
        }
        (town, databases.iter().map(|name| (*name).to_owned()).collect())
    }

    fn later() -> SystemTime {
        SystemTime::now() + SETTLED
    }

    #[test]
    fn nothing_need_be_asked_while_nothing_is_written() {
        let (town, databases) = town(&["hq", "alice"]);
        let mut journals = Journals::new(town.path());
        let before = journals.stamps(&databases);
        assert!(!journals.are_as_asked(before.as_ref()), "nothing was asked yet");
        journals.answered(before.clone(), later());
        assert!(journals.are_as_asked(journals.stamps(&databases).as_ref()));
        let journal = town.path().join(".dolt-data/alice/.dolt/noms").join(JOURNAL);
        fs::OpenOptions::new().append(true).open(journal).unwrap().write_all(b"more").unwrap();
        assert!(!journals.are_as_asked(journals.stamps(&databases).as_ref()));
        journals.answered(before.clone(), later());
        journals.forget();
        assert!(!journals.are_as_asked(before.as_ref()));
    }

    #[test]
    fn what_was_written_just_before_the_question_may_not_have_been_readable() {
        let (town, databases) = town(&["hq"]);
        let mut journals = Journals::new(town.path());
        let stamps = journals.stamps(&databases);
        journals.answered(stamps.clone(), SystemTime::now());
        assert!(!journals.are_as_asked(stamps.as_ref()));
    }

    #[test]
    fn a_database_without_a_journal_is_asked_for_every_time() {
        let (town, mut databases) = town(&["hq"]);
        databases.push("bob".into());
        let mut journals = Journals::new(town.path());
        let stamps = journals.stamps(&databases);
        assert_eq!(stamps, None);
        journals.answered(stamps.clone(), later());
        assert!(!journals.are_as_asked(stamps.as_ref()));
    }
}
