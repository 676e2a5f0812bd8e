//! Taking in the body of a request, whatever its size and however it is cut, into a file that has no name.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::{Body, Bytes};
use futures::StreamExt;
use proctor_harness::Halt;

use super::limits::Limits;

/// Numbers the files, which have their name only until they are open.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A body, if it came whole.
pub(super) enum Taken {
    /// All of it, to be read from its beginning.
    Whole(File),
    /// Whoever sent it went away.
    BrokenOff,
    /// Why it was not taken in.
    TooLarge(String),
}

/// Takes in a body.
///
/// # Errors
/// When the disk refuses.
pub(super) async fn take(body: Body, scratch: &Path, limits: &Limits) -> Result<Taken, Halt> {
    let failed = |error: std::io::Error| Halt::io("write", scratch, &error);
    let mut file = nameless(scratch).map_err(failed)?;
    let mut size = 0;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else { return Ok(Taken::BrokenOff) };
        if let Err(why) = limits.take(size, piece.len() as u64) {
            return Ok(Taken::TooLarge(why));
        }
        size += piece.len() as u64;
        file = written(file, piece).await.map_err(failed)?;
    }
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    Ok(Taken::Whole(file))
}

/// Large pieces are written where a slow disk holds up nobody else.
async fn written(mut file: File, piece: Bytes) -> std::io::Result<File> {
    const SMALL: usize = 16 << 10;
    if piece.len() <= SMALL {
        return file.write_all(&piece).map(|()| file);
    }
    let writing = tokio::task::spawn_blocking(move || file.write_all(&piece).map(|()| file));
    writing.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

fn nameless(scratch: &Path) -> std::io::Result<File> {
    let name = scratch.join(format!("body-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&name)?;
    fs::remove_file(&name)?;
    Ok(file)
}
