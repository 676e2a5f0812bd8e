//! The seal of a run: a list of every evidence file with size and SHA-256, and one digest over the list.
//!
//! The harness keeps the list in memory while it writes, and writes it down when the run has ended: it states what Proctor wrote, not
//! what lies on the disk. [`verify`] compares the two. `docs/evidence.md` states the format and how to compute the digest by hand.

mod verify;

use std::fmt::Write;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use verify::{Change, Expected, State, Verified, What, verify};

/// The version of `evidence/sealed.json`.
pub const SEAL_SCHEMA: u32 = 1;
/// The seal's file below `evidence/`.
pub const SEALED: &str = "sealed.json";
/// The folder that is sealed as a whole.
const EVIDENCE: &str = "evidence";
/// Files beside it that are sealed too.
pub const BESIDE: [&str; 3] = ["timeline.ndjson", "run.log", "lock.json"];

/// `evidence/sealed.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// [`SEAL_SCHEMA`].
    pub schema: u32,
    /// Value of `proctor.run.id`.
    pub run_id: String,
    /// SHA-256 of [`Seal::canonical`], lower-case hex.
    pub digest: String,
    /// Every file that the run wrote as evidence, in the order of the bytes of their paths.
    pub files: Vec<SealedFile>,
}

/// One file of a seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedFile {
    /// Relative to the run's folder, as [`sealed_path`] writes it: `evidence/plan.json`.
    pub path: String,
    /// What is sealed of it.
    pub kind: SealedKind,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of those bytes, lower-case hex. Of an append-only file it is the head of a running sum over its records.
    pub sha256: String,
    /// Number of records of an append-only file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
}

/// What is sealed of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SealedKind {
    /// The whole content.
    File,
    /// The target of a symbolic link.
    Link,
    /// The first `size` bytes: phase 8 adds its own lines.
    Beginning,
}

impl SealedKind {
    fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Link => "link",
            Self::Beginning => "beginning",
        }
    }
}

impl Seal {
    /// The seal over `files`, in whatever order they come.
    #[must_use]
    pub fn of(run_id: &str, mut files: Vec<SealedFile>) -> Self {
        files.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        let mut seal = Self { schema: SEAL_SCHEMA, run_id: run_id.to_owned(), digest: String::new(), files };
        seal.digest = seal.computed();
        seal
    }

    /// The text that the digest is taken of: `proctor seal 1`, the run's id, then `<sha256> <size> <kind> <records or -> <path>` of
    /// each file, one a line.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut text = format!("proctor seal {}\n{}\n", self.schema, self.run_id);
        for file in &self.files {
            let records = file.records.map_or_else(|| "-".to_owned(), |n| n.to_string());
            // Writing to a String cannot fail.
            _ = writeln!(text, "{} {} {} {records} {}", file.sha256, file.size, file.kind.word(), file.path);
        }
        text
    }

    /// The digest that belongs to the list.
    #[must_use]
    pub fn computed(&self) -> String {
        hex(&Sha256::digest(self.canonical().as_bytes()))
    }
}

/// A path as a seal writes it: `/` between names, with `\\` for a backslash, and `\x0a` for a control character or a byte that is no
/// UTF-8. Different paths stay different.
#[must_use]
pub fn sealed_path(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut text = String::new();
    for part in path.components().filter(|part| !matches!(part, Component::CurDir)) {
        if !text.is_empty() {
            text.push('/');
        }
        for chunk in part.as_os_str().as_bytes().utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\\' => text.push_str(r"\\"),
                    c if c.is_control() => c.to_string().bytes().for_each(|byte| _ = write!(text, r"\x{byte:02x}")),
                    c => text.push(c),
                }
            }
            chunk.invalid().iter().for_each(|byte| _ = write!(text, r"\x{byte:02x}"));
        }
    }
    text
}

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    fn file(path: &str, sha256: &str) -> SealedFile {
        SealedFile { path: path.into(), kind: SealedKind::File, size: 1, sha256: sha256.into(), records: None }
    }

    #[test]
    fn the_digest_covers_every_field_and_no_order_of_writing() {
        let (a, b) = (file("evidence/a", "00"), file("evidence/b", "11"));
        let seal = Seal::of("r", vec![a.clone(), b.clone()]);
        assert_eq!(seal, Seal::of("r", vec![b.clone(), a.clone()]));
        assert_eq!(seal.canonical(), "proctor seal 1\nr\n00 1 file - evidence/a\n11 1 file - evidence/b\n");
        let others = [
            Seal::of("s", vec![a.clone(), b.clone()]),
            Seal::of("r", vec![a.clone()]),
            Seal::of("r", vec![SealedFile { size: 2, ..a.clone() }, b.clone()]),
            Seal::of("r", vec![SealedFile { kind: SealedKind::Beginning, ..a.clone() }, b.clone()]),
            Seal::of("r", vec![SealedFile { records: Some(1), ..a }, b]),
        ];
        assert!(others.iter().all(|other| other.digest != seal.digest));
    }

    #[test]
    fn every_name_has_a_spelling_of_its_own() {
        let spelt = |bytes: &[u8]| sealed_path(Path::new(OsStr::from_bytes(bytes)));
        assert_eq!(spelt(b"evidence/a b/\xc3\xa4"), "evidence/a b/ä");
        assert_eq!(spelt(b"a\nb\xff\\"), r"a\x0ab\xff\\");
        assert_ne!(spelt(br"a\xff"), spelt(b"a\xff"));
    }
}
