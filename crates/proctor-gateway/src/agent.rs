//! Who asks: an agent's address, and what of it scripts and faults match.

/// An agent's address with its parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Agent {
    /// The whole address: `alice/polecats/furiosa`.
    pub id: String,
    /// `mayor`, `polecat`, `refinery`, …
    pub role: String,
    /// The rig it belongs to; absent for agents of the town.
    pub rig: Option<String>,
    /// Its own name; the role for singletons.
    pub name: String,
}

impl Agent {
    /// Takes an address apart: `role`, `rig/role` or `rig/roles/name`, as `GT_ROLE` has it.
    #[must_use]
    pub fn parse(id: &str) -> Self {
        let parts: Vec<&str> = id.split('/').collect();
        let (role, rig, name) = match parts.as_slice() {
            [rig, roles, name] => (singular(roles), Some(*rig), *name),
            [rig, role] => (*role, Some(*rig), *role),
            _ => (id, None, id),
        };
        Self { id: id.to_owned(), role: role.to_owned(), rig: rig.map(str::to_owned), name: name.to_owned() }
    }

    /// Whether `pattern` names this agent: `*`, a role, or `role:rig`.
    #[must_use]
    pub fn matches(&self, pattern: &str) -> bool {
        match pattern.split_once(':') {
            Some((role, rig)) => self.role == role && self.rig.as_deref() == Some(rig),
            None => pattern == "*" || self.role == pattern,
        }
    }
}

/// The plural that addresses use for workers' roles, as one role.
fn singular(roles: &str) -> &str {
    match roles {
        "polecats" => "polecat",
        "dogs" => "dog",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_role_rig_and_name() {
        let worker = Agent::parse("alice/polecats/furiosa");
        assert_eq!((worker.role.as_str(), worker.rig.as_deref(), worker.name.as_str()), ("polecat", Some("alice"), "furiosa"));
        let refinery = Agent::parse("alice/refinery");
        assert_eq!((refinery.role.as_str(), refinery.rig.as_deref()), ("refinery", Some("alice")));
        let mayor = Agent::parse("mayor");
        assert_eq!((mayor.role.as_str(), mayor.rig, mayor.name.as_str()), ("mayor", None, "mayor"));
    }

    #[test]
    fn patterns_name_everyone_a_role_or_a_role_in_a_rig() {
        let worker = Agent::parse("alice/polecats/furiosa");
        for pattern in ["*", "polecat", "polecat:alice"] {
            assert!(worker.matches(pattern), "{pattern}");
        }
        for pattern in ["mayor", "polecat:bob", "alice", "furiosa", "mayor:alice"] {
            assert!(!worker.matches(pattern), "{pattern}");
        }
    }
}
