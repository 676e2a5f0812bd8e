//! Files that agents or deliverables made: read, copied and removed so that nothing they put there can hang, mislead or exhaust
//! Proctor.
//!
//! Folders are walked relative to a descriptor. No link is followed, only regular files are opened, and no opening waits. What is
//! left out is counted with the reason; only Proctor's own side (a full disk where a copy goes) is an error. The calls block: async
//! code makes them by [`apart`].

mod copy;
mod list;
mod open;
mod remove;
mod walk;

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::halt::Halt;

pub use copy::{copy, copy_below, copy_file, copy_flat};
pub use list::{Found, Listing, Measure, list, measure};
pub use open::{open, read};
pub use remove::remove;

/// How much of a folder is read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Files, folders and links.
    pub entries: u64,
    /// Entries beyond `entries` that are still counted in one folder.
    pub counted: u64,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Folders in folders.
    pub depth: usize,
}

/// The limits of every reading, stated once.
pub const LIMITS: Limits = Limits { entries: 50_000, counted: 1_000_000, file_bytes: 256 << 20, bytes: 1 << 30, depth: 64 };

/// Does blocking work on a thread of its own.
///
/// # Errors
/// When the work broke off.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Halt> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Halt::harness(format!("reading files broke off: {error}")))
}

/// A path as text that fits on one line: bytes that are no text and control characters are written as escapes.
pub fn shown(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() { text.extend(letter.escape_default()) } else { text.push(letter) }
        }
        text.push_str(&chunk.invalid().escape_ascii().to_string());
    }
    text
}

/// A number of bytes in the unit in which limits are stated.
fn size(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{bytes} bytes"),
        _ => format!("{} MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests;
