//! The reports of a run: the seed's Markdown files, one HTML page, JUnit and JSON, all made from the same summary.

use std::fs;
use std::path::Path;

use crate::error::JudgeError;
use crate::run::Run;
use crate::summary::Summary;

/// Writes every report into `dir`, `summary.json` first.
pub(crate) fn write(dir: &Path, summary: &Summary) -> Result<(), JudgeError> {
    let _ = Run::read(dir)?;
    put(dir, "summary.json", &json(summary)?)
}

fn json(summary: &Summary) -> Result<String, JudgeError> {
    let text = serde_json::to_string_pretty(summary)
        .map_err(|source| JudgeError::Encode { name: "summary.json", source })?;
    Ok(text + "\n")
}

/// Replaces a file as a whole: a reader sees the old text or the new one.
fn put(dir: &Path, name: &str, text: &str) -> Result<(), JudgeError> {
    let path = dir.join(name);
    let failed = |source| JudgeError::Write { path: path.clone(), source };
    let draft = dir.join(format!(".{name}.new"));
    fs::write(&draft, text).map_err(failed)?;
    fs::rename(&draft, &path).map_err(failed)
}
