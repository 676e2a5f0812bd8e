//! Proctor's git: how it is run, and the short questions to it.
//!
//! Only plumbing with stable output. Where origins are folders, the base directory's `.gitconfig` keeps reflogs in bare repositories, so that
//! every head that an origin's branch ever had is known even when nobody looked at that moment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use walkdir::WalkDir;

use super::materialize::materialize;
use crate::halt::Halt;
use crate::process::Program;
use crate::untrusted;

/// How long one git command may take.
const GIT_LIMIT: Duration = Duration::from_secs(30);

/// A clone to work in needs no record of what its branches were.
const NO_REFLOG: &str = "core.logAllRefUpdates=false";

/// Runs git with a fixed environment.
#[derive(Clone, Debug)]
pub struct Git {
    program: PathBuf,
    pub(super) env: BTreeMap<String, String>,
}

/// What `.gitconfig` in the base directory's home says. Without a template no repository gets git's sample hooks, which are most
/// of a fresh one's files and all have to be removed again.
pub const GITCONFIG: &str = "[user]\n\tname = Proctor\n\temail = proctor@localhost\n[init]\n\tdefaultBranch = main\n\ttemplateDir =\n[core]\n\tlogAllRefUpdates = always\n\tfsync = none\n[advice]\n\tdetachedHead = false\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[protocol]\n\tversion = 0\n[protocol \"file\"]\n\tallow = always\n";

/// What Proctor's own git is told wherever it runs: nothing that a repository, a user or a machine has configured is run, shown or followed.
const SETTINGS: [(&str, &str); 14] = [
    ("advice.graftFileDeprecated", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.fsync", "none"),
    ("log.showSignature", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("protocol.allow", "never"),
    ("protocol.file.allow", "always"),
    ("init.defaultBranch", "main"),
    ("user.name", "Proctor"),
    ("user.email", "proctor@localhost"),
];

impl Git {
    /// Git at `program`, with this environment and nothing else.
    pub fn new(program: PathBuf, env: BTreeMap<String, String>) -> Self {
        Self { program, env }
    }

    /// Proctor's own git: it reads nobody's configuration, no attributes but those in a repository itself, no replacements and no grafts.
    /// `scratch` is a folder that nobody else writes to.
    pub fn own(program: PathBuf, scratch: &Path) -> Self {
        let fixed = [
            ("LANG", "C.UTF-8"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_GRAFT_FILE", "/dev/null"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_CEILING_DIRECTORIES", "/"),
        ];
        let mut env: BTreeMap<String, String> = fixed.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let beside = program.parent().map(|folder| format!("{}:", folder.display())).unwrap_or_default();
        env.insert("PATH".into(), format!("{beside}/usr/local/bin:/usr/bin:/bin"));
        env.insert("HOME".into(), scratch.display().to_string());
        env.insert("TMPDIR".into(), scratch.display().to_string());
        let mut git = Self { program, env };
        for (key, value) in SETTINGS {
            git.set(key, value);
        }
        git
    }

    /// The same git with one more setting.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.set(key, value);
        self
    }

    fn set(&mut self, key: &str, value: &str) {
        let at: usize = self.env.get("GIT_CONFIG_COUNT").and_then(|count| count.parse().ok()).unwrap_or(0);
        self.env.insert(format!("GIT_CONFIG_KEY_{at}"), key.into());
        self.env.insert(format!("GIT_CONFIG_VALUE_{at}"), value.into());
        self.env.insert("GIT_CONFIG_COUNT".into(), (at + 1).to_string());
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The environment that it runs in.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// The folder with the programs that git consists of.
    ///
    /// # Errors
    /// When git cannot be run.
    pub async fn exec_path(&self) -> Result<PathBuf, Halt> {
        let program = Program::new(&self.program, &["--exec-path"]).env(&self.env);
        Ok(PathBuf::from(String::from_utf8_lossy(&self.bytes(program).await?).trim()))
    }

    /// Makes an empty bare repository whose head is the branch `main`.
    ///
    /// # Errors
    /// When git fails.
    pub async fn init_bare(&self, origin: &Path) -> Result<(), Halt> {
        let place = origin.display().to_string();
        let args = ["init", "-q", "--bare", "--template=", "-b", "main", &place];
        self.bytes(Program::new(&self.program, &args).env(&self.env)).await.map(drop)
    }

    pub(super) fn command(&self, repository: &Path, args: &[&str]) -> Program {
        let place = format!("--git-dir={}", repository.display());
        let mut all = vec![place.as_str()];
        all.extend(args);
        let mut program = Program::new(&self.program, &all).env(&self.env).timeout(GIT_LIMIT);
        program.limit = usize::MAX;
        program
    }

    pub(super) async fn bytes(&self, program: Program) -> Result<Vec<u8>, Halt> {
        let what = format!("git {}", program.args.get(1..).unwrap_or(&[]).join(" "));
        let ended = program.run().await.map_err(|error| Halt::environment(format!("git cannot be started: {error}")))?;
        if ended.ok() {
            Ok(ended.stdout)
        } else {
            Err(Halt::harness(format!("`{what}` failed ({}): {}", ended.how(), ended.said())))
        }
    }

    /// Standard output of a git command in a repository.
    ///
    /// # Errors
    /// When git does not exit with 0.
    pub async fn run(&self, repository: &Path, args: &[&str]) -> Result<String, Halt> {
        let bytes = self.bytes(self.command(repository, args)).await?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }

    /// `git --version`.
    ///
    /// # Errors
    /// When git cannot be run.
    pub async fn version(&self) -> Result<String, Halt> {
        let program = Program::new(&self.program, &["--version"]).env(&self.env);
        let text = String::from_utf8_lossy(&self.bytes(program).await?).trim().to_owned();
        Ok(text.trim_start_matches("git version ").to_owned())
    }

    pub(crate) async fn is_ancestor(&self, repository: &Path, objects: Option<&Path>, old: &str, new: &str) -> bool {
        let mut program = self.command(repository, &["merge-base", "--is-ancestor", old, new]);
        lend(&mut program, objects);
        program.run().await.is_ok_and(|ended| ended.ok())
    }

    pub(super) async fn borrow(&self, repository: &Path, objects: Option<&Path>, args: &[&str]) -> Result<String, Halt> {
        let mut program = self.command(repository, args);
        lend(&mut program, objects);
        Ok(String::from_utf8_lossy(&self.bytes(program).await?).trim_end().to_owned())
    }

    /// Lets a bare repository keep every head that its branches have from now on.
    ///
    /// # Errors
    /// When git cannot be run or the repository cannot be written.
    pub async fn keep_reflog(&self, origin: &Path) -> Result<(), Halt> {
        self.run(origin, &["config", "core.logAllRefUpdates", "always"]).await.map(drop)
    }

    /// The commit that a branch or hash names, in a repository or the one that lends its objects.
    pub async fn resolve(&self, repository: &Path, name: &str) -> Option<String> {
        let name = format!("{name}^{{commit}}");
        self.run(repository, &["rev-parse", "--verify", "-q", &name]).await.ok().filter(|sha| !sha.is_empty())
    }

    /// Clones a bundle's target branch, with as few files and folders as make a repository: every exercise gets a copy of each. The files are
    /// written byte for byte as they were merged.
    ///
    /// # Errors
    /// When git fails.
    pub async fn clone_bundle(&self, bundle: &Path, target: &str, folder: &Path) -> Result<(), Halt> {
        let (from, to) = (bundle.display().to_string(), folder.display().to_string());
        let args = ["-c", NO_REFLOG, "clone", "-q", "--no-checkout", "--template=", "-b", target, &from, &to];
        self.bytes(Program::new(&self.program, &args).env(&self.env).timeout(GIT_LIMIT)).await?;
        let repository = folder.join(".git");
        let head = self.run(&repository, &["rev-parse", "--verify", "HEAD"]).await?;
        materialize(self, &repository, &head, folder).await?;
        self.run(&repository, &["read-tree", "HEAD"]).await?;
        // Only says which of the bundle's branches was checked out, and cannot be packed.
        _ = fs::remove_file(repository.join("refs/remotes/origin/HEAD"));
        self.bytes(self.command(&repository, &["pack-refs", "--all"])).await?;
        remove_empty_folders(&repository);
        Ok(())
    }
}

/// Git makes them again where it needs them; without `refs` it knows no repository.
fn remove_empty_folders(repository: &Path) {
    let refs = repository.join("refs");
    let folders = WalkDir::new(repository).min_depth(1).contents_first(true).into_iter().flatten();
    for folder in folders.filter(|entry| entry.file_type().is_dir() && entry.path() != refs) {
        // Refused for those that are not empty.
        _ = fs::remove_dir(folder.path());
    }
}

fn lend(program: &mut Program, objects: Option<&Path>) {
    if let Some(repository) = objects {
        program.env.insert("GIT_ALTERNATE_OBJECT_DIRECTORIES".into(), repository.join("objects").display().to_string());
    }
}

/// The head of a branch of a bare repository, read from its files: cheap enough for every look. Agents may have made these files.
pub fn head(repository: &Path, branch: &str) -> Option<String> {
    let name = format!("refs/heads/{branch}");
    if let Ok(bytes) = untrusted::read(repository, Path::new(&name)) {
        return Some(String::from_utf8_lossy(&bytes).trim().to_owned()).filter(|sha| is_name(sha));
    }
    let packed = untrusted::read(repository, Path::new("packed-refs")).ok()?;
    String::from_utf8_lossy(&packed)
        .lines()
        .find_map(|line| line.split_once(' ').filter(|(_, refname)| *refname == name))
        .map(|(sha, _)| sha.to_owned())
}

/// The shortest part of an object's name that git takes for it, and the longest name.
const NAME_LENGTHS: std::ops::RangeInclusive<usize> = 4..=64;

/// Whether a text names an object, whole or by its beginning. Git takes a text that begins with a dash for one of its options, and some of
/// these write files: nothing that an agent wrote becomes an argument otherwise.
pub(super) fn is_name(text: &str) -> bool {
    NAME_LENGTHS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Every head that a branch ever had by its reflog, oldest first, each once.
pub fn heads(repository: &Path, branch: &str) -> Vec<String> {
    let log = untrusted::read(repository, &Path::new("logs/refs/heads").join(branch)).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let both = log.lines().flat_map(|line| line.split(' ').take(2).map(str::to_owned).collect::<Vec<_>>());
    let mut seen = BTreeSet::new();
    both.filter(|sha| is_name(sha) && sha.chars().any(|c| c != '0') && seen.insert(sha.clone())).collect()
}
