//! A file on the target branch of a rig's origin.

use std::fs;

use regex::Regex;

use super::{Answer, Case, merged_as};
use crate::evidence::{RigGit, path};
use crate::next;
use crate::plan::FileCheck;
use crate::trees::is_what_was_merged;
use crate::wording::{at_path, count, grouped, quoted};

pub(super) fn answer(case: &Case<'_>, check: &FileCheck) -> Answer {
    let expected = expected(check);
    let Some(rigs) = case.run.rigs.when_known() else {
        return Answer::unknown(expected, format!("evidence/{} is not there: git was not collected", path::GIT_RIGS));
    };
    let answer = match rigs.iter().find(|r| r.rig == check.rig) {
        Some(git) if git.head.is_some() => content(case, check, git, expected),
        _ => Answer::when(false, expected, format!("the origin of {} has no target branch", check.rig))
            .at(at_path(format!("evidence/{}", path::GIT_RIGS))),
    };
    let answer = match merged_as(case.run, &check.rig) {
        Some(text) => answer.detail("merged as", text),
        None => answer,
    };
    answer.absent(case.is_unmerged(&check.rig)).next(next::view_at(case.run, &[("rig", check.rig.clone())]))
}

fn expected(check: &FileCheck) -> String {
    let mut text = format!("{} on the target branch of {}, a regular file", check.path, check.rig);
    if let Some(letters) = check.min_letters {
        text += &format!(" with at least {} letters", grouped(letters));
    }
    for pattern in &check.matches {
        text += &format!(", matching /{pattern}/");
    }
    text
}

fn content(case: &Case<'_>, check: &FileCheck, git: &RigGit, expected: String) -> Answer {
    let listing = at_path(format!("evidence/{}", path::GIT_RIGS));
    let Some(file) = git.files.iter().find(|f| f.path == check.path) else {
        let cut: String = git.cut.iter().map(|cut| format!("; {cut}")).collect();
        return Answer::when(false, expected, format!("not there; {} has {}{cut}", git.target, listed(git))).at(listing);
    };
    if file.mode == "120000" || file.mode == "160000" {
        let what = if file.mode == "120000" { "a symbolic link" } else { "a submodule" };
        return Answer::when(false, expected, format!("{what}, not a regular file")).at(listing);
    }
    if let Some(why) = &file.not_kept {
        return Answer::when(false, expected, format!("it was not kept: {why}")).at(listing);
    }
    let place = at_path(format!("evidence/{}/{}/tree/{}", path::GIT, check.rig, check.path));
    let Ok(bytes) = fs::read(case.run.tree_file(&check.rig, &check.path)) else {
        return Answer::unknown(expected, format!("{} cannot be read", place.at)).at(listing);
    };
    if !is_what_was_merged(&bytes, file) {
        return Answer::unknown(expected, format!("{} is not what was merged: its SHA-256 is another", place.at))
            .at(place)
            .at(listing);
    }
    text(check, &String::from_utf8_lossy(&bytes), expected).at(place)
}

fn text(check: &FileCheck, text: &str, expected: String) -> Answer {
    let letters = text.chars().filter(|c| is_letter(*c)).count() as u64;
    let mut wrong = Vec::new();
    if check.min_letters.is_some_and(|least| letters < least) {
        wrong.push(format!("only {}", count(usize::try_from(letters).unwrap_or(usize::MAX), "letter")));
    }
    for pattern in &check.matches {
        match Regex::new(pattern) {
            Ok(regex) if regex.is_match(text) => {}
            Ok(_) => wrong.push(format!("nothing matches /{pattern}/; it begins {}", quoted(text, 120))),
            Err(_) => return Answer::unknown(expected, format!("the check's pattern /{pattern}/ is no regular expression")),
        }
    }
    let size = format!("{} bytes, {} letters", grouped(text.len() as u64), grouped(letters));
    Answer::when(wrong.is_empty(), expected, if wrong.is_empty() { size } else { wrong.join("; ") })
}

/// Unicode category L, which `char::is_alphabetic` is wider than (it takes number letters and some marks as well).
fn is_letter(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphabetic();
    }
    static LETTER: std::sync::LazyLock<Option<Regex>> = std::sync::LazyLock::new(|| Regex::new(r"^\p{L}$").ok());
    let mut buffer = [0; 4];
    LETTER.as_ref().is_some_and(|letter| letter.is_match(c.encode_utf8(&mut buffer)))
}

fn listed(git: &RigGit) -> String {
    let names: Vec<&str> = git.files.iter().take(12).map(|f| f.path.as_str()).collect();
    match (names.is_empty(), git.files.len().saturating_sub(names.len())) {
        (true, _) => "no files".into(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}
