//! Reads objects of a repository through one `git cat-file`, as they are: nothing is checked out, converted or shown.
//!
//! Blocking; for threads that may wait.

use std::fmt::Write as _;
use std::io::{self, BufRead, Read, Write};
use std::path::Path;

use super::git::Git;
use super::piped::Piped;
use crate::halt::Halt;

/// Questions that are on their way while an answer is read: so few that neither side ever waits for the other's reading.
const AHEAD: usize = 256;

/// The kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Blob,
    Tree,
    Commit,
    Tag,
}

/// What is known of an object before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) size: u64,
}

/// What is asked of git.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Kind and size.
    Heads,
    /// The content as well.
    Contents,
}

/// A running `git cat-file`.
pub(super) struct Objects {
    git: Piped,
    ask: Ask,
}

impl Objects {
    /// Begins to read a repository.
    ///
    /// # Errors
    /// When git cannot be started.
    pub(super) fn open(git: &Git, repository: &Path, ask: Ask) -> Result<Self, Halt> {
        let batch = if ask == Ask::Heads { "--batch-check" } else { "--batch" };
        Ok(Self { git: Piped::start(git, repository, &["cat-file", batch])?, ask })
    }

    /// Asks for objects in turn and hands each answer to `take` with its position. What git does not have has no head. `take` need not read
    /// all of a content.
    ///
    /// # Errors
    /// When git ends, and what `take` says.
    pub(super) fn each(
        &mut self,
        ids: &[String],
        mut take: impl FnMut(usize, Option<Head>, &mut dyn Read) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let mut asked = 0;
        for at in 0..ids.len() {
            if asked == at {
                let next = ids.len().min(at + AHEAD);
                self.ask(&ids[asked..next])?;
                asked = next;
            }
            let head = self.head()?;
            let size = head.filter(|_| self.ask == Ask::Contents).map(|head| head.size);
            let mut content = (&mut self.git.answers).take(size.unwrap_or(0));
            take(at, head, &mut content)?;
            let rest = io::copy(&mut content, &mut io::sink()).and_then(|_| match size {
                // The line that ends a content.
                Some(_) => self.git.answers.read_exact(&mut [0]),
                None => Ok(()),
            });
            rest.map_err(|error| self.git.broken(&error))?;
        }
        Ok(())
    }

    /// The content of one object of at most `limit` bytes; absent when git does not have it, or it is larger.
    ///
    /// # Errors
    /// When git ends.
    pub(super) fn read(&mut self, id: &str, limit: u64) -> Result<Option<(Kind, Vec<u8>)>, Halt> {
        let mut found = None;
        let mut failed = None;
        self.each(&[id.to_owned()], |_, head, content| {
            if let Some(head) = head.filter(|head| head.size <= limit) {
                let mut bytes = Vec::new();
                failed = content.read_to_end(&mut bytes).err();
                found = Some((head.kind, bytes));
            }
            Ok(())
        })?;
        failed.map_or(Ok(found), |error| Err(self.git.broken(&error)))
    }

    fn ask(&mut self, ids: &[String]) -> Result<(), Halt> {
        let mut lines = String::new();
        for id in ids {
            // Writing to a String cannot fail.
            _ = writeln!(lines, "{id}");
        }
        let written = self.git.questions.as_mut().map_or(Ok(()), |git| git.write_all(lines.as_bytes()));
        written.map_err(|error| self.git.broken(&error))
    }

    fn head(&mut self) -> Result<Option<Head>, Halt> {
        let mut line = String::new();
        match self.git.answers.read_line(&mut line) {
            Ok(0) => Err(self.git.broken(&io::Error::other("it ended"))),
            Ok(_) => Ok(read_head(&line)),
            Err(error) => Err(self.git.broken(&error)),
        }
    }
}

/// Reads `<id> <kind> <size>`; `<id> missing` is no head.
fn read_head(line: &str) -> Option<Head> {
    let mut words = line.split_whitespace().skip(1);
    let kind = match words.next()? {
        "blob" => Kind::Blob,
        "tree" => Kind::Tree,
        "commit" => Kind::Commit,
        "tag" => Kind::Tag,
        _ => return None,
    };
    Some(Head { kind, size: words.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_does_not_have_has_no_head() {
        assert_eq!(read_head("abc blob 12\n"), Some(Head { kind: Kind::Blob, size: 12 }));
        assert_eq!(read_head("abc missing\n"), None);
        assert_eq!(read_head("main:x y ambiguous\n"), None);
        assert_eq!(read_head(""), None);
    }
}
