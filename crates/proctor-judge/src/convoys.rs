//! Which convoy a run is about. Harness and judge ask here, so that both mean the same one.

use chrono::TimeDelta;

use crate::evidence::{Convoy, Time};
use crate::wording::quoted;

/// How much earlier than the run a convoy's time may lie: towns write whole seconds.
const SLACK: TimeDelta = TimeDelta::seconds(2);

/// How the title begins of a convoy that `gt sling` makes by itself for one issue: its title holds the issue's, and says nothing.
const OF_ONE: &str = "Work: ";

/// Convoys that are named where none is meant.
const NAMED: usize = 3;

/// The convoys that are meant by a title, oldest first; in a town that was there before the run, those made `since` it began.
///
/// They are those of exactly that title; where there is none, those that differ from it in letter case and blanks only; where
/// there is none either, those whose title holds it. A later one takes nothing away from the first: whoever makes it may not be
/// the one who was asked.
#[must_use]
pub fn of_title<'a>(convoys: &'a [Convoy], title: &str, since: Option<Time>) -> Vec<&'a Convoy> {
    let wanted = plain(title);
    let fits: [&dyn Fn(&Convoy) -> bool; 3] =
        [&|convoy| convoy.title == title, &|convoy| plain(&convoy.title) == wanted, &|convoy| {
            !wanted.is_empty() && !convoy.title.starts_with(OF_ONE) && plain(&convoy.title).contains(&wanted)
        }];
    let found = |fits: &&dyn Fn(&Convoy) -> bool| new(convoys, since).filter(|convoy| fits(convoy)).collect::<Vec<_>>();
    let mut found = fits.iter().map(found).find(|found| !found.is_empty()).unwrap_or_default();
    found.sort_by_key(|convoy| convoy.created_at);
    found
}

/// A title as it is compared when letter case and blanks do not count.
fn plain(title: &str) -> String {
    title.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The one of them that tells most: the first that is not closed, else the newest.
#[must_use]
pub fn telling<'a>(found: &[&'a Convoy]) -> Option<&'a Convoy> {
    found.iter().find(|convoy| convoy.status != "closed").or(found.last()).copied()
}

/// Every convoy in words, the most alike to a title first: `hq-cv-1 "the tales" (closed)`. Empty when there are none.
#[must_use]
pub fn named(convoys: &[Convoy], title: &str, since: Option<Time>) -> String {
    let mut found: Vec<&Convoy> = new(convoys, since).collect();
    let unlike = |convoy: &&Convoy| -strsim::normalized_damerau_levenshtein(&plain(&convoy.title), &plain(title));
    found.sort_by(|a, b| unlike(a).total_cmp(&unlike(b)).then_with(|| a.id.cmp(&b.id)));
    let more = found.len().saturating_sub(NAMED);
    let name = |convoy: &&Convoy| format!("{} {} ({})", convoy.id, quoted(&convoy.title, 80), convoy.status);
    let mut text = found.iter().take(NAMED).map(name).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text += &format!(" and {more} more");
    }
    text
}

fn new(convoys: &[Convoy], since: Option<Time>) -> impl Iterator<Item = &Convoy> {
    convoys.iter().filter(move |convoy| since.is_none_or(|since| convoy.created_at >= since - SLACK))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convoy(id: &str, at_s: i64, title: &str, status: &str) -> Convoy {
        Convoy {
            id: id.into(),
            title: title.into(),
            status: status.into(),
            tracked: Vec::new(),
            created_at: Time::UNIX_EPOCH + TimeDelta::seconds(at_s),
            closed_at: None,
        }
    }

    fn meant(titles: &[&str]) -> Vec<String> {
        let convoys: Vec<Convoy> = (1..).zip(titles).map(|(n, title)| convoy(&format!("cv-{n}"), n, title, "closed")).collect();
        of_title(&convoys, "The Tales", None).iter().map(|convoy| convoy.title.clone()).collect()
    }

    #[test]
    fn the_very_title_is_meant_before_one_of_other_letters_and_that_before_a_longer_one() {
        let all = ["The Tales, part two", "the tales", "The Tales", "Work: bo-1", "THE  TALES "];
        assert_eq!(meant(&all), ["The Tales"]);
        assert_eq!(meant(&[all[0], all[1], all[3], all[4]]), ["the tales", "THE  TALES "]);
        assert_eq!(meant(&[all[0], all[3]]), ["The Tales, part two"]);
        assert!(meant(&[all[3], "Tales", "", "Work: The Tales, chapter one"]).is_empty());
    }

    #[test]
    fn where_none_is_meant_those_that_are_there_are_named() {
        let titles = ["Work: bo-1", "Tales", "x", "y"];
        let convoys: Vec<Convoy> = (1..).zip(titles).map(|(n, title)| convoy(&format!("cv-{n}"), n, title, "closed")).collect();
        let text = named(&convoys, "The Tales", None);
        assert!(text.starts_with("cv-2 \"Tales\" (closed), ") && text.ends_with(" and 1 more"), "{text}");
        assert_eq!(named(&[], "The Tales", None), "");
        let both = [convoy("cv-9", 9, "The Tales", "closed"), convoy("cv-8", 8, "The Tales", "open")];
        assert_eq!(telling(&of_title(&both, "The Tales", None)).map(|c| c.id.as_str()), Some("cv-8"));
    }

    #[test]
    fn a_convoy_from_before_the_run_is_none_of_it_but_for_the_second_that_towns_cut_off() {
        let since = Some(Time::UNIX_EPOCH + TimeDelta::milliseconds(100_900));
        let convoys = [convoy("old", 1, "The Tales", "closed"), convoy("own", 100, "The Tales", "open")];
        let found = of_title(&convoys, "The Tales", since);
        assert_eq!(found.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["own"]);
    }
}
