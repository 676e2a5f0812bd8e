//! What the log of pushes says of branches: which heads one ever had, and what it has lost.

use std::collections::{BTreeMap, BTreeSet};

use proctor_judge::evidence::{Push, Time};

/// All that was pushed so far, in the order in which it happened.
#[derive(Clone, Debug, Default)]
pub struct PushLog {
    rows: Vec<Push>,
    /// Heads of branches that were there before anybody could push, by rig and branch.
    began: BTreeMap<(String, String), String>,
}

impl PushLog {
    /// Notes where a branch stood before anybody could push.
    pub fn begins(&mut self, rig: &str, branch: &str, head: String) {
        self.began.insert((rig.to_owned(), branch.to_owned()), head);
    }

    fn began(&self, rig: &str, branch: &str) -> Option<&String> {
        self.began.get(&(rig.to_owned(), branch.to_owned()))
    }

    /// Where a branch stands. The repository itself may be ahead of what is known to have been pushed.
    pub fn head(&self, rig: &str, branch: &str) -> Option<String> {
        match self.of(rig, branch).next_back() {
            Some(push) => push.to.clone(),
            None => self.began(rig, branch).cloned(),
        }
    }

    /// Takes the next row.
    pub fn take(&mut self, push: Push) {
        self.rows.push(push);
    }

    /// All rows.
    pub fn rows(&self) -> &[Push] {
        &self.rows
    }

    fn of<'a>(&'a self, rig: &'a str, branch: &'a str) -> impl DoubleEndedIterator<Item = &'a Push> {
        self.rows.iter().filter(move |push| push.is_accepted() && push.rig == rig && push.branch() == Some(branch))
    }

    /// Every head that a branch of a rig's origin ever had, oldest first, each once.
    pub fn heads(&self, rig: &str, branch: &str) -> Vec<String> {
        let both = self.of(rig, branch).flat_map(|push| [&push.from, &push.to]).flatten();
        let mut seen = BTreeSet::new();
        self.began(rig, branch).into_iter().chain(both).filter(|head| seen.insert(*head)).cloned().collect()
    }

    /// The head that an agent gave to a branch last, since then.
    pub fn pushed_by(&self, rig: &str, branch: &str, agent: &str, since: Time) -> Option<String> {
        self.of(rig, branch).rfind(|push| push.agent == agent && push.at >= since)?.to.clone()
    }

    /// The last head that a branch had, whether it is still there or not: towns delete branches after merging.
    pub fn last_head(&self, rig: &str, branch: &str) -> Option<String> {
        self.of(rig, branch).next_back().and_then(|push| push.to.clone().or_else(|| push.from.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proctor_judge::evidence::PushKind;

    fn push(refname: &str, from: Option<&str>, to: Option<&str>, kind: PushKind) -> Push {
        let (from, to) = (from.map(str::to_owned), to.map(str::to_owned));
        let refused = (kind == PushKind::Refused).then(|| "no".to_owned());
        let (agent, address) = ("eve/polecats/nux".into(), String::new());
        Push {
            at: Time::UNIX_EPOCH,
            agent,
            rig: "eve".into(),
            refname: refname.into(),
            from,
            to,
            kind,
            refused,
            address,
            sender: None,
        }
    }

    #[test]
    fn every_head_is_known_once_and_what_was_refused_is_none() {
        let mut log = PushLog::default();
        for row in [
            push("refs/heads/main", Some("seed"), Some("a"), PushKind::Updated),
            push("refs/heads/main", Some("a"), Some("x"), PushKind::Refused),
            push("refs/heads/other", None, Some("o"), PushKind::Created),
            push("refs/heads/main", Some("a"), Some("seed"), PushKind::Rewound),
            push("refs/heads/main", Some("seed"), Some("b"), PushKind::Updated),
        ] {
            log.take(row);
        }
        assert_eq!(log.heads("eve", "main"), ["seed", "a", "b"]);
        assert!(log.heads("bob", "main").is_empty());
        assert_eq!(log.last_head("eve", "main").as_deref(), Some("b"));
    }

    #[test]
    fn where_a_branch_stands_is_what_was_pushed_last_else_where_it_began() {
        let mut log = PushLog::default();
        assert_eq!(log.head("eve", "main"), None);
        log.begins("eve", "main", "seed".into());
        assert_eq!((log.head("eve", "main").as_deref(), log.heads("eve", "main").len()), (Some("seed"), 1));
        log.take(push("refs/heads/main", Some("seed"), Some("a"), PushKind::Updated));
        assert_eq!(log.head("eve", "main").as_deref(), Some("a"));
        assert_eq!(log.heads("eve", "main"), ["seed", "a"]);
        log.take(push("refs/heads/main", Some("a"), None, PushKind::Deleted));
        assert_eq!(log.head("eve", "main"), None);
    }

    #[test]
    fn what_an_agent_pushed_is_its_own_and_since_then() {
        let mut log = PushLog::default();
        let at = |seconds| Time::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds);
        for (seconds, agent, to) in [(1, "eve/polecats/nux", "a"), (2, "eve/polecats/nux", "b"), (3, "mayor", "c")] {
            let row = push("refs/heads/main", None, Some(to), PushKind::Updated);
            log.take(Push { at: at(seconds), agent: agent.into(), ..row });
        }
        log.take(Push { agent: "eve/polecats/nux".into(), ..push("refs/heads/main", None, Some("x"), PushKind::Refused) });
        let by = |agent, since| log.pushed_by("eve", "main", agent, at(since));
        assert_eq!(by("eve/polecats/nux", 1).as_deref(), Some("b"));
        assert_eq!(by("mayor", 0).as_deref(), Some("c"));
        assert_eq!((by("eve/polecats/nux", 3), by("bob/polecats/nux", 0)), (None, None));
    }

    #[test]
    fn the_head_of_a_branch_that_was_deleted_is_remembered() {
        let mut log = PushLog::default();
        log.take(push("refs/heads/work", None, Some("w"), PushKind::Created));
        log.take(push("refs/heads/work", Some("w"), None, PushKind::Deleted));
        assert_eq!(log.last_head("eve", "work").as_deref(), Some("w"));
        assert_eq!(log.last_head("eve", "none"), None);
    }
}
