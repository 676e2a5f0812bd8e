//! Whose address a request's path holds: the agent, and the token that only the agent was given.
//!
//! `/a/alice%2Fpolecats%2Ffuriosa/<token>/v1/messages`. Slashes of an agent may come percent-encoded or bare; a token is the first
//! segment that looks like one.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use percent_encoding::percent_decode_str;
use proctor_harness::launch::token;
use proctor_judge::evidence::RefusalReason;

/// Digits of a token.
const TOKEN_DIGITS: usize = 32;
/// Longest name of an agent that is taken from a path, in bytes.
const LONGEST_NAME: usize = 120;

/// What makes tokens, and who has shown one.
#[derive(Debug)]
pub(crate) struct Tokens {
    secret: String,
    /// Agents whose own tokens came in: with them, the owner of a token that is used for another's address is found.
    shown: Mutex<BTreeSet<String>>,
}

/// What a path says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addressed {
    /// The agent whose address it holds, with its token.
    pub(crate) agent: Option<String>,
    /// The agent that it names without its token.
    pub(crate) claim: Option<Claim>,
    /// The path without what names the agent.
    pub(crate) path: String,
}

/// An address without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The agent that it names.
    pub(crate) agent: String,
    /// What is wrong.
    pub(crate) why: RefusalReason,
    /// Whose token it holds.
    pub(crate) owner: Option<String>,
}

impl Tokens {
    /// The tokens of a run.
    pub(crate) fn of(secret: String) -> Self {
        Self { secret, shown: Mutex::default() }
    }

    /// Takes a path apart. Addresses begin with `prefix` (`/a/`); `rest` finds where the address ends in a path that holds no token.
    pub(crate) fn read(&self, prefix: &str, path: &str, rest: impl Fn(&str) -> Option<usize>) -> Addressed {
        let decoded = percent_decode_str(path).decode_utf8_lossy();
        let Some(named) = decoded.strip_prefix(prefix) else {
            return Addressed { path: decoded.into_owned(), ..Addressed::default() };
        };
        match split(named) {
            Some((agent, shown, path)) if shown == token(&self.secret, agent) => {
                self.shown.lock().unwrap_or_else(PoisonError::into_inner).insert(agent.to_owned());
                Addressed { agent: Some(agent.to_owned()), claim: None, path: path.to_owned() }
            }
            Some((agent, shown, path)) => {
                let owner = self.owner(shown);
                let why = if owner.is_some() { RefusalReason::ForeignToken } else { RefusalReason::UnknownToken };
                claimed(agent, why, owner, path)
            }
            None => {
                let end = rest(named).unwrap_or(named.len());
                claimed(&named[..end], RefusalReason::NoToken, None, &named[end..])
            }
        }
    }

    /// Who has shown this token as their own.
    fn owner(&self, shown: &str) -> Option<String> {
        let agents = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        agents.iter().find(|agent| token(&self.secret, agent) == shown).cloned()
    }
}

fn claimed(agent: &str, why: RefusalReason, owner: Option<String>, path: &str) -> Addressed {
    let agent = agent.trim_matches('/');
    let end = (0..=LONGEST_NAME.min(agent.len())).rev().find(|at| agent.is_char_boundary(*at)).unwrap_or(0);
    let claim = Claim { agent: agent[..end].to_owned(), why, owner };
    Addressed { agent: None, claim: Some(claim), path: path.to_owned() }
}

/// Agent, token and rest of `alice/polecats/furiosa/<token>/v1/messages`.
fn split(named: &str) -> Option<(&str, &str, &str)> {
    let mut from = named.find('/')?;
    loop {
        let segment = &named[from + 1..];
        let length = segment.find('/').unwrap_or(segment.len());
        if is_token(&segment[..length]) {
            return Some((named[..from].trim_matches('/'), &segment[..length], &segment[length..]));
        }
        from += 1 + segment.find('/')?;
    }
}

fn is_token(text: &str) -> bool {
    text.len() == TOKEN_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FURIOSA: &str = "alice/polecats/furiosa";

    fn read(tokens: &Tokens, path: &str) -> Addressed {
        tokens.read("/a/", path, |named| named.rfind("/v1/"))
    }

    #[test]
    fn an_address_is_an_agents_when_it_holds_the_agents_token() {
        let tokens = Tokens::of("s".into());
        let own = token("s", FURIOSA);
        for path in [format!("/a/alice%2Fpolecats%2Ffuriosa/{own}/v1/messages"), format!("/a/{FURIOSA}/{own}/v1/messages")] {
            let found = read(&tokens, &path);
            assert_eq!((found.agent.as_deref(), found.path.as_str()), (Some(FURIOSA), "/v1/messages"));
        }
        let bare = read(&tokens, &format!("/a/{FURIOSA}/{own}"));
        assert_eq!((bare.agent.as_deref(), bare.path.as_str()), (Some(FURIOSA), ""));
        assert_eq!(read(&tokens, "/v1/messages"), Addressed { path: "/v1/messages".into(), ..Addressed::default() });
    }

    #[test]
    fn an_address_without_its_token_is_a_claim_that_says_what_is_wrong() {
        let tokens = Tokens::of("s".into());
        let claim = |path: &str| {
            let found = read(&tokens, path);
            assert_eq!((found.agent, found.path.as_str()), (None, "/v1/messages"), "{path}");
            found.claim.map(|claim| (claim.agent, claim.why, claim.owner))
        };
        let mayor = || "mayor".to_owned();
        assert_eq!(claim("/a/mayor/v1/messages"), Some((mayor(), RefusalReason::NoToken, None)));
        let furiosas = format!("/a/mayor/{}/v1/messages", token("s", FURIOSA));
        assert_eq!(claim(&furiosas), Some((mayor(), RefusalReason::UnknownToken, None)), "nobody has shown it yet");
        read(&tokens, &format!("/a/{FURIOSA}/{}/v1/messages", token("s", FURIOSA)));
        assert_eq!(claim(&furiosas), Some((mayor(), RefusalReason::ForeignToken, Some(FURIOSA.into()))));
    }

    #[test]
    fn odd_paths_name_whom_they_name_and_are_nobodys() {
        let tokens = Tokens::of("s".into());
        for path in ["/a/", "/a//", "/a/%ff%fe/v1/messages", "/a/mayor", "/a//00000000000000000000000000000000/x"] {
            let found = read(&tokens, path);
            assert!(found.agent.is_none() && found.claim.is_some(), "{path}: {found:?}");
        }
        let long = read(&tokens, &format!("/a/{}/v1/messages", "é".repeat(500)));
        assert_eq!(long.claim.map(|claim| claim.agent.len()), Some(120));
    }
}
