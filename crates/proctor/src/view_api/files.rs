//! Files of the run's folder, read-only. A path that leaves the folder, also by a link, is refused.

use std::io;
use std::path::{Component, Path as FsPath, PathBuf};
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderName;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::answers::Refusal;
use super::run::Run;

/// For documents that may be drawn and must not act: no script, no request, an origin of their own.
pub(crate) const SANDBOX: (HeaderName, &str) =
    (CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:");

pub(crate) async fn file(State(run): State<Arc<Run>>, Path(name): Path<String>) -> Result<Response, Refusal> {
    let missing = |error: io::Error| Refusal::not_found(format!("{name}: {error}"));
    let path = inside(&run.dir, &name).await.map_err(missing)?;
    let bytes = tokio::fs::read(&path).await.map_err(missing)?;
    let kind = content_type(&name, &bytes);
    Ok(([(CONTENT_TYPE, kind), SANDBOX], bytes).into_response())
}

/// The file of that name, whose real place is inside the folder.
async fn inside(dir: &FsPath, name: &str) -> io::Result<PathBuf> {
    let refused = || io::Error::new(io::ErrorKind::NotFound, "no such file in the run's folder");
    let plain = FsPath::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if !plain {
        return Err(refused());
    }
    let root = tokio::fs::canonicalize(dir).await?;
    let path = tokio::fs::canonicalize(root.join(name)).await?;
    let is_file = tokio::fs::metadata(&path).await?.is_file();
    if path.starts_with(&root) && is_file { Ok(path) } else { Err(refused()) }
}

/// Only the report is a page; what agents wrote is text, whatever it is called.
fn content_type(name: &str, bytes: &[u8]) -> &'static str {
    match name {
        "report.html" => "text/html; charset=utf-8",
        _ if std::str::from_utf8(bytes).is_ok() => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
