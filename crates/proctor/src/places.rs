//! Where things lie: the user's cache, the reports, and what a person means by RUN.

use std::env;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use proctor_harness::runs;

use crate::failure::{Failure, file_error};

/// Name of the link to the newest run's folder.
pub(crate) const LATEST: &str = "latest";

/// `$XDG_CACHE_HOME/proctor`, else `~/.cache/proctor`; the only place outside the reports that Proctor writes to. A path that cannot be
/// used for runs is replaced by a folder of this user's in `/tmp`.
pub(crate) fn cache() -> Result<PathBuf, Failure> {
    let named = cache_from(env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")).ok_or_else(|| {
        Failure::environment("neither XDG_CACHE_HOME nor HOME names an absolute folder")
            .hint("set HOME, or XDG_CACHE_HOME to a folder that Proctor may write to")
    })?;
    let real = real(&named);
    if is_usable(&real) {
        return Ok(named);
    }
    let user = rustix::process::geteuid().as_raw();
    let own = Path::new("/tmp").join(format!("proctor-{user}"));
    let made = own_folder(&own, user).map_err(|error| {
        file_error("cannot use", &own, &error).hint(format!(
            "it stands in for {}, which cannot be part of a PATH or is too long: set XDG_CACHE_HOME to a plain, short path",
            named.display()
        ))
    });
    made.map(|()| own.join(name_for(&real)))
}

/// The path without links, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let there = path.ancestors().find_map(|above| Some((above, fs::canonicalize(above).ok()?)));
    there.map_or_else(|| path.to_owned(), |(above, real)| real.join(path.strip_prefix(above).unwrap_or(path)))
}

/// Longest path of a cache: paths of sockets end at 107 bytes, and those of a real town lie 36 bytes deeper.
const LONGEST_CACHE: usize = 70;

/// Whether runs can lie below a folder. A colon ends an entry of `PATH` and of a list of folders, a line feed ends a line of a registry,
/// and what is not UTF-8 cannot be said in JSON.
fn is_usable(cache: &Path) -> bool {
    cache.as_os_str().len() <= LONGEST_CACHE
        && cache.to_str().is_some_and(|text| !text.contains(|c: char| c == ':' || c.is_control()))
}

/// A folder that is this user's alone.
fn own_folder(folder: &Path, user: u32) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let data = fs::symlink_metadata(folder)?;
    let is_ours = data.is_dir() && data.uid() == user && data.mode() & 0o022 == 0;
    is_ours.then_some(()).ok_or_else(|| std::io::Error::other("it is not a folder of this user's alone"))
}

/// A short name for a path: the same path has the same name.
fn name_for(path: &Path) -> String {
    // FNV-1a: names need not be secret, and two caches of one user hardly ever meet.
    let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    format!("{:08x}", path.as_os_str().as_bytes().iter().fold(0x811c_9dc5, step))
}

/// Relative values count as unset, as the XDG Base Directory Specification asks.
fn cache_from(xdg: Option<std::ffi::OsString>, home: Option<std::ffi::OsString>) -> Option<PathBuf> {
    let absolute = |value: Option<std::ffi::OsString>| value.map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(xdg).or_else(|| absolute(home).map(|home| home.join(".cache"))).map(|cache| cache.join("proctor"))
}

/// The folder of the run that `named` means: a path, `latest`, a folder's name or a short id below `reports` or, where the selftest
/// puts its runs, below `reports/selftest`.
pub(crate) fn find_run(named: &str, reports: &Path) -> Result<PathBuf, Failure> {
    let of_selftest = |error| runs::find(&reports.join("selftest"), named).map_err(|_| error);
    let found = runs::find(reports, named).or_else(of_selftest).map_err(|error| {
        Failure::usage(error.to_string()).hint("`proctor runs` lists all; --reports DIR names another folder")
    })?;
    fs::canonicalize(&found).map_err(|error| file_error("cannot open", &found, &error))
}

/// The known name that is nearest to what was typed, when one is near enough to be meant.
pub(crate) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (strsim::damerau_levenshtein(typed, name), name))
        .filter(|(distance, name)| *distance <= name.len().max(3) / 3)
        .min()
        .map(|(_, name)| name)
}

/// Makes `link` point at `target` in one step, so that no reader ever finds it missing.
pub(crate) fn replace_link(link: &Path, target: &Path) -> std::io::Result<()> {
    let beside = link.with_extension(format!("{}.new", std::process::id()));
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::os::unix::fs::symlink(target, &beside)?;
    fs::rename(&beside, link).inspect_err(|_| _ = fs::remove_file(&beside))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

    use super::*;

    #[test]
    fn a_link_is_replaced_over_an_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("latest");
        replace_link(&link, Path::new("a")).unwrap();
        replace_link(&link, Path::new("b")).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("b"));
    }

    #[test]
    fn a_folder_in_the_place_of_a_link_stays_and_nothing_lies_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("latest");
        fs::create_dir(&link).unwrap();
        assert!(replace_link(&link, Path::new("a")).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_cache_that_no_path_can_name_is_not_used() {
        for usable in ["/home/me/.cache/proctor", "/home/a b/c%20d#e/proctor", "/home/jörg's/.cache/proctor"] {
            assert!(is_usable(Path::new(usable)), "{usable}");
        }
        let long = format!("/home/{}/proctor", "x".repeat(64));
        let latin = std::ffi::OsStr::from_bytes(b"/home/j\xf6rg/proctor");
        for unusable in ["/c:d/proctor".as_ref(), "/two\nlines/proctor".as_ref(), long.as_ref(), latin] {
            assert!(!is_usable(Path::new(unusable)), "{unusable:?}");
        }
        assert_ne!(name_for(Path::new("/a:b")), name_for(Path::new("/a:c")));
    }

    #[test]
    fn what_counts_is_where_links_lead() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().canonicalize().unwrap().join("a:b");
        fs::create_dir(&odd).unwrap();
        std::os::unix::fs::symlink(&odd, dir.path().join("plain")).unwrap();
        assert_eq!(real(&dir.path().join("plain/later/proctor")), odd.join("later/proctor"));
    }

    #[test]
    fn a_folder_that_others_can_write_is_nobodys_own() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (own, user) = (dir.path().join("own"), rustix::process::geteuid().as_raw());
        own_folder(&own, user).unwrap();
        own_folder(&own, user).unwrap();
        assert!(own_folder(&own, user + 1).is_err());
        fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(own_folder(&own, user).is_err());
        fs::remove_dir(&own).unwrap();
        std::os::unix::fs::symlink(dir.path(), &own).unwrap();
        assert!(own_folder(&own, user).is_err());
    }

    #[test]
    fn relative_cache_folders_count_as_unset() {
        let found = cache_from(Some("relative".into()), Some("/home/me".into()));
        assert_eq!(found, Some(PathBuf::from("/home/me/.cache/proctor")));
        assert_eq!(cache_from(None, Some("x".into())), None);
    }
}
