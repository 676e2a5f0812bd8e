//! What git says: heads of origins, what they hold, bundles and trees.
//!
//! Only plumbing with stable output. The base directory's `.gitconfig` keeps reflogs in bare repositories, so that every head
//! that an origin's branch ever had is known even when nobody looked at that moment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proctor_judge::evidence::{Commit, GitFile, RigGit};
use walkdir::WalkDir;

use crate::digest::sha256;
use crate::halt::Halt;
use crate::process::Program;
use crate::short_file;

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
pub const GITCONFIG: &str = "[user]\n\tname = Proctor\n\temail = proctor@localhost\n[init]\n\tdefaultBranch = main\n\ttemplateDir =\n[core]\n\tlogAllRefUpdates = always\n\tfsync = none\n[advice]\n\tdetachedHead = false\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[protocol \"file\"]\n\tallow = always\n";

impl Git {
    /// Git at `program`, with this environment and nothing else.
    pub fn new(program: PathBuf, env: BTreeMap<String, String>) -> Self {
        Self { program, env }
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

    /// Makes a bare repository whose `main` has one first commit. An existing one is left as it is.
    ///
    /// # Errors
    /// When git fails.
    pub async fn seed_origin(&self, origin: &Path, rig: &str) -> Result<(), Halt> {
        if origin.exists() {
            return Ok(());
        }
        let place = origin.display().to_string();
        self.bytes(Program::new(&self.program, &["init", "-q", "--bare", "-b", "main", &place]).env(&self.env)).await?;
        let mut tree = self.command(origin, &["mktree"]);
        tree.stdin = Some(Vec::new());
        let tree = String::from_utf8_lossy(&self.bytes(tree).await?).trim().to_owned();
        let message = format!("First commit of {rig}");
        let commit = self.run(origin, &["commit-tree", &tree, "-m", &message]).await?;
        self.run(origin, &["update-ref", "refs/heads/main", &commit]).await.map(drop)
    }

    async fn is_ancestor(&self, repository: &Path, objects: Option<&Path>, old: &str, new: &str) -> bool {
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

    /// What a rig's origin holds.
    ///
    /// # Errors
    /// When git cannot read the repository; a missing one is an empty answer.
    pub async fn rig(&self, origin: &Path, rig: &str, target: &str) -> Result<RigGit, Halt> {
        let mut answer = RigGit {
            rig: rig.into(),
            target: target.into(),
            head: None,
            commits: Vec::new(),
            files: Vec::new(),
            branches: BTreeMap::new(),
            rewound: Vec::new(),
        };
        if !origin.is_dir() {
            return Ok(answer);
        }
        let refs = self.run(origin, &["for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads"]).await?;
        answer.branches =
            refs.lines().filter_map(|line| line.rsplit_once(' ')).map(|(name, sha)| (name.to_owned(), sha.to_owned())).collect();
        answer.head = answer.branches.remove(target);
        if let Some(head) = answer.head.clone() {
            answer.commits = self.commits(origin, &head).await?;
            answer.files = self.files(origin, &head).await?;
            for old in heads(origin, target) {
                if old != head && !answer.rewound.contains(&old) && !self.is_ancestor(origin, None, &old, &head).await {
                    answer.rewound.push(old);
                }
            }
        }
        Ok(answer)
    }

    async fn commits(&self, origin: &Path, head: &str) -> Result<Vec<Commit>, Halt> {
        let log = self
            .run(origin, &["log", "--name-only", "-z", "--no-color", "--format=%x01%H%x02%an%x02%ae%x02%aI%x02%s%x02", head])
            .await?;
        Ok(log.split('\x01').filter_map(parse_commit).collect())
    }

    async fn files(&self, origin: &Path, head: &str) -> Result<Vec<GitFile>, Halt> {
        let list = self.run(origin, &["ls-tree", "-r", "-l", "-z", head]).await?;
        let mut files = Vec::new();
        for (about, path) in list.split('\0').filter_map(|entry| entry.split_once('\t')) {
            if let [mode, kind, object, size] = about.split_whitespace().collect::<Vec<_>>()[..] {
                let content = if kind == "blob" {
                    self.bytes(self.command(origin, &["cat-file", "blob", object])).await?
                } else {
                    Vec::new()
                };
                files.push(GitFile {
                    path: path.into(),
                    mode: mode.into(),
                    size: size.parse().unwrap_or(0),
                    sha256: sha256(&content),
                });
            }
        }
        Ok(files)
    }

    /// Writes the whole history of an origin as a bundle, and the tree of its target branch as plain files.
    ///
    /// # Errors
    /// When git or the disk refuses. An origin without the branch leaves nothing.
    pub async fn keep(&self, origin: &Path, target: &str, bundle: &Path, tree: &Path) -> Result<(), Halt> {
        fs::create_dir_all(tree).map_err(|error| Halt::io("make", tree, &error))?;
        if head(origin, target).is_none() {
            return Ok(());
        }
        let place = bundle.display().to_string();
        self.run(origin, &["bundle", "create", "-q", &place, "--all"]).await?;
        self.clone_tree(origin, target, tree).await
    }

    async fn clone_tree(&self, origin: &Path, target: &str, tree: &Path) -> Result<(), Halt> {
        let work = format!("--work-tree={}", tree.display());
        let index = tree.with_extension("index");
        let mut program = self.command(origin, &[&work, "read-tree", &format!("refs/heads/{target}")]);
        program.env.insert("GIT_INDEX_FILE".into(), index.display().to_string());
        self.bytes(program).await?;
        let mut program = self.command(origin, &[&work, "checkout-index", "-a", "-f"]);
        program.env.insert("GIT_INDEX_FILE".into(), index.display().to_string());
        program.cwd = Some(tree.to_owned());
        self.bytes(program).await?;
        fs::remove_file(&index).map_err(|error| Halt::io("remove", &index, &error))
    }

    /// Clones a bundle's target branch, with as few files and folders as make a repository: every exercise gets a copy of each.
    ///
    /// # Errors
    /// When git fails.
    pub async fn clone_bundle(&self, bundle: &Path, target: &str, folder: &Path) -> Result<(), Halt> {
        let (from, to) = (bundle.display().to_string(), folder.display().to_string());
        let program = Program::new(&self.program, &["-c", NO_REFLOG, "clone", "-q", "--template=", "-b", target, &from, &to])
            .env(&self.env)
            .timeout(GIT_LIMIT);
        self.bytes(program).await?;
        let repository = folder.join(".git");
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

fn parse_commit(entry: &str) -> Option<Commit> {
    let mut fields = entry.splitn(6, '\x02');
    let mut next = || fields.next().map(str::to_owned);
    let (sha, author, email, at, subject) = (next()?, next()?, next()?, next()?, next()?);
    let files = next()?.split(['\0', '\n']).filter(|path| !path.is_empty()).map(str::to_owned).collect();
    Some(Commit { sha, author, email, at: at.parse::<chrono::DateTime<chrono::FixedOffset>>().ok()?.into(), subject, files })
}

/// The head of a branch of a bare repository, read from its files: cheap enough for every look.
pub fn head(repository: &Path, branch: &str) -> Option<String> {
    let name = format!("refs/heads/{branch}");
    if let Some(text) = short_file::read::<128>(&repository.join(&name)) {
        return Some(text.trim().to_owned()).filter(|sha| sha.len() >= 40);
    }
    let packed = fs::read_to_string(repository.join("packed-refs")).ok()?;
    packed.lines().find_map(|line| line.split_once(' ').filter(|(_, refname)| *refname == name)).map(|(sha, _)| sha.to_owned())
}

/// Every head that a branch ever had by its reflog, oldest first, each once.
pub fn heads(repository: &Path, branch: &str) -> Vec<String> {
    let log = fs::read_to_string(repository.join("logs/refs/heads").join(branch)).unwrap_or_default();
    let both = log.lines().flat_map(|line| line.split(' ').take(2).map(str::to_owned).collect::<Vec<_>>());
    let mut seen = BTreeSet::new();
    both.filter(|sha| sha.chars().any(|c| c != '0') && seen.insert(sha.clone())).collect()
}
