//! The reports of a run: the seed's Markdown files, one HTML page, JUnit and JSON, all made from the same summary.

mod html;
mod junit;
mod markdown;
mod sections;

use std::fs;
use std::path::Path;

use crate::error::JudgeError;
use crate::run::Run;
use crate::summary::Summary;
use crate::telemetry::Telemetry;
use crate::visible::{visible, visible_json};

/// Writes every report into `dir`, `summary.json` first: it must be there even if the disk is full a moment later.
pub(crate) fn write(dir: &Path, summary: &Summary) -> Result<(), JudgeError> {
    put(dir, "summary.json", &json(summary)?)?;
    let run = Run::read(dir)?;
    for (name, text) in markdown::files(summary, &run) {
        put(dir, name, &text)?;
    }
    put(dir, "junit.xml", &junit::render(summary))?;
    put(dir, "report.html", &html::render(summary, &run, &Telemetry::open(&run)))
}

fn json(summary: &Summary) -> Result<String, JudgeError> {
    let text = serde_json::to_string_pretty(summary).map_err(|source| JudgeError::Encode { name: "summary.json", source })?;
    Ok(visible_json(&text).into_owned() + "\n")
}

/// Replaces a file as a whole: a reader sees the old text or the new one. Nothing in any report acts in place of being seen,
/// wherever it came from.
fn put(dir: &Path, name: &str, text: &str) -> Result<(), JudgeError> {
    let path = dir.join(name);
    let draft = dir.join(format!(".{name}.new"));
    let done = fs::write(&draft, visible(text).as_ref()).and_then(|()| fs::rename(&draft, &path));
    if done.is_err() {
        // The error that matters is the first one; a draft that cannot be removed either is of no use to report.
        let _ = fs::remove_file(&draft);
    }
    done.map_err(|source| JudgeError::Write { path, source })
}
