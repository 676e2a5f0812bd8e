//! Putting a submission on top of its target, in a bare repository: no file is checked out, no filter, driver or hook runs.
//!
//! Commits are made again one by one as `git rebase` would: author and message stay byte for byte, the refinery commits.

use crate::error::{Result, TownError, refused};
use crate::git::Git;

/// How it went.
pub(super) enum Rebased {
    /// The commit to push.
    Onto(String),
    /// These files could not be merged.
    Conflict(Vec<String>),
}

/// A commit, as git keeps it.
struct Commit {
    tree: String,
    parent: Option<String>,
    author: Vec<u8>,
    encoding: Option<Vec<u8>>,
    message: Vec<u8>,
}

/// Puts the commits of `head` that `upstream` lacks on top of it; `committer` is the line that git writes for whoever merges.
pub(super) fn rebase(git: &Git<'_>, upstream: &str, head: &str, committer: &str) -> Result<Rebased> {
    if git.verdict(&["merge-base", "--is-ancestor", upstream, head])?.0 {
        return Ok(Rebased::Onto(head.to_string()));
    }
    let range = format!("{upstream}...{head}");
    let list =
        git.run(&["rev-list", "--reverse", "--topo-order", "--no-merges", "--right-only", "--cherry-pick", &range, "--"])?;
    let mut onto = git.run(&["rev-parse", "--verify", &format!("{upstream}^{{commit}}")])?;
    for id in list.lines() {
        let commit = read(git, id)?;
        match pick(git, &onto, id, &commit, committer)? {
            Rebased::Onto(next) => onto = next,
            conflict => return Ok(conflict),
        }
    }
    Ok(Rebased::Onto(onto))
}

/// One commit on top of another: the change that it makes to its parent, made to `onto`.
fn pick(git: &Git<'_>, onto: &str, id: &str, commit: &Commit, committer: &str) -> Result<Rebased> {
    let onto_tree = git.run(&["rev-parse", "--verify", &format!("{onto}^{{tree}}")])?;
    let base = match &commit.parent {
        Some(parent) => parent.clone(),
        None => write(git, &empty_tree(git)?, None, committer, None, b"nothing\n", committer)?,
    };
    // `git merge-tree` looks for the base by itself: a commit with the tree of `onto` and the parent of the picked one has
    // that parent in common with it.
    let ours = write(git, &onto_tree, Some(&base), committer, None, b"onto\n", committer)?;
    let theirs = match commit.parent {
        Some(_) => id.to_string(),
        None => write(git, &commit.tree, Some(&base), committer, None, b"root\n", committer)?,
    };
    let (clean, printed) = git.verdict(&["merge-tree", "--write-tree", "--name-only", "--no-messages", &ours, &theirs])?;
    let mut lines = printed.lines();
    let tree = lines.next().unwrap_or_default().to_string();
    if !clean {
        return Ok(Rebased::Conflict(lines.filter(|line| !line.is_empty()).map(str::to_string).collect()));
    }
    let base_tree = git.run(&["rev-parse", "--verify", &format!("{base}^{{tree}}")])?;
    if tree == onto_tree && commit.tree != base_tree {
        // All of it is there already.
        return Ok(Rebased::Onto(onto.to_string()));
    }
    let author = String::from_utf8_lossy(&commit.author).into_owned();
    let made = write_bytes(git, &tree, Some(onto), &commit.author, committer, commit.encoding.as_deref(), &commit.message);
    made.map(Rebased::Onto).map_err(|error| TownError::Refused {
        message: format!("{id} by {author} cannot be committed again: {error}"),
        hint: None,
    })
}

fn empty_tree(git: &Git<'_>) -> Result<String> {
    git.run(&["hash-object", "-t", "tree", "-w", "/dev/null"])
}

fn read(git: &Git<'_>, id: &str) -> Result<Commit> {
    let raw = git.bytes(&["cat-file", "commit", id], &[])?;
    let Some(end) = raw.windows(2).position(|pair| pair == b"\n\n") else { return refused(format!("{id} has no message")) };
    let (head, message) = (&raw[..end], raw[end + 2..].to_vec());
    let field = |name: &str| {
        let lead = format!("{name} ").into_bytes();
        head.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(lead.as_slice()).map(<[u8]>::to_vec))
    };
    let text = |name: &str| field(name).map(|value| String::from_utf8_lossy(&value).into_owned());
    let (Some(tree), Some(author)) = (text("tree"), field("author")) else { return refused(format!("{id} is no commit")) };
    Ok(Commit { tree, parent: text("parent"), author, encoding: field("encoding"), message })
}

fn write(
    git: &Git<'_>,
    tree: &str,
    parent: Option<&str>,
    author: &str,
    encoding: Option<&[u8]>,
    message: &[u8],
    committer: &str,
) -> Result<String> {
    write_bytes(git, tree, parent, author.as_bytes(), committer, encoding, message)
}

fn write_bytes(
    git: &Git<'_>,
    tree: &str,
    parent: Option<&str>,
    author: &[u8],
    committer: &str,
    encoding: Option<&[u8]>,
    message: &[u8],
) -> Result<String> {
    let mut raw = format!("tree {tree}\n").into_bytes();
    if let Some(parent) = parent {
        raw.extend_from_slice(format!("parent {parent}\n").as_bytes());
    }
    raw.extend_from_slice(b"author ");
    raw.extend_from_slice(author);
    raw.extend_from_slice(format!("\ncommitter {committer}\n").as_bytes());
    if let Some(encoding) = encoding {
        raw.extend_from_slice(b"encoding ");
        raw.extend_from_slice(encoding);
        raw.push(b'\n');
    }
    raw.push(b'\n');
    raw.extend_from_slice(message);
    let id = git.bytes(&["hash-object", "-t", "commit", "-w", "--stdin"], &raw)?;
    Ok(String::from_utf8_lossy(&id).trim().to_string())
}
