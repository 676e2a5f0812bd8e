//! What this process wrote into a store's folder, summed up while it was written: whoever keeps it can tell later whether a file is still
//! the one that the store wrote.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

/// A file of the store as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its name in the store's folder.
    pub file: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of them, lower-case hex.
    pub sha256: String,
    /// Number of frames of the journal.
    pub records: Option<u64>,
}

/// A sum that runs along with what is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum {
    hash: Sha256,
    size: u64,
}

impl Sum {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
    }

    pub(crate) fn written(&self, file: &str, records: Option<u64>) -> Written {
        let bytes = self.hash.clone().finalize();
        let sha256 = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Written { file: file.to_owned(), size: self.size, sha256, records }
    }
}

/// A writer that sums up what goes through it.
pub(crate) struct Summing<W> {
    to: W,
    pub(crate) sum: Sum,
}

impl<W> Summing<W> {
    pub(crate) fn new(to: W) -> Self {
        Self { to, sum: Sum::default() }
    }

    pub(crate) fn into_parts(self) -> (W, Sum) {
        (self.to, self.sum)
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.sum.add(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
