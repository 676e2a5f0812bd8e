//! What of a request could not be taken as it came.

/// Longest example, in characters.
const LONGEST_EXAMPLE: usize = 160;

/// Some records that suffered the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) what: What,
    /// Why, for people: `a number that cannot be read`.
    pub(crate) reason: &'static str,
    pub(crate) count: u64,
    /// The first of it.
    pub(crate) example: String,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// It is not in the store.
    Rejected,
    /// It is in the store with something replaced or left out.
    Repaired,
}

/// The notes of one request.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) all: Vec<Note>,
    /// What is wrong with the record that is being read; absent outside records.
    record: Option<Damage>,
    /// How deep the value that is being read is nested.
    depth: usize,
}

#[derive(Debug, Default)]
struct Damage {
    worst: Option<(What, &'static str, String)>,
}

/// How deep values may be nested, so that no body can exhaust the stack.
const DEEPEST: usize = 100;

impl Notes {
    /// Something could not be read; what else its record holds is kept.
    pub(super) fn spoil(&mut self, reason: &'static str, example: impl Into<String>) {
        self.note(What::Repaired, reason, example.into());
    }

    /// Something could not be read without which its record means nothing.
    pub(super) fn lose(&mut self, reason: &'static str, example: impl Into<String>) {
        self.note(What::Rejected, reason, example.into());
    }

    fn note(&mut self, what: What, reason: &'static str, example: String) {
        match &mut self.record {
            // A record counts once, with the worst that happened to it.
            Some(damage) => {
                if damage.worst.as_ref().is_none_or(|(known, _, _)| what < *known) {
                    damage.worst = Some((what, reason, example));
                }
            }
            None => self.count(what, reason, example),
        }
    }

    fn count(&mut self, what: What, reason: &'static str, example: String) {
        if let Some(known) = self.all.iter_mut().find(|note| note.what == what && note.reason == reason) {
            known.count += 1;
            return;
        }
        let example = example.chars().take(LONGEST_EXAMPLE).collect();
        self.all.push(Note { what, reason, count: 1, example });
    }

    /// A record begins.
    pub(super) fn begin(&mut self) {
        self.record = Some(Damage::default());
    }

    /// The record ends. Whether it can be kept.
    pub(super) fn end(&mut self) -> bool {
        match self.record.take().and_then(|damage| damage.worst) {
            Some((what, reason, example)) => {
                self.count(what, reason, example);
                what != What::Rejected
            }
            None => true,
        }
    }

    /// Reads something nested, unless it is nested too deep.
    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.depth == DEEPEST {
            return None;
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        Some(read)
    }

    /// How many records are not in the store.
    pub(crate) fn rejected(&self) -> u64 {
        self.sum(What::Rejected)
    }

    /// How many are in the store otherwise than they came.
    pub(crate) fn repaired(&self) -> u64 {
        self.sum(What::Repaired)
    }

    fn sum(&self, what: What) -> u64 {
        self.all.iter().filter(|note| note.what == what).map(|note| note.count).sum()
    }
}
