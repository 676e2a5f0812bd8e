//! Where things lie: the user's cache, the reports, and what a person means by RUN.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use proctor_harness::runs;

use crate::failure::{Failure, file_error};

/// Name of the link to the newest run's folder.
pub(crate) const LATEST: &str = "latest";

/// `$XDG_CACHE_HOME/proctor`, else `~/.cache/proctor`; the only place outside the reports that Proctor writes to.
pub(crate) fn cache() -> Result<PathBuf, Failure> {
    cache_from(env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")).ok_or_else(|| {
        Failure::environment("neither XDG_CACHE_HOME nor HOME names an absolute folder")
            .hint("set HOME, or XDG_CACHE_HOME to a folder that Proctor may write to")
    })
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
    fn relative_cache_folders_count_as_unset() {
        let found = cache_from(Some("relative".into()), Some("/home/me".into()));
        assert_eq!(found, Some(PathBuf::from("/home/me/.cache/proctor")));
        assert_eq!(cache_from(None, Some("x".into())), None);
    }
}
