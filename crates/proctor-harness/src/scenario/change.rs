//! What a selftest case changes in the text of the scenario's files, so that sabotage is stated and nothing is copied.

use super::files::Files;
use super::spec::Change;

/// The files with every change made, in order, and the reasons of those that could not be made, each with its index.
pub(super) fn apply(files: &Files, changes: &[Change]) -> (Files, Vec<(usize, String)>) {
    let mut changed = files.clone();
    let mut refused = Vec::new();
    for (index, change) in changes.iter().enumerate() {
        match replaced(&changed, change) {
            Ok(text) => changed = changed.overlay([(change.file.as_str(), text.as_bytes())].into_iter()),
            Err(reason) => refused.push((index, reason)),
        }
    }
    (changed, refused)
}

fn replaced(files: &Files, change: &Change) -> Result<String, String> {
    let text =
        files.text(&change.file).ok_or_else(|| format!("`{}`, which a change names, is missing or not UTF-8", change.file))?;
    match text.matches(change.find.as_str()).count() {
        1 => Ok(text.replacen(&change.find, &change.with, 1)),
        count => Err(format!("the text to change is in `{}` {count} times, not once: {}", change.file, first_line(&change.find))),
    }
}

fn first_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    format!("`{line}`")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn files(text: &str) -> Files {
        Files::new("test", BTreeMap::from([("script/mayor.toml".to_owned(), text.as_bytes().to_vec())]))
    }

    fn change(find: &str, with: &str) -> Change {
        Change { file: "script/mayor.toml".into(), find: find.into(), with: with.into() }
    }

    #[test]
    fn changes_are_made_in_order_each_on_what_the_one_before_left() {
        let (changed, refused) = apply(&files("gt sling a"), &[change("gt sling", "echo"), change("echo a", "true")]);
        assert_eq!(changed.text("script/mayor.toml"), Some("true"));
        assert_eq!(refused, []);
    }

    #[test]
    fn a_text_that_is_not_there_exactly_once_is_refused_and_nothing_is_changed() {
        for text in ["", "gt sling a, gt sling b"] {
            let (changed, refused) = apply(&files(text), &[change("gt sling", "true")]);
            assert_eq!(changed.text("script/mayor.toml"), Some(text));
            assert_eq!(refused.len(), 1);
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_refused() {
        let (_, refused) = apply(&Files::default(), &[change("x", "y")]);
        assert!(refused[0].1.contains("script/mayor.toml"), "{refused:?}");
    }
}
