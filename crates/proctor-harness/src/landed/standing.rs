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
pub(super) struct Standing {
    /// Commits of the submission's own, above what the target branch had.
    pub(super) own_commits: u32,
    /// The commit on the target branch that stands for it, and how it was recognised.
    pub(super) merged_as: Option<(String, &'static str)>,
    /// The files in which it conflicts with the target branch.
    pub(super) conflicts: Vec<String>,
}

/// A submitted commit and the branch it is for.
#[derive(Clone, Copy)]
pub(super) struct Submitted<'a> {
    pub(super) git: &'a Git,
    pub(super) origin: &'a Path,
    /// The repository that has the commit while the origin does not have it yet.
    pub(super) objects: Option<&'a Path>,
    pub(super) commit: &'a str,
    /// The head of the target branch,
    pub(super) head: &'a str,
    /// and all heads that it is known to have had, oldest first.
    pub(super) heads: &'a [String],
}

impl Submitted<'_> {
    /// How the commit stands to the branch.
    ///
    /// A commit that was on the branch before anybody could have submitted it is no work of its own: otherwise "done without a
    /// commit" would look merged.
    ///
    /// # Errors
    /// When git cannot read the repositories.
    pub(super) async fn standing(self) -> Result<Standing, Halt> {
        match self.at_once().await {
            Some(standing) => Ok(standing),
            None => self.by_parts().await,
        }
    }

    /// By a single question; absent where that is not enough.
    async fn at_once(self) -> Option<Standing> {
        let oldest = self.heads.first().map_or(self.head, String::as_str);
        let but_oldest = format!("^{oldest}");
        let mut question = vec!["rev-list", "--parents", &but_oldest, self.commit, self.head];
        question.extend(self.heads.iter().skip(1).map(String::as_str));
        let listed = self.ask(&question).await.ok()?;
        let (own_commits, reached) = Ancestry::read(oldest, &listed).own(self.commit, self.head, self.heads)?;
        Some(Standing { own_commits, merged_as: reached.map(|commit| (commit, SAME_COMMIT)), conflicts: Vec::new() })
    }

    /// By as many questions as it takes.
    async fn by_parts(self) -> Result<Standing, Halt> {
        let Self { commit, head, .. } = self;
        let base = self.ask(&["merge-base", commit, head]).await.unwrap_or_default();
        if !base.is_empty() && base.starts_with(commit) {
            return self.of_ancestor().await;
        }
        // A commit that neither repository has (its branch was never shown to either) cannot have been merged.
        if base.is_empty() && self.ask(&["cat-file", "-e", &format!("{commit}^{{commit}}")]).await.is_err() {
            return Ok(Standing::default());
        }
        let range = |tip: &str| if base.is_empty() { tip.to_owned() } else { format!("{base}..{tip}") };
        let (own, there) = (range(commit), range(head));
        let count = ["rev-list", "--count", "--no-merges", &own];
        // At the same time: on a busy machine each of them waits for a core.
        let (count, own, there) = tokio::try_join!(self.ask(&count), self.patch_ids(&own), self.patch_ids(&there))?;
        let mut twin = own.last().and_then(|(id, _)| find(&there, id));
        if !own.iter().all(|(id, _)| find(&there, id).is_some()) {
            twin = self.whole_change(&base).await?.and_then(|id| find(&there, &id));
        }
        let conflicts = if twin.is_some() { Vec::new() } else { self.conflicts().await };
        let merged_as = twin.map(|sha| (sha, SAME_CHANGE));
        Ok(Standing { own_commits: count.parse().unwrap_or(0), merged_as, conflicts })
    }

    async fn of_ancestor(self) -> Result<Standing, Halt> {
        let commit = self.commit;
        let mut own_commits = 0;
        for head in self.heads.iter().take_while(|head| !head.starts_with(commit)) {
            let new = self.ask(&["rev-list", "--count", &format!("{head}..{commit}")]).await?;
            match new.parse().unwrap_or(0) {
                0 => break,
                count => own_commits = count,
            }
        }
        let merged_as = (own_commits > 0).then(|| (commit.to_owned(), SAME_COMMIT));
        Ok(Standing { own_commits, merged_as, conflicts: Vec::new() })
    }

    async fn ask(self, question: &[&str]) -> Result<String, Halt> {
        self.git.borrow(self.origin, self.objects, question).await
    }

    /// The files in which the commit and the branch conflict; none when they do not, or when git is older than 2.38. The trees that git
    /// makes to find out lie in the run's temporary folder: no repository is written to.
    async fn conflicts(self) -> Vec<String> {
        let Some(folder) = self.git.env.get("TMPDIR").map(|folder| format!("{folder}/merge-objects")) else { return Vec::new() };
        if fs::create_dir_all(&folder).is_err() {
            return Vec::new();
        }
        let question = ["merge-tree", "--write-tree", "--name-only", "--no-messages", self.head, self.commit];
        let mut program = self.git.command(self.origin, &question);
        let read: Vec<String> =
            [Some(self.origin), self.objects].into_iter().flatten().map(|at| at.join("objects").display().to_string()).collect();
        program.env.insert("GIT_OBJECT_DIRECTORY".into(), folder);
        program.env.insert("GIT_ALTERNATE_OBJECT_DIRECTORIES".into(), read.join(":"));
        let Ok(ended) = program.run().await else { return Vec::new() };
        // Its first line is the tree.
        if ended.code == Some(1) { ended.out().lines().skip(1).map(str::to_owned).collect() } else { Vec::new() }
    }

    /// Patch ids of a range's commits with the commits, oldest first. Commits without a change have none.
    async fn patch_ids(self, range: &str) -> Result<Vec<(String, String)>, Halt> {
        let log = self.ask(&["log", "-p", "--reverse", "--no-merges", "--no-color", range]).await?;
        self.ids_of(log).await
    }

    async fn whole_change(self, base: &str) -> Result<Option<String>, Halt> {
        if base.is_empty() {
            return Ok(None);
        }
        let diff = self.ask(&["diff", "--no-color", base, self.commit]).await?;
        Ok(self.ids_of(diff).await?.into_iter().next().map(|(id, _)| id))
    }

    async fn ids_of(self, mut patch: String) -> Result<Vec<(String, String)>, Halt> {
        patch.push('\n');
        let mut program = self.git.command(self.origin, &["patch-id", "--stable"]);
        program.stdin = Some(patch.into_bytes());
        let out = self.git.bytes(program).await?;
        let text = String::from_utf8_lossy(&out).into_owned();
        Ok(text.lines().filter_map(|line| line.split_once(' ')).map(|(id, sha)| (id.to_owned(), sha.to_owned())).collect())
    }
}

fn find(there: &[(String, String)], id: &str) -> Option<String> {
    there.iter().rev().find(|(other, _)| other == id).map(|(_, sha)| sha.clone())
}
