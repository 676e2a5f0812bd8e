//! One form of address for each use, whatever form a row has: `docs/seams.md`.

use proctor_judge::evidence::AgentId;

const SINGLETONS: [&str; 2] = ["witness", "refinery"];

/// An agent's address as its `GT_ROLE` says it. Rows also have the short form `alice/rust` and a final slash (`mayor/`).
pub(super) fn agent(text: &str) -> AgentId {
    let text = text.trim().trim_end_matches('/');
    match text.split('/').collect::<Vec<_>>().as_slice() {
        [rig, name] if !SINGLETONS.contains(name) && *rig != "deacon" => format!("{rig}/polecats/{name}"),
        _ => text.to_owned(),
    }
}

/// A mail address: the short form.
pub(super) fn mail(text: &str) -> String {
    let text = text.trim().trim_end_matches('/');
    match text.split('/').collect::<Vec<_>>().as_slice() {
        [rig, "polecats" | "crew", name] => format!("{rig}/{name}"),
        _ => text.to_owned(),
    }
}

/// The address of the agent that an agent bead stands for; absent when the bead names no role.
pub(super) fn of_bead(id: &str, role: &str, rig: Option<&str>) -> Option<AgentId> {
    let name = |mark: &str| id.split_once(mark).map(|(_, name)| name);
    match (role, rig) {
        ("", _) => None,
        ("polecat", Some(rig)) => Some(format!("{rig}/polecats/{}", name("polecat-")?)),
        ("crew", Some(rig)) => Some(format!("{rig}/crew/{}", name("crew-")?)),
        (role, Some(rig)) => Some(format!("{rig}/{role}")),
        (role, None) => Some(role.to_owned()),
    }
}

/// An agent's own name: the last part of its address.
pub(super) fn name(agent: &str) -> &str {
    agent.rsplit('/').next().unwrap_or(agent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_address_becomes_the_one_of_its_use() {
        for (text, long, short) in [
            ("mayor/", "mayor", "mayor"),
            ("overseer", "overseer", "overseer"),
            ("alice/rust", "alice/polecats/rust", "alice/rust"),
            ("alice/polecats/rust", "alice/polecats/rust", "alice/rust"),
            ("alice/crew/max", "alice/crew/max", "alice/max"),
            ("alice/refinery", "alice/refinery", "alice/refinery"),
            ("alice/witness/", "alice/witness", "alice/witness"),
            ("deacon/boot", "deacon/boot", "deacon/boot"),
        ] {
            assert_eq!((agent(text).as_str(), mail(text).as_str()), (long, short), "{text}");
        }
    }

    #[test]
    fn an_agent_bead_gives_its_agents_address() {
        for (id, role, rig, address) in [
            ("hq-mayor", "mayor", None, Some("mayor")),
            ("al-alice-polecat-obsidian", "polecat", Some("alice"), Some("alice/polecats/obsidian")),
            ("bob-polecat-rust", "polecat", Some("bob"), Some("bob/polecats/rust")),
            ("bob-refinery", "refinery", Some("bob"), Some("bob/refinery")),
            ("bob-x", "", Some("bob"), None),
        ] {
            assert_eq!(of_bead(id, role, rig).as_deref(), address, "{id}");
        }
    }
}
