//! Planned faults: what came of each, and what one that never fired does to the verdict.

use proctor_judge::Outcome;
use proctor_judge::evidence::FaultRow;

use crate::world::{World, finding, session, t, worker};

fn kill(fired_at: Option<f64>) -> FaultRow {
    let what = "the process of polecat:bob is killed".into();
    FaultRow {
        name: "bob dies".into(),
        what,
        fired_at: fired_at.map(t),
        agent: fired_at.map(|_| worker("bob")),
        ..FaultRow::default()
    }
}

fn saw(world: &World) -> String {
    finding(&world.judged(), "fault.fired").saw.clone().unwrap()
}

#[test]
fn a_worker_that_nobody_missed_left_its_issue_open() {
    let mut world = World::bob_unfinished();
    world.session("bob").ended_at = Some(t(4.5));
    world.session("bob").exit = Some("signal 9".into());
    world.faults = vec![kill(Some(4.0))];
    let issue = world.bead("bob").id.clone();
    let saw = saw(&world);
    assert!(saw.contains("its session ended 0.50 s later (signal 9)"), "{saw}");
    assert!(saw.contains("no agent wrote of it") && saw.contains("was not started again"), "{saw}");
    assert!(saw.ends_with(&format!("left open: {issue}")), "{saw}");
}

#[test]
fn a_worker_that_was_started_again_is_told_with_the_time_it_took() {
    let mut world = World::passing();
    world.session("bob").ended_at = Some(t(4.1));
    let mut again = session(&worker("bob"));
    (again.session, again.started_at) = ("s-again".into(), t(5.5));
    world.sessions.as_mut().unwrap().push(again);
    world.faults = vec![kill(Some(4.0))];
    let saw = saw(&world);
    assert!(saw.contains("was started again after 1.5 s"), "{saw}");
    assert!(saw.ends_with("no issue of its was left open"), "{saw}");
}

#[test]
fn a_run_whose_fault_never_fired_shows_nothing() {
    let mut world = World::passing();
    world.faults = vec![kill(None)];
    let summary = world.judged();
    assert_eq!(summary.outcome, Outcome::Unknown);
    assert!(summary.headline.contains("`bob dies` never fired"), "{}", summary.headline);
    assert_eq!(finding(&summary, "fault.never_fired").id, "fault.never_fired");
}
