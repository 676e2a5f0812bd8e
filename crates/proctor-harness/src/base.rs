//! The base directory of a run, and the registry of everything that the run makes.

/// A short id from 32 random bits: four of the characters `23456789abcdefghjkmnpqrstvwxyz`, which are hard to confuse.
pub fn short_id(random: u32) -> String {
    const LETTERS: &[u8; 30] = b"23456789abcdefghjkmnpqrstvwxyz";
    let mut rest = random;
    let mut next = || {
        let letter = LETTERS[(rest % 30) as usize];
        rest /= 30;
        char::from(letter)
    };
    (0..4).map(|_| next()).collect()
}
