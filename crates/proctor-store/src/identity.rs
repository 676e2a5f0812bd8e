//! Who a row says it comes from, against whose path it came by (`docs/seams.md`, "OTLP paths").
//!
//! Gas Town writes the same agent in several ways: `alice/polecats/furiosa`, `alice/furiosa`, `alice/polecat`, `polecat`,
//! `mayor`, `mayor/`. Only a claim that cannot be the same agent contradicts.

use crate::record::Attributes;

/// What the row claims, when that cannot be `agent`. `gt.role` decides (of the row, else of its resource), else `gt.actor`.
pub(crate) fn contradiction(agent: &str, attributes: &Attributes, resource: &Attributes) -> Option<String> {
    let find = |name| attributes.text(name).or_else(|| resource.text(name)).filter(|text| !text.is_empty());
    let claimed = find("gt.role").or_else(|| find("gt.actor"))?;
    let rig = find("gt.rig");
    (!may_be(agent, &claimed, rig.as_deref())).then_some(claimed)
}

/// Whether `claimed` can name `agent`. A role alone (`polecat`) is checked with the rig that the row names, if it names one.
fn may_be(agent: &str, claimed: &str, rig: Option<&str>) -> bool {
    let (agent, claimed) = (Address::of(agent), Address::of(claimed));
    let role_or_name = |word: &str| word == agent.name || word == agent.role;
    match claimed.rig {
        Some(rig) => agent.rig == Some(rig) && role_or_name(claimed.name),
        None => role_or_name(claimed.name) && (agent.rig.is_none() || rig.is_none() || rig == agent.rig),
    }
}

/// An address, taken apart: `alice/polecats/furiosa` is rig `alice`, role `polecat`, name `furiosa`.
struct Address<'a> {
    rig: Option<&'a str>,
    role: &'a str,
    name: &'a str,
}

impl<'a> Address<'a> {
    fn of(text: &'a str) -> Self {
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
        match *parts.as_slice() {
            [rig, folder, name] => Self { rig: Some(rig), role: folder.strip_suffix('s').unwrap_or(folder), name },
            [rig, name @ ("witness" | "refinery")] => Self { rig: Some(rig), role: name, name },
            [rig, name] => Self { rig: Some(rig), role: "polecat", name },
            [name] => Self { rig: None, role: name, name },
            _ => Self { rig: None, role: text, name: text },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::may_be;

    #[test]
    fn every_form_of_the_same_agent_is_the_same_agent() {
        let polecat = "alice/polecats/furiosa";
        for (agent, claimed) in [
            ("mayor", "mayor"),
            ("mayor", "mayor/"),
            (polecat, "alice/polecats/furiosa"),
            (polecat, "alice/furiosa"),
            (polecat, "alice/polecat"),
            (polecat, "polecat"),
            ("alice/furiosa", "alice/polecats/furiosa"),
            ("alice/refinery", "refinery"),
            ("alice/refinery", "alice/refinery"),
            ("alice/crew/joe", "crew"),
        ] {
            assert!(may_be(agent, claimed, None), "{agent} should be {claimed}");
        }
        assert!(may_be(polecat, "polecat", Some("alice")));
    }

    #[test]
    fn another_agent_contradicts() {
        for (agent, claimed, rig) in [
            ("mayor", "alice/polecats/furiosa", None),
            ("alice/polecats/furiosa", "mayor", None),
            ("alice/polecats/furiosa", "alice/polecats/nux", None),
            ("alice/polecats/furiosa", "bob/polecats/furiosa", None),
            ("alice/polecats/furiosa", "bob/furiosa", None),
            ("alice/polecats/furiosa", "alice/witness", None),
            ("alice/polecats/furiosa", "polecat", Some("bob")),
            ("alice/witness", "polecat", None),
        ] {
            assert!(!may_be(agent, claimed, rig), "{agent} should not be {claimed}");
        }
    }
}
