//! The paths that commits touch, each to its parent; merges touch none of their own.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::thread;

use super::git::Git;
use super::piped::Piped;
use super::tree::shown;
use crate::halt::Halt;

/// The most paths that all commits together state.
const PATHS: usize = 400_000;

/// For each commit the paths that it touches. Of too many, those of the first commits are known.
///
/// # Errors
/// When git ends.
pub(super) fn touched(git: &Git, origin: &Path, ids: &[String], cut: &mut Vec<String>) -> Result<Vec<Vec<String>>, Halt> {
    let mut diff =
        Piped::start(git, origin, &["diff-tree", "--stdin", "-r", "--root", "--raw", "-z", "--no-renames", "--no-abbrev"])?;
    let questions = diff.questions.take();
    let lines: String = ids.iter().map(|id| format!("{id}\n")).collect();
    // Git answers while it is still asked. A git that ended early is noticed by its answers.
    let asking = thread::spawn(move || questions.map_or(Ok(()), |mut git| git.write_all(lines.as_bytes())));
    let mut found = Answers::default();
    let known = found.read(&mut diff.answers).map_err(|error| diff.broken(&error))?;
    drop(diff);
    drop(asking.join());
    if !known {
        cut.push(format!("the commits touch more than {PATHS} paths; no more were read"));
    }
    Ok(ids.iter().map(|id| found.paths.remove(id).unwrap_or_default()).collect())
}

#[derive(Default)]
struct Answers {
    paths: BTreeMap<String, Vec<String>>,
    count: usize,
}

impl Answers {
    /// Reads `<commit>`, and for each path `:<modes and objects>` and the path itself, each ended by a zero byte: what stands where says what
    /// it is, whatever a path is called. Whether that was all of it.
    fn read(&mut self, answers: &mut impl BufRead) -> io::Result<bool> {
        let mut commit = String::new();
        while let Some(field) = next(answers)? {
            if !field.starts_with(b":") {
                commit = String::from_utf8_lossy(&field).into_owned();
                continue;
            }
            let Some(path) = next(answers)? else { return Ok(true) };
            self.count += 1;
            if self.count > PATHS {
                return Ok(false);
            }
            self.paths.entry(commit.clone()).or_default().push(shown(&path));
        }
        Ok(true)
    }
}

fn next(answers: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut field = Vec::new();
    if answers.read_until(0, &mut field)? == 0 {
        return Ok(None);
    }
    if field.last() == Some(&0) {
        field.pop();
    }
    Ok(Some(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_called_like_a_commit_is_a_path() {
        let text = b"c1\0:000000 100644 0 1 A\0c2\0:000000 100644 0 1 A\0:x\0c2\0:000000 100644 0 1 M\0new\nline\0";
        let mut answers = Answers::default();
        assert!(answers.read(&mut &text[..]).is_ok_and(|whole| whole));
        assert_eq!(answers.paths["c1"], ["c2", ":x"]);
        assert_eq!(answers.paths["c2"], ["new\nline"]);
    }
}
