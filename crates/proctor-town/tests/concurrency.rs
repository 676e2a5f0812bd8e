//! Many writers at once, and runs that repeat.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing step fails the test")]

mod support;

use std::collections::BTreeSet;

use support::{Town, has_git};

const WRITERS: usize = 16;
const BEADS: usize = 8;

fn create(town: &Town, actor: &str, n: usize) -> String {
    let title = format!("{actor} {n}");
    let call = town.call(&["create", &title, "--silent"], &town.root(), &[("BD_ACTOR", actor)], "");
    let output = proctor_town::bd(call);
    assert_eq!(output.code, 0, "{output:?}");
    output.stdout.trim().to_string()
}

#[test]
fn sixteen_writers_lose_nothing() {
    let town = Town::new();
    let ids: Vec<String> = std::thread::scope(|scope| {
        let town = &town;
        let writers: Vec<_> = (0..WRITERS)
            .map(|w| scope.spawn(move || (0..BEADS).map(|n| create(town, &format!("writer{w}"), n)).collect::<Vec<_>>()))
            .collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), WRITERS * BEADS);
    let listed = town.bd_in("", &["list", "--limit", "0", "--json"]).stdout;
    let listed: Vec<serde_json::Value> = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.len(), WRITERS * BEADS);
    assert_eq!(town.events().iter().filter(|event| *event == "bead_create").count(), WRITERS * BEADS);
}

#[test]
fn only_one_of_many_claims_wins() {
    let town = Town::new();
    let id = create(&town, "mayor", 0);
    let won: usize = std::thread::scope(|scope| {
        let (town, id) = (&town, &id);
        let claims: Vec<_> = (0..WRITERS)
            .map(|w| {
                scope.spawn(move || {
                    let actor = format!("writer{w}");
                    let call = town.call(&["update", id, "--claim"], &town.root(), &[("BD_ACTOR", &actor)], "");
                    usize::from(proctor_town::bd(call).code == 0)
                })
            })
            .collect();
        claims.into_iter().map(|claim| claim.join().unwrap()).sum()
    });
    assert_eq!(won, 1);
}

#[test]
fn many_slings_of_one_issue_make_one_worker() {
    if !has_git() {
        return;
    }
    let waits = "printf '❯ '; cat >/dev/null";
    let town = Town::with_agents(waits, waits);
    town.rig("alice");
    let issue = town.issue("alice", "Contended");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(town.gt(&["sling", &issue, "alice"]).code, 0));
        }
    });
    assert_eq!(town.json(&["polecat", "list", "--json"]).as_array().unwrap().len(), 1);
    assert_eq!(town.json(&["sessions", "--json"]).as_array().unwrap().len(), 1);
}

#[test]
fn the_same_seed_gives_the_same_ids_whoever_is_first() {
    let (one, two) = (Town::new(), Town::new());
    let forward = [create(&one, "a", 0), create(&one, "a", 1), create(&one, "b", 0)];
    let mixed_b = create(&two, "b", 0);
    let mixed = [create(&two, "a", 0), create(&two, "a", 1), mixed_b];
    assert_eq!(forward, mixed);
}
