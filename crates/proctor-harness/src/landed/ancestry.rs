//! How commits stand to each other, from one question to git about all that came since the oldest head of a branch.
//!
//! A worker's commit that is only ahead of the branch, or that the branch has reached, is nearly every commit that is asked about; each
//! git that need not be started for it is a change that is told sooner on a busy machine.

use std::collections::{BTreeMap, BTreeSet};

/// How many commits are a submission's own, above what the branch had, and its full name once the branch has reached it.
pub(super) type Own = (u32, Option<String>);

/// The commits that are not reachable from the oldest head of a branch, each with its parents.
pub(super) struct Ancestry<'a> {
    oldest: &'a str,
    parents: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Ancestry<'a> {
    /// Reads what `git rev-list --parents … ^oldest` prints.
    pub(super) fn read(oldest: &'a str, listed: &'a str) -> Self {
        let commit = |line: &'a str| {
            let mut names = line.split_whitespace();
            Some((names.next()?, names.collect()))
        };
        Self { oldest, parents: listed.lines().filter_map(commit).collect() }
    }

    /// What of `commit`, which may be abbreviated, is its own on top of the branch with this `head` and these earlier heads, oldest first.
    /// Absent where it takes more to tell: the two have gone apart, or some commit does not descend from the oldest head.
    pub(super) fn own(&self, commit: &str, head: &str, heads: &[String]) -> Option<Own> {
        let on_branch = self.since(head)?;
        let Some(full) = self.parents.keys().copied().find(|name| name.starts_with(commit)) else {
            // It was there before anybody could have submitted it.
            return Some((0, None));
        };
        let own = self.since(full)?;
        if on_branch.contains(full) {
            return self.merged(full, &own, heads);
        }
        let is_ahead = head == self.oldest || own.contains(head);
        let is_no_merge = |name: &&&str| self.parents.get(**name).is_some_and(|parents| parents.len() < 2);
        let own_commits = own.difference(&on_branch).filter(is_no_merge).count();
        is_ahead.then(|| (own_commits.try_into().unwrap_or(u32::MAX), None))
    }

    fn merged(&self, commit: &str, own: &BTreeSet<&str>, heads: &[String]) -> Option<Own> {
        let mut own_commits = 0;
        for head in heads.iter().take_while(|head| *head != commit) {
            match own.difference(&self.since(head)?).count() {
                0 => break,
                count => own_commits = count,
            }
        }
        Some((own_commits.try_into().unwrap_or(u32::MAX), (own_commits > 0).then(|| commit.to_owned())))
    }

    /// What is reachable from a commit and came after the oldest head; absent unless the commit descends from that.
    fn since(&self, commit: &str) -> Option<BTreeSet<&'a str>> {
        let mut reached = BTreeSet::new();
        let mut descends = commit == self.oldest;
        let mut next: Vec<&str> = vec![commit];
        while let Some(name) = next.pop() {
            let Some((name, parents)) = self.parents.get_key_value(name) else { continue };
            if reached.insert(*name) {
                descends |= parents.contains(&self.oldest);
                next.extend(parents);
            }
        }
        descends.then_some(reached)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn own(listed: &str, commit: &str, heads: &[&str]) -> Option<Own> {
        let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
        Ancestry::read("seed", listed).own(commit, heads.last().unwrap(), &heads)
    }

    fn merged(commit: &str, own_commits: u32) -> Option<Own> {
        Some((own_commits, Some(commit.to_owned())))
    }

    fn ahead(own_commits: u32) -> Option<Own> {
        Some((own_commits, None))
    }

    #[test]
    fn a_commit_ahead_of_the_branch_counts_its_own_commits_without_merges() {
        assert_eq!(own("a2 a1\na1 seed\n", "a2", &["seed"]), ahead(2));
        assert_eq!(own("a2 a1\na1 seed\n", "a2", &["seed", "a1"]), ahead(1));
        assert_eq!(own("m a1 b1\nb1 seed\na1 seed\n", "m", &["seed", "b1"]), ahead(1));
    }

    #[test]
    fn a_commit_that_the_branch_has_reached_is_merged_with_what_was_new_about_it() {
        assert_eq!(own("a2 a1\na1 seed\n", "a2", &["seed", "a2"]), merged("a2", 2));
        assert_eq!(own("m b1 a2\na2 a1\na1 seed\nb1 seed\n", "a2", &["seed", "b1", "m"]), merged("a2", 2));
        // The branch had its first commit already when the second came.
        assert_eq!(own("a2 a1\na1 seed\n", "a2", &["seed", "a1", "a2"]), merged("a2", 1));
    }

    #[test]
    fn a_commit_may_be_abbreviated() {
        assert_eq!(own("abcdef seed\n", "abcd", &["seed", "abcdef"]), merged("abcdef", 1));
    }

    #[test]
    fn what_the_branch_had_from_the_beginning_is_nobodys_work() {
        assert_eq!(own("", "seed", &["seed"]), ahead(0));
        assert_eq!(own("a1 seed\n", "older", &["seed", "a1"]), ahead(0));
    }

    #[test]
    fn what_has_gone_apart_or_does_not_descend_from_the_oldest_head_takes_more_to_tell() {
        assert_eq!(own("a1 seed\nb1 seed\n", "a1", &["seed", "b1"]), None);
        assert_eq!(own("a1 root\n", "a1", &["seed"]), None, "from before the oldest head");
        assert_eq!(own("a1 seed\nx\n", "a1", &["seed", "x"]), None, "the branch was replaced");
        assert_eq!(own("a1 seed\nx\n", "older", &["seed", "x"]), None, "the branch was replaced");
    }
}
