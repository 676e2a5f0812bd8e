//! Reads short text files with as few system calls as can be: what is read of every process, or at every look at the town, is most of what
//! watching costs.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The text of a file that is shorter than `N` bytes; absent when it cannot be read, or is longer.
pub(crate) fn read<const N: usize>(path: &Path) -> Option<String> {
    let mut buffer = [0; N];
    let length = File::open(path).ok()?.read(&mut buffer).ok().filter(|length| *length < N)?;
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
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
    }
}
