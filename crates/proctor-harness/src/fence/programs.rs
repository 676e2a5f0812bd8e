//! What must be readable for a program to run: itself, its interpreter, and the installation that it stands in.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Entries of a folder that are listed one by one, at most: a home has more, and is nobody's installation.
const ENTRIES: usize = 512;

/// The paths to be read for `program` to run. `kept` are folders that stay unread: a path that holds one of them is replaced by
/// what else it holds.
pub(crate) fn readable(program: &Path, kept: &[PathBuf]) -> Vec<PathBuf> {
    let real = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let mut found = vec![program.to_owned(), real.clone()];
    let interpreter = interpreter(&real);
    let all = [Some(program.to_owned()), Some(real), interpreter.clone(), interpreter.and_then(|path| path.canonicalize().ok())];
    for path in all.into_iter().flatten() {
        found.extend(installation(&path).map_or_else(Vec::new, |folder| open(&folder, kept)));
        found.push(path);
    }
    found.sort();
    found.dedup();
    found
}

/// The folder that a program's own files stand in: what holds its `bin`, else its folder.
fn installation(program: &Path) -> Option<PathBuf> {
    let folder = program.parent()?;
    let above = folder.parent()?;
    let is_installed = folder.ends_with("bin") && INSTALLED.iter().any(|name| above.join(name).exists());
    Some(if is_installed { above } else { folder }.to_owned()).filter(|folder| folder.parent().is_some())
}

/// What stands beside the `bin` of an installation, or of a Python environment.
const INSTALLED: [&str; 4] = ["lib", "lib64", "libexec", "pyvenv.cfg"];

/// A folder, or what it holds besides what is kept.
fn open(folder: &Path, kept: &[PathBuf]) -> Vec<PathBuf> {
    let holds = |path: &Path| kept.iter().any(|kept| kept.starts_with(path));
    if kept.iter().any(|kept| folder.starts_with(kept)) {
        // Below a home, its own folder is the program's; the home itself holds what is kept.
        return if kept.iter().any(|kept| kept == folder) { Vec::new() } else { vec![folder.to_owned()] };
    }
    if !holds(folder) {
        return vec![folder.to_owned()];
    }
    let entries: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    if entries.len() > ENTRIES {
        return Vec::new();
    }
    entries.into_iter().filter(|entry| !holds(entry)).collect()
}

/// The interpreter of a script, from its first line.
fn interpreter(program: &Path) -> Option<PathBuf> {
    let mut head = [0_u8; 256];
    let read = fs::File::open(program).ok()?.read(&mut head).ok()?;
    let line = std::str::from_utf8(head.get(..read)?.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?).ok()?;
    let path = PathBuf::from(line.split_whitespace().next()?);
    path.is_absolute().then_some(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn file(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn an_installation_is_readable_with_its_libraries_and_a_program_with_what_lies_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().canonicalize().unwrap().join(name);
        file(&at("node/bin/node"), "\x7fELF");
        file(&at("node/lib/x.js"), "");
        assert!(readable(&at("node/bin/node"), &[]).contains(&at("node")));
        file(&at("mine/worker.py"), "#!/usr/bin/env python3\n");
        let found = readable(&at("mine/worker.py"), &[]);
        assert!(found.contains(&at("mine")) && found.contains(&PathBuf::from("/usr/bin/env")), "{found:?}");
    }

    #[test]
    fn what_is_kept_is_not_opened_with_the_folder_around_a_program() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().canonicalize().unwrap().join(name);
        for name in ["agent.sh", "lib/helper.py", "reports/old/run.json", "home/secret"] {
            file(&at(name), "");
        }
        let found = readable(&at("agent.sh"), &[at("reports"), at("home")]);
        assert!(found.contains(&at("agent.sh")) && found.contains(&at("lib")), "{found:?}");
        assert!(found.iter().all(|path| !path.ends_with("reports") && !path.ends_with("home") && *path != at("")), "{found:?}");
        file(&at("home/own/agent.sh"), "");
        let found = readable(&at("home/own/agent.sh"), &[at("home")]);
        assert!(found.contains(&at("home/own")) && !found.contains(&at("home")), "{found:?}");
        file(&at("home/agent.sh"), "");
        assert_eq!(readable(&at("home/agent.sh"), &[at("home")]), [at("home/agent.sh")]);
    }
}
