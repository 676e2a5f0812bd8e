//! Lists the files of a tree from its objects, whatever they are called and however many they are.

use super::objects::{Kind, Objects};
use crate::halt::Halt;

/// The most entries, folders included, that are read of one tree.
pub(super) const ENTRIES: usize = 100_000;
/// The largest tree object that is read.
const TREE_BYTES: u64 = 32 << 20;
/// How deep folders are read into one another.
const DEPTH: usize = 512;
/// The most bytes of all paths together.
const PATH_BYTES: usize = 64 << 20;
/// The length of an object's name in a tree object.
const ID: usize = 20;

/// What an entry is, by git's mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    File,
    Program,
    Link,
    Submodule,
    Folder,
}

impl What {
    fn of(mode: u32) -> Option<Self> {
        match mode >> 12 {
            0o4 => Some(Self::Folder),
            0o10 => Some(if mode & 0o111 == 0 { Self::File } else { Self::Program }),
            0o12 => Some(Self::Link),
            0o16 => Some(Self::Submodule),
            _ => None,
        }
    }

    /// Git's mode as `ls-tree` prints it.
    pub(super) fn mode(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Program => "100755",
            Self::Link => "120000",
            Self::Submodule => "160000",
            Self::Folder => "040000",
        }
    }
}

/// A file, link or submodule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its path in the tree, as bytes.
    pub(super) path: Vec<u8>,
    pub(super) what: What,
    /// The name of its object.
    pub(super) id: String,
}

/// What a tree holds.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// In git's order.
    pub(super) entries: Vec<Entry>,
    /// Why it is not all of the tree, where it is not.
    pub(super) cut: Vec<String>,
}

/// Lists a tree.
///
/// # Errors
/// When git ends.
pub(super) fn list(objects: &mut Objects, tree: &str) -> Result<Listing, Halt> {
    let mut listing = Listing::default();
    let (mut read, mut path_bytes) = (0, 0);
    let mut open = vec![folder(objects, tree, b"", &mut listing)?];
    while let Some(entries) = open.last_mut() {
        let Some(entry) = entries.pop() else {
            open.pop();
            continue;
        };
        (read, path_bytes) = (read + 1, path_bytes + entry.path.len());
        if read > ENTRIES || path_bytes > PATH_BYTES {
            listing.cut.push(format!("it has more than {} entries; no more were read", read - 1));
            break;
        }
        match entry.what {
            What::Folder if open.len() >= DEPTH => {
                listing.cut.push(format!("{} lies {DEPTH} folders deep; it was not read", shown(&entry.path)));
            }
            What::Folder => open.push(folder(objects, &entry.id, &entry.path, &mut listing)?),
            _ => listing.entries.push(entry),
        }
    }
    Ok(listing)
}

/// The entries of one folder, the last first.
fn folder(objects: &mut Objects, id: &str, path: &[u8], listing: &mut Listing) -> Result<Vec<Entry>, Halt> {
    let Some((Kind::Tree, bytes)) = objects.read(id, TREE_BYTES)? else {
        listing.cut.push(format!("the folder `{}` cannot be read, or is larger than {} MiB", shown(path), TREE_BYTES >> 20));
        return Ok(Vec::new());
    };
    let mut entries = parse(&bytes, path, &mut listing.cut);
    entries.reverse();
    Ok(entries)
}

/// Reads a tree object: `<mode> <name>\0<id>` again and again.
fn parse(bytes: &[u8], folder: &[u8], cut: &mut Vec<String>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some((mode, name, id, after)) = entry(rest) else {
            cut.push(format!("the folder `{}` is damaged", shown(folder)));
            break;
        };
        rest = after;
        let path = if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() };
        match What::of(mode) {
            Some(what) => entries.push(Entry { path, what, id }),
            None => cut.push(format!("`{}` has the mode {mode:o}, which git does not know", shown(&path))),
        }
    }
    entries
}

fn entry(bytes: &[u8]) -> Option<(u32, &[u8], String, &[u8])> {
    let blank = bytes.iter().position(|byte| *byte == b' ')?;
    let end = bytes.iter().position(|byte| *byte == 0).filter(|end| *end > blank)?;
    let mode = u32::from_str_radix(std::str::from_utf8(&bytes[..blank]).ok()?, 8).ok()?;
    let id = bytes.get(end + 1..end + 1 + ID)?;
    let id = id.iter().map(|byte| format!("{byte:02x}")).collect();
    Some((mode, &bytes[blank + 1..end], id, &bytes[end + 1 + ID..]))
}

/// A path for people: what is no UTF-8 as `\xff`.
pub(super) fn shown(path: &[u8]) -> String {
    path.utf8_chunks().fold(String::new(), |mut text, chunk| {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(entries: &[(&str, &[u8])]) -> Vec<u8> {
        entries.iter().flat_map(|(mode, name)| [mode.as_bytes(), b" ", name, b"\0", &[0xab; ID]].concat()).collect()
    }

    #[test]
    fn names_are_bytes() {
        let mut cut = Vec::new();
        let odd: &[u8] = b"new\nline \xff";
        let entries = parse(&object(&[("100644", b"a"), ("100755", odd), ("120000", b"l"), ("40000", b"d")]), b"f", &mut cut);
        assert_eq!(entries.iter().map(|e| e.what).collect::<Vec<_>>(), [What::File, What::Program, What::Link, What::Folder]);
        assert_eq!(entries[1].path, b"f/new\nline \xff");
        assert_eq!(shown(&entries[1].path), "f/new\nline \\xff");
        assert_eq!((entries[0].id.as_str(), cut.len()), ("abababababababababababababababababababab", 0));
    }

    #[test]
    fn a_damaged_tree_is_read_as_far_as_it_goes_and_named() {
        let mut bytes = object(&[("100644", b"a"), ("777777", b"b"), ("100644", b"c")]);
        bytes.truncate(bytes.len() - 1);
        let mut cut = Vec::new();
        assert_eq!(parse(&bytes, b"", &mut cut).len(), 1);
        assert_eq!(cut.len(), 2, "{cut:?}");
        for bytes in [&b"100644"[..], b"100644 \0", b"\0 \0", b"x y\0aaaaaaaaaaaaaaaaaaaaaaaa"] {
            assert!(parse(bytes, b"", &mut cut).is_empty());
        }
    }
}
