//! Reads short text files with as few system calls as can be: what is read of every process, or at every look at the town, is most of what
//! watching costs.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The text of a file that is shorter than `N` bytes; absent when it cannot be read, or is longer.
pub(crate) fn read<const N: usize>(path: &Path) -> Option<String> {
    again::<N>(&File::open(path).ok()?)
}

/// The text of such a file that was opened before, as it is now.
pub(crate) fn again<const N: usize>(file: &File) -> Option<String> {
    let mut buffer = [0; N];
    let length = file.read_at(&mut buffer, 0).ok().filter(|length| *length < N)?;
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

/// The text of a file of any length that is seldom longer than a page or two, and does not state its length; absent when it cannot be read.
pub(crate) fn whole(path: &Path) -> Option<String> {
    const SELDOM_LONGER: usize = 8192;
    let mut file = File::open(path).ok()?;
    let mut bytes = vec![0; SELDOM_LONGER];
    let mut length = 0;
    loop {
        match file.read(&mut bytes[length..]).ok()? {
            0 => break,
            read => length += read,
        }
        if length == bytes.len() {
            bytes.resize(length * 2, 0);
        }
    }
    Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_short_file_is_read_whole_and_a_longer_one_not_in_part() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "12345678").unwrap();
        assert_eq!(read::<9>(&file).as_deref(), Some("12345678"));
        assert_eq!(read::<8>(&file), None);
        assert_eq!(read::<8>(&folder.path().join("none")), None);
        let open = File::open(&file).unwrap();
        assert_eq!(again::<9>(&open).as_deref(), Some("12345678"));
        std::fs::write(&file, "1").unwrap();
        assert_eq!(again::<9>(&open).as_deref(), Some("1"));
    }

    #[test]
    fn a_long_file_is_read_whole_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        for length in [0, 1, 8191, 8192, 8193, 100_000] {
            let text = "x".repeat(length);
            std::fs::write(&file, &text).unwrap();
            assert_eq!(whole(&file).as_deref(), Some(text.as_str()), "{length} bytes");
        }
        assert_eq!(whole(&folder.path().join("none")), None);
    }
}
