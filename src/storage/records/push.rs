//! Push rows.

use crate::storage::{
    codec::{CodecError, Key},
    short_ids::{ShortEventId, StreamPosition, TimelineKey},
    value::Value,
};

/// What a user has not read of a room, as far as it was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadRow {
    /// When the user joined: a row from before an earlier leaving says nothing.
    pub joined: StreamPosition,
    /// The newest event that was counted.
    pub counted_to: TimelineKey,
    /// The events that notify and are not read, oldest first.
    pub events: Vec<UnreadEvent>,
}

impl Default for UnreadRow {
    /// Nothing has been counted.
    fn default() -> Self {
        Self { joined: StreamPosition(0), counted_to: TimelineKey(0), events: Vec::new() }
    }
}

/// An event that notifies and is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnreadEvent {
    /// Its place in the room's timeline.
    pub key: TimelineKey,
    /// The root of its thread; `None` in the main timeline.
    pub thread: Option<ShortEventId>,
    /// True when it is shown highlighted.
    pub highlight: bool,
}

impl Value for UnreadRow {
    fn to_value(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + 17 * self.events.len());
        (self.joined, self.counted_to).encode(&mut out);
        for event in &self.events {
            (event.key, event.thread.unwrap_or_default(), event.highlight).encode(&mut out);
        }
        out
    }

    fn from_value(mut bytes: &[u8]) -> Result<Self, CodecError> {
        let (joined, counted_to) = Key::decode(&mut bytes)?;
        let mut events = Vec::with_capacity(bytes.len() / 17);
        while !bytes.is_empty() {
            let (key, thread, highlight) = Key::decode(&mut bytes)?;
            let thread = Some(thread).filter(|thread| *thread != ShortEventId(0));
            events.push(UnreadEvent { key, thread, highlight });
        }
        Ok(Self { joined, counted_to, events })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn unread_rows_round_trip(joined: u64, key: i64, events in prop::collection::vec((any::<i64>(), any::<u64>(), any::<bool>()), 0..5)) {
            let event = |(key, thread, highlight)| UnreadEvent {
                key: TimelineKey(key),
                thread: Some(ShortEventId(thread)).filter(|thread| thread.0 != 0),
                highlight,
            };
            let row = UnreadRow {
                joined: StreamPosition(joined),
                counted_to: TimelineKey(key),
                events: events.into_iter().map(event).collect(),
            };
            prop_assert_eq!(UnreadRow::from_value(&row.to_value()).unwrap(), row);
        }
    }
}
