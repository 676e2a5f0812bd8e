//! The fields of a protobuf message, as far as its bytes make sense.

use prost::encoding::{WireType, decode_key, decode_varint};

/// One field's value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    /// OTLP has no field of four bytes that the store reads.
    Fixed32,
    /// A text, bytes, a message or packed numbers. False: it says that it is longer than what is there.
    Bytes(&'a [u8], bool),
}

/// What follows a field.
pub(super) enum Next<'a> {
    Field(u32, Wire<'a>),
    End,
    /// The bytes from here on are no fields.
    Broken,
}

/// Takes the first field off `bytes`.
pub(super) fn next<'a>(bytes: &mut &'a [u8]) -> Next<'a> {
    loop {
        if bytes.is_empty() {
            return Next::End;
        }
        let Ok((tag, kind)) = decode_key(bytes) else { return Next::Broken };
        let value = match kind {
            WireType::Varint => decode_varint(bytes).ok().map(Wire::Varint),
            WireType::SixtyFourBit => take::<8>(bytes).map(|eight| Wire::Fixed64(u64::from_le_bytes(eight))),
            WireType::ThirtyTwoBit => take::<4>(bytes).map(|_| Wire::Fixed32),
            WireType::LengthDelimited => delimited(bytes),
            // Groups are of protobuf's first version. OTLP has none; what is in them is passed over.
            WireType::StartGroup if skip_group(bytes) => continue,
            WireType::StartGroup | WireType::EndGroup => None,
        };
        return value.map_or(Next::Broken, |value| Next::Field(tag, value));
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

fn delimited<'a>(bytes: &mut &'a [u8]) -> Option<Wire<'a>> {
    let length = usize::try_from(decode_varint(bytes).ok()?).unwrap_or(usize::MAX);
    let (value, rest) = bytes.split_at(length.min(bytes.len()));
    *bytes = rest;
    Some(Wire::Bytes(value, value.len() == length))
}

/// Whether the group has an end.
fn skip_group(bytes: &mut &[u8]) -> bool {
    let mut open = 1_usize;
    while open > 0 {
        let Ok((_, kind)) = decode_key(bytes) else { return false };
        let is_read = match kind {
            WireType::Varint => decode_varint(bytes).is_ok(),
            WireType::SixtyFourBit => take::<8>(bytes).is_some(),
            WireType::ThirtyTwoBit => take::<4>(bytes).is_some(),
            WireType::LengthDelimited => matches!(delimited(bytes), Some(Wire::Bytes(_, true))),
            WireType::StartGroup => {
                open += 1;
                true
            }
            WireType::EndGroup => {
                open -= 1;
                true
            }
        };
        if !is_read {
            return false;
        }
    }
    true
}
