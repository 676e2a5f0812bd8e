//! What a rig's origin holds at the end, and what of it is kept: commits, files, bundle.

use std::collections::BTreeMap;
use std::fs;
use std::io::BufRead;
use std::path::Path;

use proctor_judge::evidence::{Commit, GitFile, RigGit};

use super::commit::Parsed;
use super::git::Git;
use super::keep::{Links, keep};
use super::objects::{Ask, Kind, Objects};
use super::piped::Piped;
use super::touched::touched;
use super::tree;
use crate::halt::Halt;

/// The most commits that are read.
const COMMITS: usize = 20_000;
/// The largest commit object that is read.
const COMMIT_BYTES: u64 = 1 << 20;

/// What is collected of an origin.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The bare repository.
    pub origin: &'a Path,
    /// The rig.
    pub rig: &'a str,
    /// The branch that work is merged to.
    pub target: &'a str,
    /// All heads that this branch is known to have had.
    pub heads: &'a [String],
    /// Other branches whose history is kept, where they are there.
    pub branches: &'a [String],
    /// Where the bundle goes.
    pub bundle: &'a Path,
    /// The folder for the files of the target branch.
    pub tree: &'a Path,
}

impl Git {
    /// Reads and keeps what an origin holds. A missing one is an empty answer.
    ///
    /// # Errors
    /// When git cannot read the repository, or the disk refuses.
    pub async fn collect(&self, wanted: Wanted<'_>) -> Result<RigGit, Halt> {
        let Wanted { origin, rig, target, .. } = wanted;
        let mut answer = RigGit::empty(rig, target);
        fs::create_dir_all(wanted.tree).map_err(|error| Halt::io("make", wanted.tree, &error))?;
        if !origin.is_dir() {
            return Ok(answer);
        }
        answer.branches = self.branches(origin).await?;
        answer.head = answer.branches.remove(target);
        let Some(head) = answer.head.clone() else { return Ok(answer) };
        let (git, at, tree, of) = (self.clone(), origin.to_owned(), wanted.tree.to_owned(), head.clone());
        let reading = tokio::task::spawn_blocking(move || read(&git, &at, &of, &tree));
        let Collected { commits, files, cut } = reading.await.map_err(|error| Halt::harness(error.to_string()))??;
        (answer.commits, answer.files, answer.cut) = (commits, files, cut);
        for old in wanted.heads {
            if *old != head && !answer.rewound.contains(old) && !self.is_ancestor(origin, None, old, &head).await {
                answer.rewound.push(old.clone());
            }
        }
        self.bundle(wanted, &head, &answer.branches).await?;
        Ok(answer)
    }

    async fn branches(&self, origin: &Path) -> Result<BTreeMap<String, String>, Halt> {
        let refs = self.run(origin, &["for-each-ref", "--format=%(objectname) %(refname)", "refs/heads"]).await?;
        let named = |line: &str| {
            let (sha, name) = line.split_once(' ')?;
            Some((name.strip_prefix("refs/heads/")?.to_owned(), sha.to_owned()))
        };
        Ok(refs.lines().filter_map(named).collect())
    }

    /// Only what work is: other refs may be of any kind and number. Made in a repository of its own that borrows the origin's objects, so
    /// that a ref which somebody moves meanwhile is of no concern.
    async fn bundle(&self, wanted: Wanted<'_>, head: &str, there: &BTreeMap<String, String>) -> Result<(), Halt> {
        let making = wanted.bundle.with_extension("making");
        self.init_bare(&making).await?;
        let alternates = making.join("objects/info/alternates");
        let objects = wanted.origin.join("objects");
        let written = fs::create_dir_all(making.join("objects/info"))
            .and_then(|()| fs::write(&alternates, format!("{}\n", objects.display())));
        written.map_err(|error| Halt::io("write", &alternates, &error))?;
        let submitted = wanted.branches.iter().filter_map(|branch| there.get_key_value(branch));
        let refs: BTreeMap<&str, &str> =
            submitted.map(|(name, id)| (name.as_str(), id.as_str())).chain([(wanted.target, head)]).collect();
        for (name, id) in &refs {
            self.run(&making, &["update-ref", &format!("refs/heads/{name}"), id]).await?;
        }
        let place = wanted.bundle.display().to_string();
        self.run(&making, &["bundle", "create", "-q", &place, "--branches"]).await?;
        fs::remove_dir_all(&making).map_err(|error| Halt::io("remove", &making, &error))
    }
}

struct Collected {
    commits: Vec<Commit>,
    files: Vec<GitFile>,
    cut: Vec<String>,
}

fn read(git: &Git, origin: &Path, head: &str, tree: &Path) -> Result<Collected, Halt> {
    let mut cut = Vec::new();
    let (commits, root) = commits(git, origin, head, &mut cut)?;
    let mut files = Vec::new();
    if let Some(root) = root {
        let mut objects = Objects::open(git, origin, Ask::Contents)?;
        let listing = tree::list(&mut objects, &root)?;
        cut.extend(listing.cut);
        files = keep(git, origin, &listing.entries, tree, Links::Recorded)?;
    }
    Ok(Collected { commits, files, cut })
}

/// The commits of a branch, newest first, and the tree of the first.
fn commits(git: &Git, origin: &Path, head: &str, cut: &mut Vec<String>) -> Result<(Vec<Commit>, Option<String>), Halt> {
    let ids = listed(git, origin, head, cut)?;
    let touched = touched(git, origin, &ids, cut)?;
    let mut heads = Vec::with_capacity(ids.len());
    Objects::open(git, origin, Ask::Heads)?.each(&ids, |_, head, _| {
        heads.push(head.is_some_and(|head| head.kind == Kind::Commit && head.size <= COMMIT_BYTES));
        Ok(())
    })?;
    let (small, large): (Vec<(String, Vec<String>)>, Vec<_>) = {
        let (small, large): (Vec<_>, Vec<_>) = ids.into_iter().zip(touched).zip(heads).partition(|(_, is_small)| *is_small);
        (small.into_iter().map(|(commit, _)| commit).collect(), large)
    };
    if !large.is_empty() {
        cut.push(format!("{} commits are larger than {} KiB each; they were not read", large.len(), COMMIT_BYTES >> 10));
    }
    let (names, mut files): (Vec<String>, Vec<Vec<String>>) = small.into_iter().unzip();
    let (mut commits, mut root) = (Vec::with_capacity(names.len()), None);
    Objects::open(git, origin, Ask::Contents)?.each(&names, |at, _, content| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(|error| Halt::io("read", origin, &error))?;
        if let Some(parsed) = Parsed::read(&bytes) {
            root = root.take().or_else(|| (names[at] == head).then(|| parsed.tree.clone()));
            commits.push(parsed.into_commit(names[at].clone(), std::mem::take(&mut files[at])));
        }
        Ok(())
    })?;
    Ok((commits, root))
}

/// The names of a branch's commits, newest first.
fn listed(git: &Git, origin: &Path, head: &str, cut: &mut Vec<String>) -> Result<Vec<String>, Halt> {
    let most = format!("--max-count={}", COMMITS + 1);
    let mut rev_list = Piped::start(git, origin, &["rev-list", &most, head])?;
    let mut ids = Vec::new();
    let mut line = String::new();
    while rev_list.answers.read_line(&mut line).map_err(|error| rev_list.broken(&error))? > 0 {
        ids.push(line.trim_end().to_owned());
        line.clear();
    }
    if ids.len() > COMMITS {
        ids.truncate(COMMITS);
        cut.push(format!("there are more than {COMMITS} commits; older ones were not read"));
    }
    Ok(ids)
}
