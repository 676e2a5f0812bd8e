//! The fence around each step: what it sees, and at which paths.
//!
//! Where mount namespaces can be had every step of every exercise sees its folders at the same paths, and nothing else of the run. Elsewhere
//! it sees them where they are, and the fence refuses the rest.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use proctor_fence::{Bind, Fence, Limits, Mode, Namespaces, Support, support};
use proctor_judge::evidence::FenceMode;

use super::place::Folders;
use super::programs::Programs;
use super::python::Python;
use crate::fence::programs::readable;
use crate::process::Fenced;

/// Where steps see their folders; below `/tmp`, which the fence's namespaces make afresh.
const SEEN: &str = "/tmp/run";
/// What programs read of the system.
const SYSTEM: [&str; 9] = ["/usr", "/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/etc", "/sys"];
/// What may be read of `/proc` where a step would see the processes outside: whoever reads another's arguments reads what checkers know.
const MACHINE: [&str; 5] = ["/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems", "/proc/sys"];

/// What a bench is set up with.
#[derive(Clone, Debug)]
pub struct Fencing {
    /// How the fences are enforced.
    pub mode: FenceMode,
    /// The running executable, which sets up each fence.
    pub proctor: PathBuf,
    /// What a step may use up.
    pub limits: Limits,
    /// Folders of which steps see nothing where that can be had: the user's home, the cache, the reports.
    pub hide: Vec<PathBuf>,
}

/// What the fences of all steps have in common.
#[derive(Debug)]
pub struct Bench {
    mode: Mode,
    launcher: PathBuf,
    support: Support,
    read: Vec<PathBuf>,
    hide: Vec<PathBuf>,
    limits: Limits,
}

impl Bench {
    /// A bench; absent where no fence is wanted. `work` is a folder of the harness's.
    ///
    /// # Errors
    /// When `work` cannot be written.
    pub fn set_up(fencing: Fencing, work: &Path, python: Option<&Python>, programs: &Programs) -> io::Result<Option<Self>> {
        let mode = match fencing.mode {
            FenceMode::On => Mode::On,
            FenceMode::Warn => Mode::Warn,
            FenceMode::Off => return Ok(None),
        };
        let launcher = work.join("proctor-fence");
        fs::create_dir_all(work)?;
        symlink(&fencing.proctor, &launcher)?;
        let mut read: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
        read.extend(python.iter().flat_map(|python| python.folders.clone()));
        read.extend(programs.values().flat_map(|found| readable(&found.path, &fencing.hide)));
        Ok(Some(Self { mode, launcher, support: support(), read, hide: fencing.hide, limits: fencing.limits }))
    }

    /// Whether steps see their folders at paths that are the same for all.
    pub(super) fn is_apart(&self) -> bool {
        self.mode == Mode::On && self.support.namespaces
    }

    /// Whether a deliverable can write to the clones.
    pub(super) fn keeps_clones(&self) -> bool {
        self.mode == Mode::On && (self.support.namespaces || self.support.landlock > 0)
    }

    /// The paths at which a step sees these folders.
    pub(super) fn seen(&self, real: &Folders) -> Folders {
        if !self.is_apart() {
            return real.clone();
        }
        let at = |name: &str| Path::new(SEEN).join(name);
        Folders { work: at("work"), home: at("home"), tmp: at("tmp"), repos: at("repos"), checks: at("checks") }
    }

    /// The fence of a step. Only a checker's sees the checks.
    pub(super) fn fence(&self, real: &Folders, is_checker: bool, refusals: PathBuf) -> Fence {
        let seen = self.seen(real);
        let written = [(&real.work, &seen.work), (&real.home, &seen.home), (&real.tmp, &seen.tmp)];
        let checks = is_checker.then_some((&real.checks, &seen.checks));
        let looked_at = [(&real.repos, &seen.repos)].into_iter().chain(checks);
        let (read, limits) = (self.read.clone(), self.limits.clone());
        let mut fence = Fence { mode: self.mode, read, limits, refusals: Some(refusals), ..Fence::default() };
        if self.is_apart() {
            let bind = |write: bool| {
                move |(source, target): (&PathBuf, &PathBuf)| Bind { source: source.clone(), target: target.clone(), write }
            };
            let binds = written.into_iter().map(bind(true)).chain(looked_at.map(bind(false))).collect();
            fence.namespaces = Some(Namespaces { hide: self.hide.clone(), bind: binds, processes: true, network: true });
            fence.read.push("/proc".into());
        } else {
            fence.write = written.iter().map(|(source, _)| (*source).clone()).collect();
            fence.read.extend(looked_at.map(|(source, _)| source.clone()).chain(MACHINE.iter().map(PathBuf::from)));
        }
        fence
    }

    /// How a program is started inside a fence.
    pub(super) fn fenced(&self, fence: Fence, real: &Folders, report: PathBuf) -> Fenced {
        let cwd = self.is_apart().then(|| self.seen(real).work);
        Fenced { launcher: self.launcher.clone(), fence, report, cwd }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn bench(namespaces: bool) -> Bench {
        let support = Support { namespaces, ..support() };
        Bench {
            mode: Mode::On,
            launcher: "/b/proctor-fence".into(),
            support,
            read: vec!["/usr".into()],
            hide: vec!["/home/o".into()],
            limits: Limits::default(),
        }
    }

    fn folders() -> Folders {
        Folders {
            work: "/b/run/x/work".into(),
            home: "/b/run/x/home".into(),
            tmp: "/b/run/x/tmp".into(),
            repos: "/b/repos".into(),
            checks: "/b/checks".into(),
        }
    }

    #[test]
    fn only_checkers_see_the_checks_and_nobody_writes_a_clone() {
        for namespaces in [true, false] {
            for is_checker in [true, false] {
                let fence = bench(namespaces).fence(&folders(), is_checker, "/b/run/x/refusals".into());
                let text = fence.to_json().unwrap();
                assert_eq!(text.contains("/b/checks"), is_checker, "{text}");
                let written = fence.write.contains(&"/b/repos".into())
                    || fence
                        .namespaces
                        .iter()
                        .flat_map(|all| &all.bind)
                        .any(|bind| bind.write && bind.source == Path::new("/b/repos"));
                assert!(!written && fence.connect.is_empty() && fence.bind.is_empty(), "{text}");
            }
        }
    }

    #[test]
    fn with_namespaces_every_exercise_sees_the_same_paths() {
        let other = Folders { work: "/b/run/y/work".into(), ..folders() };
        let bench = bench(true);
        assert_eq!(bench.seen(&folders()).work, bench.seen(&other).work);
        let fence = bench.fence(&folders(), false, "/r".into());
        assert!(fence.read.contains(&"/proc".into()) && fence.namespaces.unwrap().processes);
    }

    #[test]
    fn without_namespaces_a_step_cannot_read_the_arguments_of_others() {
        let fence = bench(false).fence(&folders(), false, "/r".into());
        assert!(!fence.read.contains(&"/proc".into()) && fence.namespaces.is_none());
    }
}
