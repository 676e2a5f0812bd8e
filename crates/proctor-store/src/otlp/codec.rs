//! How messages are read, from protobuf and from protobuf's JSON mapping, and what a fault in one costs.

use std::marker::PhantomData;

use super::json::{Json, Whole};
use super::notes::Notes;
use super::wire::{self, Next, Wire};

/// Why a field could not be read.
pub(super) type Read = Result<(), &'static str>;

const HALF: &str = "a part that is not what its encoding says";
pub(super) const OTHER_TYPE: &str = "a field of another type";
pub(super) const CUT_OFF: &str = "a record that is cut off or is not what its encoding says";

/// Reads one kind of field into a `T`.
pub(super) trait Codec<T> {
    fn wire(into: &mut T, from: Wire<'_>, notes: &mut Notes) -> Read;
    fn json(into: &mut T, from: &Json<'_>, notes: &mut Notes) -> Read;
}

/// What a fault in a message costs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// It holds records: what can be read of it counts.
    Container,
    /// It is a record: all of it or nothing.
    Record,
    /// It is a part of a record, which goes on without it.
    Part,
}

/// A message of OTLP.
pub(super) trait Message: Default {
    const LEVEL: Level;
    /// Takes field number `tag`; unknown ones are passed over.
    fn field(&mut self, tag: u32, value: Wire<'_>, notes: &mut Notes) -> Read;
    /// Takes the field of that name; unknown ones are passed over.
    fn named(&mut self, name: &str, value: &Json<'_>, notes: &mut Notes) -> Read;
    /// What a value that is no object most likely means.
    fn plain(_value: &Json<'_>) -> Option<Self> {
        None
    }
}

/// Whether `given` is the name `snake` as the messages' definition writes it, or in JSON's way: `time_unix_nano`, `timeUnixNano`.
pub(super) fn is_named(given: &str, snake: &str) -> bool {
    let mut given = given.bytes();
    let mut snake = snake.bytes();
    while let Some(byte) = snake.next() {
        let own = match (byte, given.next()) {
            (b'_', Some(b'_')) => continue,
            (b'_', own) => {
                let Some(initial) = snake.next() else { return false };
                if own != Some(initial.to_ascii_uppercase()) {
                    return false;
                }
                continue;
            }
            (_, own) => own,
        };
        if own != Some(byte) {
            return false;
        }
    }
    given.next().is_none()
}

/// Reads a message from protobuf; false when its bytes are not whole.
pub(super) fn from_wire<M: Message>(mut bytes: &[u8], notes: &mut Notes) -> (M, bool) {
    let mut message = M::default();
    let is_whole = notes.deeper(|notes| {
        let mut is_whole = true;
        loop {
            match wire::next(&mut bytes) {
                Next::End => return is_whole,
                Next::Broken => return false,
                Next::Field(tag, value) => {
                    is_whole &= !matches!(value, Wire::Bytes(_, false));
                    if let Err(reason) = message.field(tag, value, notes) {
                        notes.spoil(reason, format!("field {tag}"));
                    }
                }
            }
        }
    });
    (message, is_whole == Some(true))
}

/// Reads a message from JSON; false when the object is not whole or there is none.
pub(super) fn from_json<M: Message>(value: &Json<'_>, notes: &mut Notes) -> (M, bool) {
    let mut message = M::default();
    let Json::Object(fields, whole) = value else { return (M::plain(value).unwrap_or_default(), false) };
    let is_read = notes.deeper(|notes| {
        for (name, value) in fields.iter().filter(|(_, value)| *value != Json::Null) {
            if let Err(reason) = message.named(name, value, notes) {
                notes.spoil(reason, format!("{name}: {}", value.shown()));
            }
        }
    });
    (message, is_read.is_some() && *whole == Whole::Yes)
}

/// Messages one after the other.
pub(super) struct Many;

impl<M: Message> Codec<Vec<M>> for Many {
    fn wire(into: &mut Vec<M>, from: Wire<'_>, notes: &mut Notes) -> Read {
        let Wire::Bytes(bytes, is_whole) = from else { return Err(OTHER_TYPE) };
        let read = |notes: &mut Notes| {
            let (message, is_read) = from_wire(bytes, notes);
            (message, is_whole && is_read)
        };
        element(into, notes, read, || printable(bytes));
        Ok(())
    }

    fn json(into: &mut Vec<M>, from: &Json<'_>, notes: &mut Notes) -> Read {
        let Json::List(items, _) = from else {
            if M::LEVEL != Level::Part {
                notes.lose(CUT_OFF, from.shown());
            }
            return Err("not a list");
        };
        for item in items {
            element(into, notes, |notes| from_json(item, notes), || item.shown());
        }
        Ok(())
    }
}

fn element<M: Message>(
    into: &mut Vec<M>,
    notes: &mut Notes,
    read: impl FnOnce(&mut Notes) -> (M, bool),
    example: impl Fn() -> String,
) {
    match M::LEVEL {
        Level::Container | Level::Part => {
            let (message, is_whole) = read(notes);
            if !is_whole {
                notes.spoil(HALF, example());
            }
            into.push(message);
        }
        Level::Record => {
            notes.begin();
            let (message, is_whole) = read(notes);
            if !is_whole {
                notes.lose(CUT_OFF, example());
            }
            if notes.end() {
                into.push(message);
            }
        }
    }
}

/// What of some bytes a person can read.
fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control() && *c != char::REPLACEMENT_CHARACTER).take(80).collect()
}

/// One message, which may be absent. Sent twice, both count, as protobuf merges them.
pub(super) struct One;

impl<M: Message> Codec<Option<M>> for One {
    fn wire(into: &mut Option<M>, from: Wire<'_>, notes: &mut Notes) -> Read {
        let Wire::Bytes(bytes, is_whole) = from else { return Err(OTHER_TYPE) };
        let (message, is_read) = from_wire(bytes, notes);
        *into = Some(message);
        if is_whole && is_read { Ok(()) } else { Err(HALF) }
    }

    fn json(into: &mut Option<M>, from: &Json<'_>, notes: &mut Notes) -> Read {
        let (message, is_read) = from_json(from, notes);
        *into = Some(message);
        match from {
            _ if is_read => Ok(()),
            Json::Object(..) => Err(HALF),
            _ => Err("not an object"),
        }
    }
}

/// A field that may be absent, which `None` tells from a field that is zero.
pub(super) struct Maybe<C>(PhantomData<C>);

impl<T: Default, C: Codec<T>> Codec<Option<T>> for Maybe<C> {
    fn wire(into: &mut Option<T>, from: Wire<'_>, notes: &mut Notes) -> Read {
        let mut value = T::default();
        C::wire(&mut value, from, notes)?;
        *into = Some(value);
        Ok(())
    }

    fn json(into: &mut Option<T>, from: &Json<'_>, notes: &mut Notes) -> Read {
        let mut value = T::default();
        C::json(&mut value, from, notes)?;
        *into = Some(value);
        Ok(())
    }
}

/// A field without which its record means nothing.
pub(super) struct Needed<C>(PhantomData<C>);

impl<T, C: Codec<T>> Codec<T> for Needed<C> {
    fn wire(into: &mut T, from: Wire<'_>, notes: &mut Notes) -> Read {
        C::wire(into, from, notes).or_else(|reason| {
            notes.lose(reason, "");
            Ok(())
        })
    }

    fn json(into: &mut T, from: &Json<'_>, notes: &mut Notes) -> Read {
        C::json(into, from, notes).or_else(|reason| {
            notes.lose(reason, from.shown());
            Ok(())
        })
    }
}

/// Numbers one after the other; in protobuf packed, or each for itself.
pub(super) struct Numbers<C>(PhantomData<C>);

impl<T: Default, C: Codec<T> + Packed> Codec<Vec<T>> for Numbers<C> {
    fn wire(into: &mut Vec<T>, from: Wire<'_>, notes: &mut Notes) -> Read {
        let mut add = |one: Wire<'_>| {
            let mut value = T::default();
            C::wire(&mut value, one, notes).map(|()| into.push(value))
        };
        match from {
            Wire::Bytes(mut bytes, is_whole) => {
                while !bytes.is_empty() {
                    add(C::first(&mut bytes).ok_or(OTHER_TYPE)?)?;
                }
                if is_whole { Ok(()) } else { Err(CUT_OFF) }
            }
            one => add(one),
        }
    }

    fn json(into: &mut Vec<T>, from: &Json<'_>, notes: &mut Notes) -> Read {
        let Json::List(items, Whole::Yes) = from else { return Err("not a list") };
        for item in items {
            let mut value = T::default();
            C::json(&mut value, item, notes)?;
            into.push(value);
        }
        Ok(())
    }
}

/// A number that can be packed.
pub(super) trait Packed {
    fn first<'a>(bytes: &mut &'a [u8]) -> Option<Wire<'a>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fields_come_in_both_ways() {
        for given in ["time_unix_nano", "timeUnixNano"] {
            assert!(is_named(given, "time_unix_nano"), "{given}");
        }
        for given in ["time_unix_nan", "timeUnixNanos", "timeunixnano", "TimeUnixNano", "time_unixNan", ""] {
            assert!(!is_named(given, "time_unix_nano"), "{given}");
        }
    }
}
