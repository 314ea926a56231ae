//! Push rows.

use ruma::OwnedDeviceId;
use serde::{Deserialize, Serialize};

use crate::storage::{
    codec::{CodecError, Key},
    short_ids::{ShortEventId, ShortRoomId, StreamPosition, TimelineKey},
    value::Value,
};

/// A pusher: where a user's notifications are sent to, by HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PusherRecord {
    /// The number of its queue; a pusher that is set anew keeps it.
    pub number: u64,
    /// Names the application, for people.
    pub app_display_name: String,
    /// Names the device, for people.
    pub device_display_name: String,
    /// The profile of rules that the client means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_tag: Option<String>,
    /// The language of notifications.
    pub lang: String,
    /// `url`, perhaps `format`, and what the gateway gets besides.
    pub data: serde_json::Map<String, serde_json::Value>,
    /// The device whose session has set it; it ends with that.
    pub device_id: OwnedDeviceId,
    /// Where it began: only what came later is pushed.
    pub since: StreamPosition,
    /// When the push key was last set, in milliseconds since 1970.
    pub set_ms: u64,
    /// Whether it is on (MSC3881).
    pub enabled: bool,
}

/// An event to be pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedPush {
    /// The room.
    pub room: ShortRoomId,
    /// The event.
    pub event: ShortEventId,
    /// Its place in the timeline; `None` for an invite to a room of another server.
    pub key: Option<TimelineKey>,
    /// `highlight`, `sound` and the like, as the rules set them.
    pub tweaks: serde_json::Map<String, serde_json::Value>,
    /// When it was queued, in milliseconds since 1970.
    pub queued_ms: u64,
}

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
