//! The names under which the programs that play roles are seen in the process table.
//!
//! `gt` looks for the name of the command that it starts, which is `agent-launch`; that one becomes another program at once. An
//! agent that is not seen counts as stalled, and a daemon restarts it in the middle of its work.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::launch::AgentTable;

/// Bytes of a process's name that the kernel keeps (proc_pid_comm(5)).
const NAME_LIMIT: usize = 15;
/// The longest first line of a script (execve(2)).
const SCRIPT_LINE: u64 = 256;

/// All names that agents of this table can have: of their programs, and of what runs those that are scripts.
pub(super) fn of(table: &AgentTable) -> BTreeSet<String> {
    let programs = table.roles.values().filter_map(|entry| entry.command.first());
    let mut names = BTreeSet::from(["agent-launch".to_owned(), "proctor-agent".to_owned()]);
    names.extend(programs.flat_map(|program| seen_as(Path::new(program))));
    names
}

fn seen_as(program: &Path) -> Vec<String> {
    let mut names: Vec<String> = base_name(program).into_iter().collect();
    names.extend(interpreters(&first_line(program)));
    let short: Vec<String> = names.iter().map(|name| name.chars().take(NAME_LIMIT).collect()).collect();
    names.into_iter().chain(short).collect()
}

fn base_name(program: &Path) -> Option<String> {
    program.file_name().map(|name| name.to_string_lossy().into_owned())
}

fn first_line(program: &Path) -> String {
    let mut line = Vec::new();
    // What cannot be read is no script that anybody could start.
    _ = File::open(program).and_then(|file| BufReader::new(file.take(SCRIPT_LINE)).read_until(b'\n', &mut line));
    String::from_utf8_lossy(&line).into_owned()
}

/// `python3` of `#!/usr/bin/env python3`: `env` itself becomes what it starts.
fn interpreters(line: &str) -> Vec<String> {
    let words = line.strip_prefix("#!").unwrap_or_default().split_whitespace().filter(|word| !word.starts_with('-'));
    words.filter_map(|word| base_name(Path::new(word))).filter(|name| name != "env" && !name.contains('=')).take(1).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::launch::{AGENTS_SCHEMA, AgentEntry};

    #[test]
    fn a_program_is_known_by_its_name_and_a_script_also_by_what_runs_it() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("my-agent-with-a-long-name");
        std::fs::write(&script, "#!/usr/bin/env -S python3 -u\nprint()\n").unwrap();
        let entry = |program: &Path| AgentEntry {
            program: "p".into(),
            command: vec![program.display().to_string()],
            env: Default::default(),
            telemetry: true,
            otlp: None,
        };
        let roles = [("mayor".to_owned(), entry(Path::new("/b/bin/proctor-agent"))), ("polecat".to_owned(), entry(&script))];
        let table = AgentTable {
            schema: AGENTS_SCHEMA,
            gateway: String::new(),
            otlp: String::new(),
            secret: String::new(),
            fence: None,
            origins: None,
            roles: roles.into(),
        };
        let names: Vec<String> = of(&table).into_iter().collect();
        assert_eq!(names, ["agent-launch", "my-agent-with-a", "my-agent-with-a-long-name", "proctor-agent", "python3"]);
    }

    #[test]
    fn what_runs_a_script_stands_in_its_first_line() {
        assert_eq!(interpreters("#!/bin/sh -e\n"), ["sh"]);
        assert_eq!(interpreters("#!/usr/bin/env A=b node\n"), ["node"]);
        assert!(interpreters("\u{7f}ELF").is_empty());
    }
}
