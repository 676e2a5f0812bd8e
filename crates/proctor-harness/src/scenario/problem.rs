//! A problem of a scenario folder, placed where a person must look, and the nearest known name for what was mistyped.

use std::fmt;

/// One problem in a scenario's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path in the scenario's folder: `scenario.toml`.
    pub file: String,
    /// Line, from 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// Column in characters, from 1; 0 when the file as a whole is meant.
    pub column: usize,
    /// How many characters are meant, at least 1 when there is a line.
    pub length: usize,
    /// What is wrong, lower-case.
    pub message: String,
    /// The known name that is nearest to what was written.
    pub nearest: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem of a whole file.
    pub fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.into(), line: 0, column: 0, length: 0, message: message.into(), nearest: None, hint: None }
    }

    /// A problem at a byte range of a file's text.
    pub fn at(file: &str, text: &str, span: std::ops::Range<usize>, message: impl Into<String>) -> Self {
        let start = span.start.min(text.len());
        let before = text.get(..start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let covered = text.get(start..span.end.min(text.len())).unwrap_or("");
        let length = covered.lines().next().unwrap_or("").chars().count().max(1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or("").chars().count() + 1,
            length,
            ..Self::of_file(file, message)
        }
    }

    /// The same problem with the nearest known name, if one is near enough.
    #[must_use]
    pub fn nearest<'a>(mut self, written: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        self.nearest = nearest(written, known);
        self
    }

    /// The same problem with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(nearest) = &self.nearest {
            write!(f, "; did you mean `{nearest}`?")?;
        }
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

/// The known name nearest to what was written; none when all are further than a third of its length (at least 2 edits).
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let allowed = (written.chars().count() / 3).max(2);
    let ranked = known.into_iter().map(|name| (strsim::osa_distance(written, name), name));
    ranked.filter(|(distance, _)| *distance <= allowed).min().map(|(_, name)| name.to_owned())
}
