//! The convoys that a run is about: all of its title that were made since it began. What they track must land, and a later one of the
//! same title takes nothing away: whoever makes it may not be the one who was asked.

use proctor_judge::convoys::{named, of_title, telling};
use proctor_judge::evidence::{Convoy, Time};
use proctor_judge::plan::Clause;

use super::signs::Reading;
use crate::town::Snapshot;

/// See the file's head.
#[derive(Debug)]
pub(super) struct Convoys {
    title: String,
    /// When the run began: a town that was there before has older ones.
    since: Option<Time>,
    /// Every issue that one of them was ever seen to track, in the order of being seen.
    required: Vec<String>,
}

impl Convoys {
    pub(super) fn of(title: &str) -> Self {
        Self { title: title.to_owned(), since: None, required: Vec::new() }
    }

    pub(super) fn since(&mut self, at: Time) {
        self.since = Some(at);
    }

    /// Takes a state of the town; the issues that must land.
    pub(super) fn required(&mut self, state: &Snapshot) -> &[String] {
        let tracked: Vec<String> = self.found(state).into_iter().flat_map(|convoy| convoy.tracked.clone()).collect();
        for id in tracked {
            if !self.required.contains(&id) {
                self.required.push(id);
            }
        }
        &self.required
    }

    /// Whether every issue that must land is tracked by a convoy that is closed.
    pub(super) fn closed(&self, clause: Clause, state: &Snapshot) -> Reading {
        let found = self.found(state);
        let is_covered = |id: &String| found.iter().any(|convoy| convoy.status == "closed" && convoy.tracked.contains(id));
        let closes = found.iter().any(|convoy| convoy.status == "closed");
        let value = closes && self.required.iter().all(is_covered);
        let now = match telling(&found) {
            None => "no convoy".to_owned(),
            Some(_) if value => "yes".to_owned(),
            Some(convoy) if convoy.status == "closed" => "closed without all of its issues".to_owned(),
            Some(convoy) => convoy.status.clone(),
        };
        let each: Vec<String> = found.iter().map(|convoy| format!("{} {}", convoy.id, convoy.status)).collect();
        let detail = match found.is_empty() {
            true => named(&state.convoys, &self.title, self.since),
            false => each.join(", "),
        };
        Reading { clause, value, now, source: "bead store", detail }
    }

    /// Those of the title, oldest first.
    fn found<'a>(&self, state: &'a Snapshot) -> Vec<&'a Convoy> {
        of_title(&state.convoys, &self.title, self.since)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn convoy(id: &str, at_s: i64, status: &str, tracked: &[&str]) -> Convoy {
        Convoy {
            id: id.into(),
            title: "Letters".into(),
            status: status.into(),
            tracked: tracked.iter().map(|id| (*id).to_owned()).collect(),
            created_at: Time::UNIX_EPOCH + TimeDelta::seconds(at_s),
            closed_at: None,
        }
    }

    fn look(convoys: &mut Convoys, found: &[Convoy]) -> (Vec<String>, bool, String) {
        let state = Snapshot { convoys: found.to_vec(), ..Snapshot::default() };
        let required = convoys.required(&state).to_vec();
        let reading = convoys.closed(Clause::ConvoyClosed, &state);
        (required, reading.value, reading.now)
    }

    #[test]
    fn a_newer_convoy_of_the_same_title_takes_no_issue_away() {
        let mut convoys = Convoys::of("Letters");
        let first = convoy("hq-cv-1", 1, "open", &["no-1", "so-1"]);
        assert_eq!(look(&mut convoys, std::slice::from_ref(&first)).0, ["no-1", "so-1"]);
        let second = convoy("hq-cv-2", 9, "closed", &["no-1"]);
        let both = look(&mut convoys, &[second.clone(), first]);
        assert_eq!(both, (vec!["no-1".into(), "so-1".into()], false, "open".into()));
        let alone = look(&mut convoys, &[second]);
        assert_eq!((alone.0.len(), alone.1), (2, false), "what was tracked once must land though its convoy is gone");
    }

    #[test]
    fn a_convoy_that_was_made_anew_with_all_issues_lands() {
        let mut convoys = Convoys::of("Letters");
        let states = [convoy("hq-cv-1", 1, "open", &["no-1"]), convoy("hq-cv-2", 9, "closed", &["no-1", "so-1"])];
        assert!(look(&mut convoys, &states).1);
        assert_eq!(look(&mut Convoys::of("Letters"), &[]), (Vec::new(), false, "no convoy".into()));
    }

    #[test]
    fn convoys_from_before_the_run_are_none_of_it() {
        let mut convoys = Convoys::of("Letters");
        convoys.since(Time::UNIX_EPOCH + TimeDelta::seconds(100));
        let old = convoy("hq-cv-0", 1, "closed", &["no-0"]);
        assert_eq!(look(&mut convoys, &[old]).2, "no convoy");
    }

    #[test]
    fn which_convoy_is_meant_the_judge_s_rule_says() {
        for (title, value, now, detail) in [
            ("letters", true, "yes", "hq-cv-1 closed"),
            ("LETTERS ", true, "yes", "hq-cv-1 closed"),
            ("Letters, all of them", true, "yes", "hq-cv-1 closed"),
            ("Lettres", false, "no convoy", "hq-cv-1 \"Lettres\" (closed)"),
        ] {
            let made = Convoy { title: title.into(), ..convoy("hq-cv-1", 1, "closed", &["no-1"]) };
            let state = Snapshot { convoys: vec![made], ..Snapshot::default() };
            let mut convoys = Convoys::of("Letters");
            assert_eq!(convoys.required(&state).len(), usize::from(value), "{title}");
            let reading = convoys.closed(Clause::ConvoyClosed, &state);
            assert_eq!((reading.value, reading.now.as_str(), reading.detail.as_str()), (value, now, detail), "{title}");
        }
    }
}
