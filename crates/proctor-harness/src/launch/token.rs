//! The token that says which agent a request comes from.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of the code that a token shows.
const BYTES: usize = 16;

/// An agent's token in a run: the first 32 hexadecimal digits of HMAC-SHA256, keyed with the run's secret, over the agent's
/// address (`GT_ROLE`: `alice/polecats/furiosa`). Who does not know the secret can name an agent and cannot make its token.
pub fn token(secret: &str, agent: &str) -> String {
    // HMAC takes keys of every length: this error cannot occur, and an empty token is no agent's.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(agent.as_bytes());
    mac.finalize().into_bytes().iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_head_of_the_published_code() {
        // RFC 4231, test case 2.
        assert_eq!(token("Jefe", "what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c7");
    }

    #[test]
    fn agents_and_runs_differ_in_their_tokens() {
        assert_ne!(token("a", "mayor"), token("a", "mayo"));
        assert_ne!(token("a", "mayor"), token("b", "mayor"));
        assert_eq!(token("", "").len(), 32);
    }
}
