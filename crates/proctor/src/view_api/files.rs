//! Files of the run's folder, read-only. A path that leaves the folder, also by a link, is refused.

use std::fs;
use std::io;
use std::path::{Component, Path as FsPath, PathBuf};
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderName;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{DOCTYPE, html};

use super::answers::Refusal;
use super::run::Run;

/// For documents that may be drawn and must not act: no script, no request, an origin of their own.
pub(crate) const SANDBOX: (HeaderName, &str) =
    (CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:");

/// Most entries of a folder that are listed; the others are counted.
const LISTED: usize = 2_000;

pub(crate) async fn file(State(run): State<Arc<Run>>, Path(name): Path<String>) -> Result<Response, Refusal> {
    let work = move || answer(&run.dir, &name).map_err(|error| Refusal::not_found(format!("{name}: {error}")));
    tokio::task::spawn_blocking(work).await.map_err(|error| Refusal::not_found(error.to_string()))?
}

fn answer(dir: &FsPath, name: &str) -> io::Result<Response> {
    let place = inside(dir, name.trim_end_matches('/'))?;
    if place.is_dir() {
        // Names in a folder's list are relative to it.
        return match name.ends_with('/') {
            true => folder(&place, name),
            false => Ok(Redirect::permanent(&encoded(&format!("{}/", name.rsplit('/').next().unwrap_or(name)))).into_response()),
        };
    }
    let bytes = fs::read(&place)?;
    let kind = content_type(name, &bytes);
    Ok(([(CONTENT_TYPE, kind), SANDBOX], bytes).into_response())
}

/// The file or folder of that name, whose real place is inside the run's folder.
pub(crate) fn inside(dir: &FsPath, name: &str) -> io::Result<PathBuf> {
    let refused = || io::Error::new(io::ErrorKind::NotFound, "no such file in the run's folder");
    let plain = FsPath::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if !plain {
        return Err(refused());
    }
    let root = fs::canonicalize(dir)?;
    let path = fs::canonicalize(root.join(name))?;
    let facts = fs::metadata(&path)?;
    if path.starts_with(&root) && (facts.is_file() || facts.is_dir()) { Ok(path) } else { Err(refused()) }
}

/// What lies in a folder, each name a link.
fn folder(place: &FsPath, name: &str) -> io::Result<Response> {
    let mut names: Vec<(String, u64)> = Vec::new();
    for entry in fs::read_dir(place)?.flatten() {
        let facts = entry.metadata()?;
        let slash = if facts.is_dir() { "/" } else { "" };
        names.push((format!("{}{slash}", entry.file_name().to_string_lossy()), facts.len()));
    }
    names.sort();
    let more = names.len().saturating_sub(LISTED);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="color-scheme" content="light dark";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (name) }
                style { "body { font: 14px/1.6 system-ui, sans-serif; margin: 20px } a { overflow-wrap: anywhere }" }
            }
            body {
                h1 { (name) }
                ul { @for (name, size) in names.iter().take(LISTED) {
                    li { a href=(encoded(name)) { (proctor_judge::visible(name)) } @if !name.ends_with('/') { " " (size) " bytes" } }
                } }
                @if more > 0 { p { (more) " more" } }
            }
        }
    };
    Ok(([(CONTENT_TYPE, "text/html; charset=utf-8"), SANDBOX], page.into_string()).into_response())
}

/// A name as one part of an address.
fn encoded(name: &str) -> String {
    let (own, slash) = name.strip_suffix('/').map_or((name, ""), |own| (own, "/"));
    format!("./{}{slash}", percent_encoding::utf8_percent_encode(own, percent_encoding::NON_ALPHANUMERIC))
}

/// Only the report is a page; what agents wrote is text, whatever it is called.
fn content_type(name: &str, bytes: &[u8]) -> &'static str {
    match name {
        "report.html" => "text/html; charset=utf-8",
        _ if std::str::from_utf8(bytes).is_ok() => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
