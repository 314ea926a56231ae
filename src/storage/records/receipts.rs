//! Receipts' rows.

use crate::storage::{
    codec::{CodecError, Key},
    short_ids::{ShortEventId, ShortUserId, TimelineKey},
    value::Value,
};

/// Who is told of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ReceiptKind {
    /// `m.read`: everybody in the room.
    Read = 1,
    /// `m.read.private`: the user's own devices.
    ReadPrivate = 2,
}

impl Key for ReceiptKind {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }

    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        match u8::decode(input)? {
            1 => Ok(Self::Read),
            2 => Ok(Self::ReadPrivate),
            other => Err(CodecError::invalid("receipt kind", other)),
        }
    }
}

/// One receipt: a user has read a room, or a thread of it, up to an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptRow {
    /// Who has read.
    pub user: ShortUserId,
    /// Who is told.
    pub kind: ReceiptKind,
    /// The event read up to.
    pub event: ShortEventId,
    /// The event's place in the timeline: a receipt only moves to larger ones.
    pub key: TimelineKey,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The thread: empty for none (the whole room), `main`, or the thread root's event id.
    pub thread: String,
}

impl Value for ReceiptRow {
    fn to_value(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(40);
        (self.user, self.kind, self.event, self.key, self.at_ms).encode(&mut out);
        self.thread.encode(&mut out);
        out
    }

    fn from_value(mut bytes: &[u8]) -> Result<Self, CodecError> {
        let (user, kind, event, key, at_ms) = Key::decode(&mut bytes)?;
        let thread = Key::from_bytes(bytes)?;
        Ok(Self { user, kind, event, key, at_ms, thread })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn receipts_round_trip(user: u64, event: u64, key: i64, at_ms: u64, private: bool, thread in ".{0,20}") {
            let kind = if private { ReceiptKind::ReadPrivate } else { ReceiptKind::Read };
            let row = ReceiptRow {
                user: ShortUserId(user),
                kind,
                event: ShortEventId(event),
                key: TimelineKey(key),
                at_ms,
                thread,
            };
            prop_assert_eq!(ReceiptRow::from_value(&row.to_value()).unwrap(), row);
        }
    }
}
