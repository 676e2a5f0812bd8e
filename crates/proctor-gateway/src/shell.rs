//! Shell commands made from a step: files written by here-documents, then the step's own command.

use sha2::{Digest, Sha256};

/// The one command of a step: writes each file (target path, content), then runs `run`; the first failure ends it. `None`
/// when there is nothing to do.
pub(crate) fn command(files: &[(String, String)], run: Option<&str>) -> Option<String> {
    let written = files.iter().map(|(target, content)| write(target, content));
    let parts: Vec<String> = written.chain(run.map(str::to_owned)).collect();
    (!parts.is_empty()).then(|| parts.join("\n"))
}

fn write(target: &str, content: &str) -> String {
    let target_word = quote(target);
    let folder = match target.rsplit_once('/') {
        Some((folder, _)) if !folder.is_empty() => format!("mkdir -p {} && ", quote(folder)),
        _ => String::new(),
    };
    // A here-document always ends in a newline.
    if !content.ends_with('\n') {
        return format!("{folder}printf %s {} > {target_word} || exit 1", quote(content));
    }
    let end = delimiter(content);
    format!("{folder}cat > {target_word} <<'{end}' || exit 1\n{content}{end}")
}

/// A word that is no line of the content: from its hash, so that the command is the same every time.
fn delimiter(content: &str) -> String {
    let digest = Sha256::digest(content.as_bytes());
    let mut end = "END".to_owned();
    for byte in digest {
        if !content.lines().any(|line| line == end) {
            break;
        }
        end = format!("{end}_{byte:02X}");
    }
    end
}

/// A word that a POSIX shell reads as exactly this text.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    fn run(command: &str, dir: &std::path::Path) -> bool {
        Command::new("sh").args(["-c", command]).current_dir(dir).status().unwrap().success()
    }

    #[test]
    fn a_real_shell_writes_every_content_exactly() {
        let dir = tempfile::tempdir().unwrap();
        let contents = ["plain\n", "", "no newline at its end", "END\n$HOME `id` \\ 'x'\nEND\n", "it's\n", "\n\n", "é — 中\n"];
        let files: Vec<_> = contents.iter().enumerate().map(|(i, c)| (format!("a b/{i}'s.txt"), (*c).to_owned())).collect();
        let command = command(&files, Some("echo ran > ran")).unwrap();
        assert!(run(&command, dir.path()));
        for (path, content) in &files {
            assert_eq!(&fs::read_to_string(dir.path().join(path)).unwrap(), content, "{path}");
        }
        assert!(dir.path().join("ran").exists());
    }

    #[test]
    fn nothing_runs_after_a_file_that_could_not_be_written() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("taken")).unwrap();
        let command = command(&[("taken".to_owned(), "x\n".to_owned())], Some("echo ran > ran")).unwrap();
        assert!(!run(&command, dir.path()));
        assert!(!dir.path().join("ran").exists());
    }

    #[test]
    fn a_step_without_work_has_no_command() {
        assert_eq!(command(&[], None), None);
        assert_eq!(command(&[], Some("ls")).as_deref(), Some("ls"));
    }
}
