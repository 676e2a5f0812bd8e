//! The viewer's page: files that are part of the program.

use axum::extract::Path;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Response};

use super::answers::Refusal;

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Name, content type and content of every file of the page.
const FILES: &[(&str, &str, &str)] = &[
    ("viewer.css", STYLE, include_str!("../../assets/viewer/viewer.css")),
    ("app.js", SCRIPT, include_str!("../../assets/viewer/app.js")),
    ("api.js", SCRIPT, include_str!("../../assets/viewer/api.js")),
    ("conversation.js", SCRIPT, include_str!("../../assets/viewer/conversation.js")),
    ("detail.js", SCRIPT, include_str!("../../assets/viewer/detail.js")),
    ("filters.js", SCRIPT, include_str!("../../assets/viewer/filters.js")),
    ("format.js", SCRIPT, include_str!("../../assets/viewer/format.js")),
    ("keys.js", SCRIPT, include_str!("../../assets/viewer/keys.js")),
    ("list.js", SCRIPT, include_str!("../../assets/viewer/list.js")),
    ("minimap.js", SCRIPT, include_str!("../../assets/viewer/minimap.js")),
    ("paint.js", SCRIPT, include_str!("../../assets/viewer/paint.js")),
    ("state.js", SCRIPT, include_str!("../../assets/viewer/state.js")),
    ("timeline.js", SCRIPT, include_str!("../../assets/viewer/timeline.js")),
];

pub(crate) async fn index() -> Html<&'static str> {
    Html(include_str!("../../assets/viewer/index.html"))
}

pub(crate) async fn asset(Path(name): Path<String>) -> Result<Response, Refusal> {
    let file = FILES.iter().find(|(known, _, _)| *known == name);
    let (_, kind, text) = file.ok_or_else(|| Refusal::not_found(format!("the page has no file `{name}`")))?;
    Ok(([(CONTENT_TYPE, *kind)], *text).into_response())
}
