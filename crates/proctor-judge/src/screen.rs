//! What stood on an agent's terminal at the end, read from what its session printed.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::num::NonZeroU16;
use std::path::Path;

use crate::run::Run;
use crate::visible::visible_line;
use crate::wording::without_colours;

/// Bytes at the end of a transcript that are read: a screen is long drawn anew by then.
const END: u64 = 256 * 1024;

/// Rows and columns of the terminal on which what moves the cursor is played again: those of a session of the built-in town.
const SCREEN: (NonZeroU16, NonZeroU16) = (NonZeroU16::MIN.saturating_add(49), NonZeroU16::MIN.saturating_add(199));

/// Where everything lies that the newest session of an agent printed, relative to the run's folder.
pub(crate) fn transcript(run: &Run, agent: &str) -> Option<String> {
    let folder = format!("evidence/{}", crate::evidence::path::TRANSCRIPTS);
    let sessions = run.sessions.rows.iter().rev().filter(|s| s.agent == agent).map(|s| s.session.clone());
    let names: Vec<String> = sessions.chain([agent.replace('/', "+")]).collect();
    let files = std::fs::read_dir(run.dir.join(&folder)).ok()?;
    let life = |file: &str| {
        let (name, life) = file.strip_suffix(".txt")?.rsplit_once('.')?;
        names.iter().any(|known| known == name).then(|| life.parse::<u32>().ok())?
    };
    let known = files.filter_map(|file| file.ok()?.file_name().into_string().ok()).filter_map(|file| Some((life(&file)?, file)));
    known.max().map(|(_, file)| format!("{folder}/{file}"))
}

/// The lines at the end of a transcript, without blank ones around them, each with everything spelled that acts.
pub(crate) fn last_lines(file: &Path, number: usize) -> Vec<String> {
    let lines = end_of(file).map(|bytes| lines(&bytes)).unwrap_or_default();
    lines[lines.len().saturating_sub(number)..].to_vec()
}

fn end_of(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut bytes = Vec::new();
    file.take(END).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A program that only prints leaves lines; one that moves the cursor leaves a screen.
fn lines(bytes: &[u8]) -> Vec<String> {
    let text = without_colours(&String::from_utf8_lossy(bytes));
    let shown = if text.contains('\u{1b}') { screen(bytes) } else { text };
    // What was written over before the line ended was not there at the end.
    let end = |line: &str| line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default().trim_end().to_owned();
    let lines: Vec<String> = shown.split('\n').map(end).map(|line| visible_line(&line).into_owned()).collect();
    let first = lines.iter().position(|line| !line.is_empty()).unwrap_or(lines.len());
    let last = lines.iter().rposition(|line| !line.is_empty()).map_or(first, |at| at + 1);
    lines[first..last].to_vec()
}

/// The screen after everything was played. Agents choose the bytes: should playing them fail, what was printed is shown as it is.
fn screen(bytes: &[u8]) -> String {
    let play = || {
        let mut terminal = vt100::Parser::new(SCREEN.0, SCREEN.1, 0);
        terminal.process(bytes);
        terminal.screen().contents()
    };
    std::panic::catch_unwind(play).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_prints_leaves_its_lines() {
        let printed =
            b"\n\x1b[31m--dangerously-skip-permissions cannot be used with root privileges\x1b[0m\r\n10%\r50%\r100%\r\n\n";
        assert_eq!(lines(printed), ["--dangerously-skip-permissions cannot be used with root privileges", "100%"]);
        assert_eq!(lines(b"a\x07\xff\n\nb"), ["a\\x07\u{fffd}", "", "b"]);
        assert!(lines(b"").is_empty() && lines(b"\n\r\n").is_empty());
    }

    #[test]
    fn a_program_that_draws_leaves_its_screen() {
        let drawn = b"starting\x1b[2J\x1b[3;5HDo you trust this folder?\x1b[5;5H> 1. Yes\x1b[6;5H  2. No\x1b]0;title\x07";
        assert_eq!(lines(drawn), ["    Do you trust this folder?", "", "    > 1. Yes", "      2. No"]);
    }
}
