//! Ids that repeat: of beads from seed, actor and the actor's own counter; of polecats from a fixed pool per rig.
//!
//! Two agents that create beads at the same time do not disturb each other's ids, because each has a counter of its own.

use sha2::{Digest, Sha256};

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Polecat names; a rig starts somewhere in this list and goes round.
pub(crate) const NAMES: [&str; 50] = [
    "furiosa",
    "nux",
    "slit",
    "rictus",
    "dementus",
    "capable",
    "toast",
    "dag",
    "cheedo",
    "valkyrie",
    "keeper",
    "ace",
    "morsov",
    "coma",
    "organic",
    "imperator",
    "max",
    "goose",
    "fifi",
    "wez",
    "humungus",
    "pappagallo",
    "zetta",
    "feral",
    "gyro",
    "toadie",
    "auntie",
    "master",
    "blaster",
    "ironbar",
    "savannah",
    "scrooloose",
    "pigkiller",
    "jedediah",
    "bubba",
    "johnny",
    "cundalini",
    "mudguts",
    "roop",
    "charlie",
    "sarse",
    "jessie",
    "clunk",
    "starbuck",
    "diabando",
    "rust",
    "chrome",
    "nitro",
    "octane",
    "gasket",
];

/// The `length` base-36 digits that stand for the `n`th thing `actor` made in a town with this seed.
pub(crate) fn hash(seed: &str, actor: &str, n: i64, length: usize) -> String {
    let digest = Sha256::digest(format!("{seed}\0{actor}\0{n}"));
    let mut value = digest.iter().take(16).fold(0u128, |acc, byte| (acc << 8) | u128::from(*byte));
    let mut out = Vec::with_capacity(length);
    for _ in 0..length {
        out.push(DIGITS[(value % 36) as usize]);
        value /= 36;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A number in base 36, as in branch names.
pub(crate) fn base36(mut value: i64) -> String {
    let mut out = Vec::new();
    loop {
        out.push(DIGITS[(value % 36) as usize]);
        value /= 36;
        if value == 0 {
            break;
        }
    }
    out.reverse();
    String::from_utf8_lossy(&out).into_owned()
}

/// The first name of the rig's round that `taken` does not have; after the pool, numbered names.
pub(crate) fn polecat_name(rig: &str, taken: &[String]) -> String {
    let start = Sha256::digest(rig)[0] as usize;
    let names = NAMES.iter().cycle().skip(start % NAMES.len()).take(NAMES.len());
    let free = names.map(|name| (*name).to_string()).find(|name| !taken.contains(name));
    free.unwrap_or_else(|| format!("{rig}-{}", taken.len() + 1))
}

/// Default prefix of a rig's ids: names up to three letters as they are, several parts as initials, else the first two letters.
pub(crate) fn default_prefix(rig: &str) -> String {
    let parts: Vec<&str> = rig.split('_').filter(|part| !part.is_empty()).collect();
    if rig.chars().count() <= 3 {
        rig.to_lowercase()
    } else if parts.len() > 1 {
        parts.iter().filter_map(|part| part.chars().next()).collect::<String>().to_lowercase()
    } else {
        rig.chars().take(2).collect::<String>().to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_actor_and_count_give_the_same_id() {
        assert_eq!(hash("42", "mayor", 1, 3), hash("42", "mayor", 1, 3));
        assert_ne!(hash("42", "mayor", 1, 8), hash("42", "mayor", 2, 8));
        assert_ne!(hash("42", "mayor", 1, 8), hash("43", "mayor", 1, 8));
        assert_ne!(hash("42", "mayor", 1, 8), hash("42", "overseer", 1, 8));
    }

    #[test]
    fn a_longer_id_extends_the_shorter_one() {
        assert!(hash("42", "mayor", 7, 5).starts_with(&hash("42", "mayor", 7, 3)));
    }

    #[test]
    fn base36_counts_as_gt_does() {
        assert_eq!(base36(0), "0");
        assert_eq!(base36(35), "z");
        assert_eq!(base36(36), "10");
    }

    #[test]
    fn prefixes_follow_the_name() {
        assert_eq!(default_prefix("alice"), "al");
        assert_eq!(default_prefix("bob"), "bob");
        assert_eq!(default_prefix("faythe"), "fa");
        assert_eq!(default_prefix("my_big_rig"), "mbr");
    }

    #[test]
    fn a_taken_name_is_not_given_again() {
        let first = polecat_name("alice", &[]);
        let second = polecat_name("alice", std::slice::from_ref(&first));
        assert_ne!(first, second);
        assert_eq!(first, polecat_name("alice", &[]));
    }

    #[test]
    fn an_exhausted_pool_still_gives_names() {
        let taken: Vec<String> = NAMES.iter().map(|n| (*n).to_string()).collect();
        assert_eq!(polecat_name("alice", &taken), "alice-51");
    }
}
