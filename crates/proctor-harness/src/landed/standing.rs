//! How a submitted commit stands to a target branch: whether it or its twin is on it, and if not, why it cannot be.

use std::fs;
use std::path::Path;

use super::ancestry::Ancestry;
use super::git::Git;
use crate::halt::Halt;

/// How a commit was recognised on a branch: by itself,
const SAME_COMMIT: &str = "same commit";
/// or by one that changes the same.
const SAME_CHANGE: &str = "same change (patch id)";

/// How a submitted commit stands to a target branch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Commits of the submission's own, above what the target branch had.
    pub own_commits: u32,
    /// The commit on the target branch that stands for it, and how it was recognised.
    pub merged_as: Option<(String, &'static str)>,
    /// The files in which it conflicts with the target branch.
    pub conflicts: Vec<String>,
}

impl Git {
    /// How `commit` stands to a target branch with this `head` and these earlier heads (oldest first). `objects` is the
    /// repository that has the commit while the origin does not have it yet.
    ///
    /// A commit that was on the branch before anybody could have submitted it is no work of its own: otherwise "done without a
    /// commit" would look merged.
    ///
    /// # Errors
    /// When git cannot read the repositories.
    pub async fn standing(
        &self,
        origin: &Path,
        objects: Option<&Path>,
        commit: &str,
        head: &str,
        heads: &[String],
    ) -> Result<Standing, Halt> {
        if let Some(standing) = self.standing_at_once(origin, objects, commit, head, heads).await {
            return Ok(standing);
        }
        self.standing_by_parts(origin, objects, commit, head, heads).await
    }

    /// [`Git::standing`] by as many questions as it takes.
    async fn standing_by_parts(
        &self,
        origin: &Path,
        objects: Option<&Path>,
        commit: &str,
        head: &str,
        heads: &[String],
    ) -> Result<Standing, Halt> {
        let base = self.borrow(origin, objects, &["merge-base", commit, head]).await.unwrap_or_default();
        if !base.is_empty() && base.starts_with(commit) {
            return self.standing_of_ancestor(origin, objects, commit, heads).await;
        }
        // A commit that neither repository has (its branch was never shown to either) cannot have been merged.
        if base.is_empty() && self.borrow(origin, objects, &["cat-file", "-e", &format!("{commit}^{{commit}}")]).await.is_err() {
            return Ok(Standing::default());
        }
        let range = |tip: &str| if base.is_empty() { tip.to_owned() } else { format!("{base}..{tip}") };
        if base == head {
            let count = self.borrow(origin, objects, &["rev-list", "--count", "--no-merges", &range(commit)]).await?;
            return Ok(Standing { own_commits: count.parse().unwrap_or(0), ..Standing::default() });
        }
        let (own, there) = (range(commit), range(head));
        let count = ["rev-list", "--count", "--no-merges", &own];
        // At the same time: on a busy machine each of them waits for a core.
        let (count, own, there) = tokio::try_join!(
            self.borrow(origin, objects, &count),
            self.patch_ids(origin, objects, &own),
            self.patch_ids(origin, objects, &there),
        )?;
        let mut twin = own.last().and_then(|(id, _)| find(&there, id));
        if !own.iter().all(|(id, _)| find(&there, id).is_some()) {
            twin = self.whole_change(origin, objects, &base, commit).await?.and_then(|id| find(&there, &id));
        }
        let conflicts = if twin.is_some() { Vec::new() } else { self.conflicts(origin, objects, head, commit).await };
        let merged_as = twin.map(|sha| (sha, SAME_CHANGE));
        Ok(Standing { own_commits: count.parse().unwrap_or(0), merged_as, conflicts })
    }

    /// [`Git::standing`] by a single question; absent where that is not enough.
    async fn standing_at_once(
        &self,
        origin: &Path,
        objects: Option<&Path>,
        commit: &str,
        head: &str,
        heads: &[String],
    ) -> Option<Standing> {
        let (oldest, later) = heads.split_first()?;
        let but_oldest = format!("^{oldest}");
        let mut question = vec!["rev-list", "--parents", &but_oldest, commit, head];
        question.extend(later.iter().map(String::as_str));
        let listed = self.borrow(origin, objects, &question).await.ok()?;
        let (own_commits, reached) = Ancestry::read(oldest, &listed).own(commit, head, heads)?;
        Some(Standing { own_commits, merged_as: reached.map(|commit| (commit, SAME_COMMIT)), conflicts: Vec::new() })
    }

    /// The files in which two commits conflict; none when they do not, or when git is older than 2.38. The trees that git makes to find out
    /// lie in the run's temporary folder: no repository is written to.
    async fn conflicts(&self, origin: &Path, objects: Option<&Path>, head: &str, commit: &str) -> Vec<String> {
        let Some(folder) = self.env.get("TMPDIR").map(|folder| format!("{folder}/merge-objects")) else { return Vec::new() };
        if fs::create_dir_all(&folder).is_err() {
            return Vec::new();
        }
        let mut program = self.command(origin, &["merge-tree", "--write-tree", "--name-only", "--no-messages", head, commit]);
        let read: Vec<String> =
            [Some(origin), objects].into_iter().flatten().map(|at| at.join("objects").display().to_string()).collect();
        program.env.insert("GIT_OBJECT_DIRECTORY".into(), folder);
        program.env.insert("GIT_ALTERNATE_OBJECT_DIRECTORIES".into(), read.join(":"));
        let Ok(ended) = program.run().await else { return Vec::new() };
        // Its first line is the tree.
        if ended.code == Some(1) { ended.out().lines().skip(1).map(str::to_owned).collect() } else { Vec::new() }
    }

    async fn standing_of_ancestor(
        &self,
        origin: &Path,
        objects: Option<&Path>,
        commit: &str,
        heads: &[String],
    ) -> Result<Standing, Halt> {
        let mut own_commits = 0;
        for head in heads.iter().take_while(|head| !head.starts_with(commit)) {
            let new = self.borrow(origin, objects, &["rev-list", "--count", &format!("{head}..{commit}")]).await?;
            match new.parse().unwrap_or(0) {
                0 => break,
                count => own_commits = count,
            }
        }
        let merged_as = (own_commits > 0).then(|| (commit.to_owned(), SAME_COMMIT));
        Ok(Standing { own_commits, merged_as, conflicts: Vec::new() })
    }

    /// Patch ids of a range's commits with the commits, oldest first. Commits without a change have none.
    async fn patch_ids(&self, repository: &Path, objects: Option<&Path>, range: &str) -> Result<Vec<(String, String)>, Halt> {
        let log = self.borrow(repository, objects, &["log", "-p", "--reverse", "--no-merges", "--no-color", range]).await?;
        self.ids_of(repository, log).await
    }

    async fn whole_change(
        &self,
        repository: &Path,
        objects: Option<&Path>,
        base: &str,
        commit: &str,
    ) -> Result<Option<String>, Halt> {
        if base.is_empty() {
            return Ok(None);
        }
        let diff = self.borrow(repository, objects, &["diff", "--no-color", base, commit]).await?;
        Ok(self.ids_of(repository, diff).await?.into_iter().next().map(|(id, _)| id))
    }

    async fn ids_of(&self, repository: &Path, mut patch: String) -> Result<Vec<(String, String)>, Halt> {
        patch.push('\n');
        let mut program = self.command(repository, &["patch-id", "--stable"]);
        program.stdin = Some(patch.into_bytes());
        let out = self.bytes(program).await?;
        let text = String::from_utf8_lossy(&out).into_owned();
        Ok(text.lines().filter_map(|line| line.split_once(' ')).map(|(id, sha)| (id.to_owned(), sha.to_owned())).collect())
    }
}

fn find(there: &[(String, String)], id: &str) -> Option<String> {
    there.iter().rev().find(|(other, _)| other == id).map(|(_, sha)| sha.clone())
}
