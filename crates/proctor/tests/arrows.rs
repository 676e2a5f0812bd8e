//! The arrows between the rooms, as `ARCHITECTURE.md` draws them: a crate that links another one without an arrow fails here.
//!
//! The check itself is shown to work by a positive control: a graph with a forbidden arrow is refused.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Every arrow that exists: crate, and the crates of this workspace that it may link.
const ARROWS: [(&str, &[&str]); 8] = [
    (
        "proctor",
        &[
            "proctor-agent",
            "proctor-fence",
            "proctor-gateway",
            "proctor-harness",
            "proctor-judge",
            "proctor-store",
            "proctor-town",
        ],
    ),
    ("proctor-harness", &["proctor-fence", "proctor-judge"]),
    ("proctor-judge", &["proctor-store"]),
    ("proctor-store", &[]),
    ("proctor-gateway", &[]),
    ("proctor-town", &[]),
    ("proctor-agent", &[]),
    ("proctor-fence", &[]),
];

/// Crates of others that a room must not link, directly: who it must not see is enforced by what it cannot do.
const FORBIDDEN: [(&str, &[&str]); 6] = [
    ("proctor-judge", &["tokio", "axum", "ureq", "portable-pty", "signal-hook", "rusqlite"]),
    ("proctor-store", &["tokio", "axum", "clap", "ureq"]),
    ("proctor-town", &["axum", "clap", "indicatif"]),
    ("proctor-harness", &["axum", "clap", "indicatif", "ureq"]),
    ("proctor-agent", &["axum", "clap", "tokio"]),
    // A process that forks must have one thread.
    ("proctor-fence", &["axum", "clap", "tokio"]),
];

type Graph = BTreeMap<String, BTreeSet<String>>;

/// What each crate of the workspace links, not counting what only its tests do.
fn graph() -> Graph {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().unwrap();
    let linked = |package: &cargo_metadata::Package| {
        let normal = package.dependencies.iter().filter(|one| one.kind != DependencyKind::Development);
        normal.map(|one| one.name.clone()).collect()
    };
    metadata.packages.iter().map(|package| (package.name.to_string(), linked(package))).collect()
}

/// Every link that no arrow allows, as `from -> to`.
fn violations(graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    for (from, linked) in graph {
        let allowed = ARROWS.iter().find(|(name, _)| name == from).map(|(_, allowed)| *allowed);
        let forbidden = FORBIDDEN.iter().find(|(name, _)| name == from).map_or(&[][..], |(_, names)| *names);
        for to in linked {
            let is_ours = graph.contains_key(to);
            let is_allowed = allowed.is_some_and(|allowed| allowed.contains(&to.as_str()));
            if (is_ours && !is_allowed) || forbidden.contains(&to.as_str()) {
                found.push(format!("{from} -> {to}"));
            }
        }
    }
    found
}

#[test]
fn no_room_links_another_without_an_arrow() {
    assert_eq!(violations(&graph()), Vec::<String>::new());
}

#[test]
fn every_room_is_on_the_plan() {
    let known: BTreeSet<String> = ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let found: BTreeSet<String> = graph().into_keys().collect();
    assert_eq!(found, known);
}

#[test]
fn a_forbidden_arrow_is_found() {
    let mut graph = graph();
    graph.get_mut("proctor-judge").unwrap().insert("proctor-town".to_owned());
    graph.get_mut("proctor-store").unwrap().insert("clap".to_owned());
    assert_eq!(violations(&graph), ["proctor-judge -> proctor-town", "proctor-store -> clap"]);
}
