//! What a model was asked and answered, read from the two files that the gateway kept of it.

use std::fs;
use std::path::Path;

use proctor_gateway::{AnswerBytes, Dialogue};
use serde::Serialize;

use super::files::inside;

/// A conversation, and the files that it was read from, relative to the run's folder.
#[derive(Debug, Serialize)]
pub(crate) struct Conversation {
    #[serde(flatten)]
    dialogue: Dialogue,
    files: Vec<String>,
}

/// Reads the files in `folder`, which is relative to `dir`, the run's folder.
///
/// # Errors
/// When the request is not there or lies outside the run; the text says which.
pub(crate) fn read(dir: &Path, folder: &str) -> Result<Conversation, String> {
    let bytes = |name: &str| {
        let file = format!("{folder}/{name}");
        let read = inside(dir, &file).and_then(fs::read);
        read.map(|bytes| (file.clone(), bytes)).map_err(|error| format!("{file}: {error}"))
    };
    let (request, asked) = bytes("request.json")?;
    let mut files = vec![request];
    let mut found = None;
    for (name, is_stream) in [("answer.sse", true), ("answer.json", false)] {
        if let Ok((file, bytes)) = bytes(name) {
            files.push(file);
            found.get_or_insert((bytes, is_stream));
        }
    }
    let answer = found.as_ref().map(|(bytes, is_stream)| match is_stream {
        true => AnswerBytes::Stream(bytes),
        false => AnswerBytes::Json(bytes),
    });
    Ok(Conversation { dialogue: Dialogue::read(&asked, answer), files })
}
