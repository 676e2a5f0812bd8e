//! The append-only journal: every request as it came, and a short note of every refused one.
//!
//! The file begins with [`MAGIC`]; then frames: length (u32, little-endian), CRC-32 of the payload (likewise), payload (a
//! protobuf [`Entry`]). A frame that is short or whose checksum is wrong ends the readable part.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::Message;

use crate::error::StoreError;
use crate::record::{Time, time_to_nanos};
use crate::store::SyncPolicy;
use crate::syncing::Syncing;
use crate::written::{Sum, Written};

/// Name of the journal in a store's folder.
pub(crate) const FILE: &str = "journal.bin";

const MAGIC: &[u8] = b"proctor journal 1\n";
const HEAD: usize = 8;
/// Bytes after a frame that cannot be read in which another one is looked for: more than a frame of most requests has.
const SEARCHED: usize = 1 << 20;

/// One journal entry.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Entry {
    /// 1 logs, 2 metrics, 3 traces.
    #[prost(uint32, tag = "1")]
    pub(crate) signal: u32,
    /// Nanoseconds since 1970.
    #[prost(sfixed64, tag = "2")]
    pub(crate) received_at: i64,
    #[prost(string, optional, tag = "3")]
    pub(crate) agent: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(crate) content_type: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub(crate) content_encoding: Option<String>,
    /// As received; empty when refused.
    #[prost(bytes = "vec", tag = "6")]
    pub(crate) body: Vec<u8>,
    /// Why the request was refused.
    #[prost(string, optional, tag = "7")]
    pub(crate) refused: Option<String>,
    /// The agent whose address it came by without holding its token.
    #[prost(string, optional, tag = "8")]
    pub(crate) claimed: Option<String>,
    /// What the sender was told when it was refused.
    #[prost(string, optional, tag = "9")]
    pub(crate) why: Option<String>,
}

/// The journal of a store that takes in.
#[derive(Debug)]
pub(crate) struct Writer {
    path: PathBuf,
    file: Arc<File>,
    len: u64,
    /// Of all that was appended, the beginning included.
    sum: Sum,
    frames: u64,
    /// Absent when every append is synced at once.
    syncing: Option<Syncing>,
    /// A failed write could not be undone: nothing may follow it.
    broken: bool,
}

impl Writer {
    /// Begins the journal of a new store.
    pub(crate) fn create(dir: &Path, policy: SyncPolicy) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let made = OpenOptions::new().write(true).create_new(true).open(&path);
        let mut file = made.map_err(|source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => StoreError::Exists(dir.to_owned()),
            _ => StoreError::io("create", &path)(source),
        })?;
        file.write_all(MAGIC).map_err(StoreError::io("write", &path))?;
        let file = Arc::new(file);
        let syncing = match policy {
            SyncPolicy::EveryRequest => None,
            SyncPolicy::Within(delay) => {
                Some(Syncing::begin(Arc::clone(&file), delay).map_err(StoreError::io("start a thread to sync", &path))?)
            }
        };
        let mut sum = Sum::default();
        sum.add(MAGIC);
        Ok(Self { path, file, len: MAGIC.len() as u64, sum, frames: 0, syncing, broken: false })
    }

    /// Appends one entry whole, or leaves the journal as it was. An earlier entry that could not be synced meanwhile is told here.
    pub(crate) fn append(&mut self, entry: &Entry) -> Result<(), StoreError> {
        if self.broken {
            return Err(StoreError::io("write", &self.path)(std::io::Error::other("an earlier write failed half-way")));
        }
        self.tell_failure()?;
        let frame = self.frame(entry)?;
        if let Err(source) = (&*self.file).write_all(&frame) {
            self.undo();
            return Err(StoreError::io("write", &self.path)(source));
        }
        self.len += frame.len() as u64;
        self.sum.add(&frame);
        self.frames += 1;
        match &self.syncing {
            Some(syncing) => syncing.written(),
            None => self.unsynced()?.sync()?,
        }
        Ok(())
    }

    /// What forces to the disk all that was appended so far, without this journal being held meanwhile. An earlier entry that could not be
    /// synced is told here: the system tells of it only once, and did so to the thread.
    pub(crate) fn unsynced(&self) -> Result<Unsynced, StoreError> {
        self.tell_failure()?;
        Ok(Unsynced { path: self.path.clone(), file: Arc::clone(&self.file) })
    }

    fn tell_failure(&self) -> Result<(), StoreError> {
        let failure = self.syncing.as_ref().and_then(Syncing::failure);
        failure.map_or(Ok(()), |source| Err(StoreError::io("sync", &self.path)(source)))
    }

    /// The journal as it was written so far.
    pub(crate) fn written(&self) -> Written {
        self.sum.written(FILE, Some(self.frames))
    }

    /// Bytes of whole frames, the beginning included.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    fn frame(&self, entry: &Entry) -> Result<Vec<u8>, StoreError> {
        let size = entry.encoded_len();
        let too_large = || StoreError::io("write", &self.path)(std::io::Error::other("the request is too large for a frame"));
        let length = u32::try_from(size).map_err(|_| too_large())?;
        let mut frame = Vec::with_capacity(HEAD + size);
        frame.extend_from_slice(&length.to_le_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(&entry.encode_to_vec());
        let sum = crc32fast::hash(&frame[HEAD..]);
        frame[4..HEAD].copy_from_slice(&sum.to_le_bytes());
        Ok(frame)
    }

    fn undo(&mut self) {
        use std::io::Seek;
        let cut = self.file.set_len(self.len);
        let back = (&*self.file).seek(std::io::SeekFrom::Start(self.len));
        self.broken = cut.is_err() || back.is_err();
    }
}

/// A journal to be forced to the disk.
pub(crate) struct Unsynced {
    path: PathBuf,
    file: Arc<File>,
}

impl Unsynced {
    /// Waits for the disk.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(StoreError::io("sync", &self.path))
    }
}

/// What a journal holds.
pub(crate) struct Journal {
    pub(crate) entries: Vec<Entry>,
    /// Bytes of whole frames, the beginning included.
    pub(crate) len: u64,
    /// Bytes after the last whole frame.
    pub(crate) torn: u64,
}

/// Reads the journal in `dir`, up to where it is whole.
pub(crate) fn read(dir: &Path) -> Result<Journal, StoreError> {
    let path = dir.join(FILE);
    let mut file = File::open(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => StoreError::Missing(dir.to_owned()),
        _ => StoreError::io("read", &path)(source),
    })?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(StoreError::io("read", &path))?;
    parse(&bytes).ok_or(StoreError::NotAJournal(path))
}

/// Reads what was appended to the journal in `dir` after its first `len` bytes, up to where it is whole.
pub(crate) fn read_past(dir: &Path, len: u64) -> Result<Journal, StoreError> {
    use std::io::Seek;

    if len == 0 {
        return read(dir);
    }
    let path = dir.join(FILE);
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|mut file| {
            file.seek(std::io::SeekFrom::Start(len))?;
            file.read_to_end(&mut bytes)
        })
        .map_err(StoreError::io("read", &path))?;
    let frames = frames(&bytes);
    Ok(Journal { len: len + frames.len, ..frames })
}

/// Where the journal in `dir` is damaged: bytes before the frame that cannot be read. A last frame that a crash cut off is no damage, and
/// neither is a journal that is not there.
pub(crate) fn damage(dir: &Path) -> Option<u64> {
    let bytes = std::fs::read(dir.join(FILE)).ok()?;
    let Some(journal) = parse(&bytes) else { return Some(0) };
    let rest = &bytes[bytes.len() - usize::try_from(journal.torn).unwrap_or(bytes.len())..];
    (!is_cut_off(rest)).then_some(journal.len)
}

/// Whether what follows the last frame that can be read is the beginning of one more: a frame that says it is longer than what is left,
/// and no whole frame after it. One that has its length and another sum was changed.
fn is_cut_off(rest: &[u8]) -> bool {
    let Some((length, payload)) = rest.split_first_chunk::<4>() else { return true };
    let is_short = payload.len() < (HEAD - 4) + u32::from_le_bytes(*length) as usize;
    let is_frame = |at: usize| rest.get(at..at + 4).is_some_and(|length| length != [0; 4]) && next(&rest[at..]).is_some();
    is_short && !(1..rest.len().min(SEARCHED)).any(is_frame)
}

fn parse(bytes: &[u8]) -> Option<Journal> {
    if bytes.len() < MAGIC.len() && MAGIC.starts_with(bytes) {
        // Killed while it wrote the first bytes: a store that took nothing in.
        return Some(Journal { entries: Vec::new(), len: 0, torn: bytes.len() as u64 });
    }
    let frames = frames(bytes.strip_prefix(MAGIC)?);
    Some(Journal { len: MAGIC.len() as u64 + frames.len, ..frames })
}

/// The frames at the beginning of `bytes`.
fn frames(bytes: &[u8]) -> Journal {
    let mut rest = bytes;
    let mut entries = Vec::new();
    while let Some((entry, after)) = next(rest) {
        entries.push(entry);
        rest = after;
    }
    let torn = rest.len() as u64;
    Journal { entries, len: bytes.len() as u64 - torn, torn }
}

fn next(bytes: &[u8]) -> Option<(Entry, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let (payload, after) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    if crc32fast::hash(payload) != u32::from_le_bytes(*sum) {
        return None;
    }
    Some((Entry::decode(payload).ok()?, after))
}

impl Entry {
    /// The moment of receipt.
    pub(crate) fn received(&self) -> Time {
        Time::from_timestamp_nanos(self.received_at)
    }

    /// `time` in the entry's form.
    pub(crate) fn stamp(time: Time) -> i64 {
        time_to_nanos(time)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    fn write(dir: &Path, bodies: &[&str]) -> PathBuf {
        let mut writer = Writer::create(dir, SyncPolicy::EveryRequest).unwrap();
        for body in bodies {
            let entry = Entry { signal: 1, body: body.as_bytes().to_vec(), ..Entry::default() };
            writer.append(&entry).unwrap();
        }
        dir.join(FILE)
    }

    fn bodies(journal: &Journal) -> Vec<String> {
        journal.entries.iter().map(|entry| String::from_utf8(entry.body.clone()).unwrap()).collect()
    }

    #[test]
    fn what_was_appended_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &["one", "two"]);
        let journal = read(dir.path()).unwrap();
        assert_eq!(bodies(&journal), ["one", "two"]);
        assert_eq!(journal.torn, 0);
    }

    #[test]
    fn a_journal_cut_anywhere_keeps_every_whole_entry() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = std::fs::read(write(dir.path(), &["one", "two"])).unwrap();
        for cut in 0..bytes.len() {
            let journal = parse(&bytes[..cut]).unwrap();
            assert_eq!(journal.len + journal.torn, cut as u64);
            assert!(bodies(&journal).len() < 2);
        }
    }

    #[test]
    fn a_changed_byte_ends_the_readable_part() {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = std::fs::read(write(dir.path(), &["one", "two", "six"])).unwrap();
        let at = bytes.windows(3).position(|window| window == b"two").unwrap();
        bytes[at] ^= 1;
        let journal = parse(&bytes).unwrap();
        assert_eq!(bodies(&journal), ["one"]);
        assert!(journal.torn > 0);
    }

    #[test]
    fn a_tail_that_a_crash_cut_off_is_told_from_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), &["one", "two", "six"]);
        let bytes = std::fs::read(&path).unwrap();
        for cut in MAGIC.len()..=bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            assert_eq!(damage(dir.path()), None, "cut at {cut}");
        }
        let last = bytes.windows(3).position(|window| window == b"six").unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x11;
            std::fs::write(&path, changed).unwrap();
            // The length of the last frame says how long it would have been: to be longer is to be cut off.
            let may_be_longer = at > last - HEAD - 16;
            assert!(damage(dir.path()).is_some() || may_be_longer, "changed at {at}");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(damage(dir.path()), None);
    }

    #[test]
    fn a_second_store_in_the_same_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[]);
        assert!(matches!(Writer::create(dir.path(), SyncPolicy::EveryRequest), Err(StoreError::Exists(_))));
    }

    #[test]
    fn what_could_not_be_synced_meanwhile_is_told_to_whoever_seals() {
        // The kernel takes what is written to a pipe, and refuses to force it to a disk.
        let (_reader, pipe) = std::io::pipe().unwrap();
        let file = Arc::new(File::from(std::os::fd::OwnedFd::from(pipe)));
        let syncing = Syncing::begin(Arc::clone(&file), std::time::Duration::ZERO).unwrap();
        let mut writer = Writer {
            path: PathBuf::from(FILE),
            file,
            len: 0,
            sum: Sum::default(),
            frames: 0,
            syncing: Some(syncing),
            broken: false,
        };
        writer.append(&Entry::default()).unwrap();
        while writer.unsynced().is_ok() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn another_file_is_no_journal() {
        assert!(parse(b"something else, and longer than the beginning").is_none());
    }
}
