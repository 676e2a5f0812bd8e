//! The first commit of a rig that is prepared: empty, or files of the scenario.

use std::path::Path;

use super::git::Git;
use crate::halt::Halt;
use crate::scenario::files::is_program;

impl Git {
    /// Makes a bare repository whose `main` has one first commit with these files, by path. An existing one is left as it is.
    ///
    /// # Errors
    /// When git fails.
    pub async fn seed_origin(&self, origin: &Path, rig: &str, files: &[(String, Vec<u8>)]) -> Result<(), Halt> {
        if origin.exists() {
            return Ok(());
        }
        self.init_bare(origin).await?;
        let mut import = self.command(origin, &["fast-import", "--quiet", "--date-format=now"]);
        import.stdin = Some(commit(&format!("First commit of {rig}\n"), files));
        self.bytes(import).await.map(drop)
    }
}

/// A commit as `git fast-import` takes it.
fn commit(message: &str, files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut stream = b"feature done\ncommit refs/heads/main\ncommitter Proctor <proctor@localhost> now\n".to_vec();
    data(&mut stream, message.as_bytes());
    for (path, bytes) in files {
        let mode = if is_program(bytes) { "100755" } else { "100644" };
        stream.extend(format!("M {mode} inline {}\n", quoted(path)).into_bytes());
        data(&mut stream, bytes);
    }
    stream.extend(b"done\n");
    stream
}

fn data(stream: &mut Vec<u8>, bytes: &[u8]) {
    stream.extend(format!("data {}\n", bytes.len()).into_bytes());
    stream.extend(bytes);
    stream.push(b'\n');
}

/// A path as a C string, whatever it holds.
fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::path::PathBuf;

    use super::*;

    #[tokio::test]
    async fn files_stand_in_the_first_commit_byte_for_byte_with_programs_executable() {
        let folder = tempfile::tempdir().unwrap();
        let git = Git::own(PathBuf::from("/usr/bin/git"), folder.path());
        let origin = folder.path().join("north.git");
        let odd = "sub dir/a \"quoted\" \\ name\nüber.txt";
        let files = [
            ("run.sh".to_owned(), b"#!/bin/sh\n".to_vec()),
            (odd.to_owned(), b"\0\xff\r\nno newline".to_vec()),
            (".gitignore".to_owned(), Vec::new()),
        ];
        git.seed_origin(&origin, "north", &files).await.unwrap();
        let listed = git.run(&origin, &["ls-tree", "-r", "-z", "main"]).await.unwrap();
        let mut rows: Vec<(&str, &str)> = listed.split_terminator('\0').map(|row| row.split_once('\t').unwrap()).collect();
        rows.sort_by_key(|(_, path)| *path);
        let paths: Vec<(&str, &str)> = rows.iter().map(|(about, path)| (&about[..6], *path)).collect();
        assert_eq!(paths, [("100644", ".gitignore"), ("100755", "run.sh"), ("100644", odd)]);
        let blob = git.bytes(git.command(&origin, &["cat-file", "blob", rows[2].0.rsplit(' ').next().unwrap()])).await.unwrap();
        assert_eq!(blob, b"\0\xff\r\nno newline");
        assert_eq!(git.run(&origin, &["log", "--format=%an %s", "main"]).await.unwrap(), "Proctor First commit of north");
    }

    #[tokio::test]
    async fn without_files_the_first_commit_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let git = Git::own(PathBuf::from("/usr/bin/git"), folder.path());
        let origin = folder.path().join("north.git");
        git.seed_origin(&origin, "north", &[]).await.unwrap();
        assert_eq!(git.run(&origin, &["ls-tree", "-r", "main"]).await.unwrap(), "");
        assert_eq!(git.run(&origin, &["rev-list", "--count", "main"]).await.unwrap(), "1");
    }
}
