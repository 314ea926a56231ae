//! What clients ask for. ruma's types know fewer filters than clients send, so these are our own.

use std::collections::BTreeMap;

use ruma::{OwnedRoomId, UserId};
use serde::Deserialize;

use super::required_state::RequiredState;
use crate::sync::{SyncError, limits};

/// The body of a request.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct SlidingBody {
    /// Tells the connections of a device apart.
    #[serde(default)]
    pub conn_id: Option<String>,
    /// Comes back with the answer.
    #[serde(default)]
    pub txn_id: Option<String>,
    /// Lists of rooms, by names that the client chooses.
    #[serde(default)]
    pub lists: BTreeMap<String, ListRequest>,
    /// Single rooms.
    #[serde(default)]
    pub room_subscriptions: BTreeMap<OwnedRoomId, RoomRequest>,
    /// What else is wanted.
    #[serde(default)]
    pub extensions: ExtensionsRequest,
}

/// A list of rooms.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ListRequest {
    /// Which places of the list are wanted, both ends included; without ranges all.
    #[serde(default)]
    pub ranges: Option<Vec<(u64, u64)>>,
    /// What is wanted of each room.
    #[serde(flatten)]
    pub room: RoomRequest,
    /// Which rooms are in the list.
    #[serde(default)]
    pub filters: Option<ListFilters>,
}

/// What is wanted of a room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct RoomRequest {
    /// State events by type and state key.
    #[serde(default)]
    pub required_state: Vec<(String, String)>,
    /// The most events of the timeline.
    #[serde(default)]
    pub timeline_limit: u64,
}

/// Which rooms are in a list: those for which all that is said here holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
pub struct ListFilters {
    /// Direct chats, or all others.
    #[serde(default)]
    pub is_dm: Option<bool>,
    /// Children of any of these spaces.
    #[serde(default)]
    pub spaces: Option<Vec<OwnedRoomId>>,
    /// Encrypted rooms, or all others.
    #[serde(default)]
    pub is_encrypted: Option<bool>,
    /// Invites, or all others.
    #[serde(default, alias = "is_invited")]
    pub is_invite: Option<bool>,
    /// Rooms of these types; null stands for rooms without one. ruma's clients leave an empty list out.
    #[serde(default)]
    pub room_types: Option<Vec<Option<String>>>,
    /// No rooms of these types, whatever `room_types` says.
    #[serde(default)]
    pub not_room_types: Option<Vec<Option<String>>>,
    /// Rooms with any of these tags.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// No rooms with any of these tags, whatever `tags` says.
    #[serde(default)]
    pub not_tags: Option<Vec<String>>,
}

/// What else is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ExtensionsRequest {
    /// Messages for the device.
    #[serde(default)]
    pub to_device: ToDeviceExtension,
    /// Whose devices changed, and what is left of the device's keys.
    #[serde(default)]
    pub e2ee: E2eeExtension,
    /// The user's account data.
    #[serde(default)]
    pub account_data: RoomExtension,
    /// Who has read how far.
    #[serde(default)]
    pub receipts: RoomExtension,
    /// Who is typing.
    #[serde(default)]
    pub typing: RoomExtension,
    /// Which threads the user follows (MSC4308).
    #[serde(default, rename = "io.element.msc4308.thread_subscriptions")]
    pub thread_subscriptions: SubscriptionsExtension,
    /// Events that are sticky (MSC4354).
    #[serde(default, rename = "org.matrix.msc4354.sticky_events")]
    pub sticky_events: StickyExtension,
}

/// Events that are sticky (MSC4354, MSC4480).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct StickyExtension {
    /// True when they are wanted.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// The most events of an answer.
    #[serde(default)]
    pub limit: Option<u64>,
    /// The `next_batch` of the last answer that arrived.
    #[serde(default)]
    pub since: Option<String>,
}

impl StickyExtension {
    /// Up to where events have arrived.
    pub(super) fn since(&self) -> Result<Option<u64>, SyncError> {
        let since = self.since.as_deref().filter(|since| !since.is_empty());
        since.map(|since| since.parse().map_err(|_| SyncError::InvalidSince)).transpose()
    }
}

/// Which threads the user follows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct SubscriptionsExtension {
    /// True when changes are wanted.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// The most changes of an answer.
    #[serde(default)]
    pub limit: Option<u64>,
}

/// Messages for the device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ToDeviceExtension {
    /// True when they are wanted.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// The most messages of an answer.
    #[serde(default)]
    pub limit: Option<u64>,
    /// The `next_batch` of the last answer that arrived.
    #[serde(default)]
    pub since: Option<String>,
}

impl ToDeviceExtension {
    /// Up to where messages have arrived.
    pub(super) fn since(&self) -> Result<Option<u64>, SyncError> {
        let since = self.since.as_deref().filter(|since| !since.is_empty());
        since.map(|since| since.parse().map_err(|_| SyncError::InvalidSince)).transpose()
    }
}

/// Whose devices changed, and what is left of the device's keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct E2eeExtension {
    /// True when it is wanted.
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// An extension that tells of rooms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
pub struct RoomExtension {
    /// True when it is wanted.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Of the rooms in which lists; `*` for all, as is the default.
    #[serde(default)]
    pub lists: Option<Vec<String>>,
    /// Of which of the single rooms; `*` for all, as is the default.
    #[serde(default)]
    pub rooms: Option<Vec<String>>,
}

impl RoomExtension {
    /// True when it is wanted.
    pub fn is_enabled(&self) -> bool {
        self.enabled == Some(true)
    }

    /// True when rooms in this list are told of.
    pub fn takes_list(&self, name: &str) -> bool {
        takes(self.lists.as_deref(), name)
    }

    /// True when this single room is told of.
    pub fn takes_room(&self, room_id: &str) -> bool {
        takes(self.rooms.as_deref(), room_id)
    }
}

fn takes(names: Option<&[String]>, name: &str) -> bool {
    names.is_none_or(|names| names.iter().any(|wanted| wanted == "*" || wanted == name))
}

impl SlidingBody {
    /// Refuses what is more than this server works through for one request.
    pub fn check(&self) -> Result<(), SyncError> {
        let too_many = |what: &'static str, max: usize| Err(SyncError::TooMuchAsked { what, max });
        if self.conn_id.as_ref().is_some_and(|id| id.len() > limits::CONNECTION_ID_BYTES_MAX) {
            return too_many("bytes in conn_id", limits::CONNECTION_ID_BYTES_MAX);
        }
        if self.lists.len() > limits::LISTS_MAX {
            return too_many("lists", limits::LISTS_MAX);
        }
        if self.room_subscriptions.len() > limits::SUBSCRIPTIONS_MAX {
            return too_many("room_subscriptions", limits::SUBSCRIPTIONS_MAX);
        }
        for list in self.lists.values() {
            let ranges = list.ranges.as_deref().unwrap_or_default();
            if ranges.len() > limits::RANGES_MAX {
                return too_many("ranges in a list", limits::RANGES_MAX);
            }
            if ranges.iter().any(|(first, last)| first > last) {
                return Err(SyncError::InvalidRange);
            }
        }
        self.extensions.to_device.since()?;
        let rooms = self.lists.values().map(|list| &list.room).chain(self.room_subscriptions.values());
        for room in rooms {
            if room.required_state.len() > limits::REQUIRED_STATE_MAX {
                return too_many("entries in required_state", limits::REQUIRED_STATE_MAX);
            }
        }
        Ok(())
    }
}

impl RoomRequest {
    /// The most events of the timeline.
    pub fn timeline_limit(&self) -> usize {
        usize::try_from(self.timeline_limit).unwrap_or(usize::MAX).min(limits::SLIDING_TIMELINE_MAX)
    }

    /// The wanted state, with `$ME` as the user who asks.
    pub(super) fn required_state(&self, user_id: &UserId) -> RequiredState {
        RequiredState::new(&self.required_state, user_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body(body: serde_json::Value) -> SlidingBody {
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn what_element_x_sends_is_understood() {
        let body = body(json!({
            "conn_id": "room-list",
            "lists": {"all_rooms": {
                "ranges": [[0, 19]],
                "timeline_limit": 1,
                "required_state": [["m.room.name", ""], ["m.room.member", "$LAZY"], ["m.room.member", "$ME"]],
                "filters": {"not_room_types": ["m.space", null]},
            }},
            "room_subscriptions": {"!a:x": {"required_state": [["m.room.pinned_events", ""]], "timeline_limit": 20}},
            "extensions": {
                "account_data": {"enabled": true},
                "receipts": {"enabled": true, "lists": [], "rooms": ["*"]},
                "typing": {"enabled": true, "lists": ["all_rooms"], "rooms": []},
                "to_device": {"enabled": true, "since": "1"},
            },
        }));
        body.check().unwrap();
        let list = &body.lists["all_rooms"];
        assert_eq!((list.ranges.as_deref(), list.room.timeline_limit()), (Some(&[(0, 19)][..]), 1));
        let types = list.filters.as_ref().unwrap().not_room_types.as_deref();
        assert_eq!(types, Some(&[Some("m.space".to_owned()), None][..]));
        let extensions = &body.extensions;
        assert!(
            extensions.account_data.takes_list("all_rooms") && extensions.account_data.takes_room("!a:x")
        );
        assert!(!extensions.receipts.takes_list("all_rooms") && extensions.receipts.takes_room("!a:x"));
        assert!(extensions.typing.takes_list("all_rooms") && !extensions.typing.takes_list("other"));
        assert!(!extensions.typing.takes_room("!a:x"));
    }

    #[test]
    fn too_much_is_refused() {
        let lists: serde_json::Map<_, _> =
            (0..=limits::LISTS_MAX).map(|n| (n.to_string(), json!({"timeline_limit": 1}))).collect();
        assert!(body(json!({"lists": lists})).check().is_err());
        assert!(body(json!({"lists": {"a": {"ranges": [[3, 2]]}}})).check().is_err());
        assert!(body(json!({"conn_id": "c".repeat(limits::CONNECTION_ID_BYTES_MAX + 1)})).check().is_err());
        assert!(
            body(json!({"lists": {"a": {"ranges": vec![[0, 1]; limits::RANGES_MAX + 1]}}})).check().is_err()
        );
        let required = vec![["m.a", ""]; limits::REQUIRED_STATE_MAX + 1];
        let subscriptions = json!({"!a:x": {"required_state": required}});
        assert!(body(json!({"room_subscriptions": subscriptions})).check().is_err());
        body(json!({})).check().unwrap();
    }
}
