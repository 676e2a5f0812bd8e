//! Who asks: an agent is known by its token, never by what it says of itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proctor_judge::evidence::AgentId;

use crate::launch::token;

/// The name of everything in the town that is no agent: it may fetch, and never push.
pub const TOWN: &str = "town";
/// The name by which the built-in town's daemon pushes what it merges.
pub const DAEMON: &str = "daemon";
/// Characters kept of a name that nobody vouches for.
const CLAIM_LIMIT: usize = 100;

/// What a request shows of whoever makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The agent's address, [`TOWN`] or [`DAEMON`]; what is only claimed where `trust` says so; empty when nothing was shown.
    pub agent: AgentId,
    /// How far that can be believed.
    pub trust: Trust,
}

/// How far a name can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The token is that agent's.
    Agent,
    /// The token is the town's, which everything in it has.
    Town,
    /// The token is not that agent's.
    Wrong,
    /// There is no token.
    Absent,
}

impl Identity {
    /// Why whoever this is may not push; absent when it may.
    pub fn refusal(&self) -> Option<String> {
        match self.trust {
            Trust::Agent => None,
            Trust::Town => Some("the town's own token may fetch and not push; an agent pushes with its own".into()),
            Trust::Wrong => Some(format!("the token is not that of `{}`", self.agent)),
            Trust::Absent => Some("a push needs the token of an agent of this run".into()),
        }
    }
}

/// Who is behind an `Authorization` header: `Basic base64(<agent>:<token>)`.
pub fn identify(authorization: Option<&str>, secret: &str) -> Identity {
    let Some((agent, shown)) = authorization.and_then(credentials) else {
        return Identity { agent: String::new(), trust: Trust::Absent };
    };
    if !same(&shown, &token(secret, &agent)) {
        return Identity { agent: agent.chars().take(CLAIM_LIMIT).collect(), trust: Trust::Wrong };
    }
    let trust = if agent == TOWN { Trust::Town } else { Trust::Agent };
    Identity { agent, trust }
}

fn credentials(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.trim().split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()).ok()).flatten()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(agent, token)| (agent.to_owned(), token.to_owned()))
}

/// Compares in a time that does not tell how much of the token was right.
fn same(shown: &str, token: &str) -> bool {
    let differs = shown.bytes().zip(token.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b));
    shown.len() == token.len() && differs == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(agent: &str, token: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{agent}:{token}")))
    }

    fn trust(header: &str) -> (String, Trust) {
        let Identity { agent, trust } = identify(Some(header), "secret");
        (agent, trust)
    }

    #[test]
    fn an_agent_is_known_by_its_token() {
        let eve = "eve/polecats/nux";
        assert_eq!(trust(&header(eve, &token("secret", eve))), (eve.into(), Trust::Agent));
        assert_eq!(trust(&header(TOWN, &token("secret", TOWN))), (TOWN.into(), Trust::Town));
        assert_eq!(identify(None, "secret").trust, Trust::Absent);
    }

    #[test]
    fn a_name_with_another_agents_token_is_a_claim_and_may_not_push() {
        let of_another = header("bob/polecats/rust", &token("secret", "eve/polecats/nux"));
        assert_eq!(trust(&of_another), ("bob/polecats/rust".into(), Trust::Wrong));
        assert_eq!(trust(&header("mayor", "")).1, Trust::Wrong);
        assert_eq!(trust(&header("mayor", &token("another secret", "mayor"))).1, Trust::Wrong);
        assert!(identify(Some(&of_another), "secret").refusal().is_some_and(|why| why.contains("bob/polecats/rust")));
    }

    #[test]
    fn what_is_no_credential_is_none() {
        for header in ["", "Basic", "Basic %%%", "Bearer abc", "Basic bm90aGluZw=="] {
            assert_eq!(trust(header).1, Trust::Absent, "{header}");
        }
        let long = header(&"x".repeat(100_000), "y");
        assert_eq!(trust(&long).0.len(), CLAIM_LIMIT);
    }
}
