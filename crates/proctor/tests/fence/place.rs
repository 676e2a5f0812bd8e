//! Folders, a fence and its launcher, for one test.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use proctor_fence::{Fence, Namespaces};

/// Who runs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Whoever runs the tests.
    Me,
    /// A user without any right: needs a test that runs as root.
    Nobody,
}

impl Who {
    /// Everybody that a program can be run as.
    pub(crate) fn all() -> Vec<Self> {
        if rustix::process::geteuid().is_root() { vec![Self::Me, Self::Nobody] } else { vec![Self::Me] }
    }

    /// A program as this user.
    pub(crate) fn command(self, program: &Path) -> Command {
        match self {
            Self::Me => Command::new(program),
            Self::Nobody => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
                command
            }
        }
    }
}

/// A folder with a launcher, a folder inside the fence and one outside.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    pub(crate) launcher: PathBuf,
    /// What the fence lets be written.
    pub(crate) mine: PathBuf,
    /// What it does not.
    pub(crate) other: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        open(&path);
        let [mine, other] = ["mine", "other"].map(|name| path.join(name));
        for folder in [&mine, &other] {
            std::fs::create_dir(folder).unwrap();
            open(folder);
        }
        // Another user cannot go to where this was built.
        let binary = path.join("binary");
        let built = Path::new(env!("CARGO_BIN_EXE_proctor"));
        std::fs::hard_link(built, &binary).or_else(|_| std::fs::copy(built, &binary).map(drop)).unwrap();
        let launcher = path.join("proctor-fence");
        symlink("binary", &launcher).unwrap();
        Self { folder, launcher, mine, other }
    }

    /// What a program needs, the folder that is the program's own, and namespaces.
    pub(crate) fn fence(&self) -> Fence {
        Fence { namespaces: Some(Namespaces::default()), ..self.bare() }
    }

    /// The same without namespaces.
    pub(crate) fn bare(&self) -> Fence {
        let read = ["/usr", "/bin", "/lib", "/lib64", "/sbin", "/etc", "/proc", "/sys", "/dev"].map(PathBuf::from);
        Fence { read: read.to_vec(), write: vec![self.mine.clone()], ..Fence::default() }
    }

    /// A program inside a fence.
    pub(crate) fn fenced(&self, who: Who, fence: &Fence, program: &str, args: &[&str]) -> Command {
        let mut command = who.command(&self.launcher);
        command.arg(fence.to_json().unwrap()).arg("--").arg(program).args(args);
        command.current_dir(&self.mine).env("HOME", &self.mine).env("TMPDIR", &self.mine).env_remove("PYTHONPATH");
        command
    }

    /// What a program inside a fence came to.
    pub(crate) fn run(&self, who: Who, fence: &Fence, program: &str, args: &[&str]) -> Output {
        self.fenced(who, fence, program, args).output().unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Lets everybody in.
pub(crate) fn open(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
}

/// Both streams of a program.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)).trim().to_owned()
}

/// The path of a program that every user can run.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let found =
        ["/usr/bin", "/bin", "/usr/local/bin"].iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists());
    if found.is_none() {
        println!("skipped: {name} not found");
    }
    found
}

/// Whether the kernel has a part of the fence, which `proctor-fence`'s own answer names.
pub(crate) fn has(part: &str) -> bool {
    let support = proctor_fence::support();
    let lacks = support.missing.iter().any(|missing| missing.what == part);
    if lacks {
        println!("skipped: {part} not found");
    }
    !lacks
}
