//! The files of a scenario, read whole: what is hashed is what is run, whether it came from disk or from the binary.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use walkdir::WalkDir;

/// Files and folders that git, Python and file managers leave behind; they are nobody's.
const LEFT_BEHIND: [&str; 4] = [".git", "__pycache__", ".DS_Store", ".pytest_cache"];

/// A scenario folder in memory.
#[derive(Clone, Debug, Default)]
pub struct Files {
    label: String,
    map: BTreeMap<String, Vec<u8>>,
}

impl Files {
    /// From a map of path (with `/`) to content. `label` names the folder in messages: `my-scenario`, `crypto-tales (shipped)`.
    pub fn new(label: impl Into<String>, map: BTreeMap<String, Vec<u8>>) -> Self {
        Self { label: label.into(), map }
    }

    /// Reads a folder, links followed. Left out are hidden files at its top, and what tools leave behind anywhere.
    ///
    /// # Errors
    /// When the folder or a file in it cannot be read.
    pub fn from_dir(dir: &Path) -> io::Result<Self> {
        let mut map = BTreeMap::new();
        let wanted = |name: &str, depth| !(LEFT_BEHIND.contains(&name) || depth == 1 && name.starts_with('.'));
        let walk = WalkDir::new(dir).min_depth(1).follow_links(true).into_iter();
        for entry in walk.filter_entry(|e| wanted(&e.file_name().to_string_lossy(), e.depth())) {
            let entry = entry.map_err(io::Error::from)?;
            if entry.file_type().is_file() {
                let path = entry.path().strip_prefix(dir).unwrap_or(entry.path());
                map.insert(path.to_string_lossy().into_owned(), std::fs::read(entry.path())?);
            }
        }
        Ok(Self { label: dir.display().to_string(), map })
    }

    /// How messages name the folder.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// One file's content.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.map.get(path).map(Vec::as_slice)
    }

    /// One file's content as text; `None` when it is missing or not UTF-8.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.get(path).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// All paths and contents, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.map.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }

    /// The files below a folder, with paths relative to it.
    pub fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.iter().filter_map(move |(path, bytes)| Some((path.strip_prefix(folder)?.strip_prefix('/')?, bytes)))
    }

    /// These files but those below a folder.
    #[must_use]
    pub fn without(&self, folder: &str) -> Self {
        let below = |path: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let map = self.map.iter().filter(|(path, _)| !below(path)).map(|(path, bytes)| (path.clone(), bytes.clone())).collect();
        Self { label: self.label.clone(), map }
    }

    /// Those of these files whose path is wanted.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&str) -> bool) -> Self {
        let map = self.map.iter().filter(|(path, _)| wanted(path)).map(|(path, bytes)| (path.clone(), bytes.clone())).collect();
        Self { label: self.label.clone(), map }
    }

    /// These files with others laid over: same path replaces, new path adds.
    #[must_use]
    pub fn overlay<'a>(&self, over: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut map = self.map.clone();
        map.extend(over.map(|(path, bytes)| (path.to_owned(), bytes.to_vec())));
        Self { label: self.label.clone(), map }
    }

    /// Writes every file below `dir`, which is made.
    ///
    /// # Errors
    /// When a folder or file cannot be written.
    pub fn write_to(&self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(dir)?;
        for (path, bytes) in self.iter() {
            let target = dir.join(path);
            if let Some(parent) = target.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&target, bytes)?;
            if is_program(bytes) {
                std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o755))?;
            }
        }
        Ok(())
    }
}

/// Whether a file is one to execute. Modes are not kept, since files inside the binary have none.
pub(crate) fn is_program(bytes: &[u8]) -> bool {
    bytes.starts_with(b"#!") || bytes.starts_with(b"\x7fELF")
}
