//! What is wrong in a script folder, and where.

use std::fmt;
use std::ops::Range;

/// One problem of one file. Its `Display` is `file:line:column: message` with the nearest known name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptProblem {
    /// Path relative to the script folder.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The bytes of the file that it is about; empty when it is about the file as a whole.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// The known name that was probably meant.
    pub nearest: Option<String>,
}

impl ScriptProblem {
    /// A problem at a place of a text.
    pub(crate) fn at(file: &str, text: &str, span: Range<usize>, message: String) -> Self {
        let before = text.get(..span.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            span,
            message,
            nearest: None,
        }
    }

    /// A problem of a whole file.
    pub(crate) fn whole(file: &str, message: String) -> Self {
        Self::at(file, "", 0..0, message)
    }

    /// The same, naming what was probably meant.
    pub(crate) fn or_nearest<'a>(mut self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        self.nearest = nearest(name, known);
        self
    }
}

impl fmt::Display for ScriptProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

/// The known name most like `name`, if any is like it at all.
fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_lines_and_characters() {
        let text = "a = 1\né = 2\n";
        let problem = ScriptProblem::at("x.toml", text, 9..10, "odd".to_owned());
        assert_eq!((problem.line, problem.column), (2, 3));
        assert_eq!(problem.to_string(), "x.toml:2:3: odd");
    }

    #[test]
    fn only_a_like_name_is_proposed() {
        assert_eq!(nearest("timout_s", ["timeout_s", "run", "say"]).as_deref(), Some("timeout_s"));
        assert_eq!(nearest("zzz", ["timeout_s", "run", "say"]), None);
    }
}
