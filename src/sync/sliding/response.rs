//! The answer, in the form it is written. Events are JSON text already and are copied, not parsed again.

use std::collections::BTreeMap;

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use serde::Serialize;

use crate::sync::v3::response::EventJson;

/// The whole answer.
#[derive(Debug, Default, Serialize)]
pub struct SlidingResponse {
    /// The token for the next request.
    pub pos: String,
    /// What the request named itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txn_id: Option<String>,
    /// The lists that were asked for.
    pub lists: BTreeMap<String, ListResult>,
    /// The rooms that have something new.
    pub rooms: BTreeMap<OwnedRoomId, RoomResult>,
    /// What else was asked for.
    pub extensions: Extensions,
}

/// A list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ListResult {
    /// How many rooms are in it, within the ranges or not.
    pub count: u64,
}

/// A room. What is not there has not changed, or in an initial result is not set.
#[derive(Debug, Default, Serialize)]
pub struct RoomResult {
    /// The name from the room's state; null when it was taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Option<String>>,
    /// The picture from the room's state; null when it was taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<Option<String>>,
    /// Members who stand for a room without a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heroes: Option<Vec<Hero>>,
    /// True when this replaces all that the client knows of the room.
    #[serde(skip_serializing_if = "is_false")]
    pub initial: bool,
    /// True when the user's account data calls it a direct chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_dm: Option<bool>,
    /// Of invites and knocks: the state shown to who is not in the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invite_state: Option<Vec<EventJson>>,
    /// State events that were asked for, if they have changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_state: Vec<EventJson>,
    /// The newest events, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<EventJson>,
    /// True when the timeline holds older events too, as the limit has grown.
    #[serde(rename = "unstable_expanded_timeline", skip_serializing_if = "is_false")]
    pub expanded_timeline: bool,
    /// Where `/messages` finds what came before the timeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_batch: Option<String>,
    /// True when there is more since the last answer than the timeline holds.
    #[serde(skip_serializing_if = "is_false")]
    pub limited: bool,
    /// How many of the timeline's last events have happened since the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_live: Option<usize>,
    /// Orders rooms by what people take for activity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bump_stamp: Option<u64>,
    /// How many members are joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined_count: Option<u64>,
    /// How many are invited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invited_count: Option<u64>,
    /// Unread events that a push rule notifies of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification_count: Option<u64>,
    /// Those that it highlights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub highlight_count: Option<u64>,
}

/// A member who stands for a room without a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hero {
    /// Who.
    pub user_id: OwnedUserId,
    /// The name in this room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub displayname: Option<String>,
    /// The picture in this room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
}

/// What else was asked for.
#[derive(Debug, Default, Serialize)]
pub struct Extensions {
    /// Messages for the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_device: Option<ToDeviceResult>,
    /// Whose devices changed, and what is left of the device's keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e2ee: Option<E2eeResult>,
    /// The user's account data.
    #[serde(skip_serializing_if = "AccountData::is_empty")]
    pub account_data: AccountData,
    /// Who has read how far.
    #[serde(skip_serializing_if = "ByRoom::is_empty")]
    pub receipts: ByRoom<EventJson>,
    /// Who is typing.
    #[serde(skip_serializing_if = "ByRoom::is_empty")]
    pub typing: ByRoom<EventJson>,
    /// Which threads the user follows.
    #[serde(rename = "io.element.msc4308.thread_subscriptions", skip_serializing_if = "Option::is_none")]
    pub thread_subscriptions: Option<SubscriptionsResult>,
    /// Sticky events that the rooms' timelines do not have.
    #[serde(rename = "org.matrix.msc4354.sticky_events", skip_serializing_if = "StickyResult::is_empty")]
    pub sticky_events: StickyResult,
}

/// Sticky events by room.
#[derive(Debug, Default, Serialize)]
pub struct StickyResult {
    /// What the client sends as `since` once it has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_batch: Option<String>,
    /// The rooms.
    pub rooms: BTreeMap<OwnedRoomId, StickyRoom>,
}

impl StickyResult {
    fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.next_batch.is_none()
    }
}

/// Sticky events of a room.
#[derive(Debug, Default, Serialize)]
pub struct StickyRoom {
    /// The events, oldest first.
    pub events: Vec<EventJson>,
}

/// Which threads the user follows, by room and root: what has changed.
#[derive(Debug, Default, Serialize)]
pub struct SubscriptionsResult {
    /// Threads that the user now follows, or follows in another way.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub subscribed: BTreeMap<OwnedRoomId, BTreeMap<OwnedEventId, SubscriptionResult>>,
    /// Threads that the user follows no more.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unsubscribed: BTreeMap<OwnedRoomId, BTreeMap<OwnedEventId, UnsubscriptionResult>>,
    /// Where older changes are paged back, if this answer does not have all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_batch: Option<String>,
}

/// How a user follows a thread.
#[derive(Debug, Serialize)]
pub struct SubscriptionResult {
    /// True when a client has subscribed by itself.
    pub automatic: bool,
    /// Of two changes of a thread, that with the greater one is later.
    pub bump_stamp: u64,
}

/// That a user follows a thread no more.
#[derive(Debug, Serialize)]
pub struct UnsubscriptionResult {
    /// Of two changes of a thread, that with the greater one is later.
    pub bump_stamp: u64,
}

impl Extensions {
    /// True when there is nothing to tell of the user's data and rooms.
    pub fn is_empty(&self) -> bool {
        self.account_data.is_empty()
            && self.receipts.is_empty()
            && self.typing.is_empty()
            && self.thread_subscriptions.is_none()
            && self.sticky_events.rooms.is_empty()
    }
}

/// Messages for the device.
#[derive(Debug, Default, Serialize)]
pub struct ToDeviceResult {
    /// What the client sends as `since` once it has them.
    pub next_batch: String,
    /// The messages, oldest first.
    pub events: Vec<EventJson>,
}

/// Whose devices changed, and what is left of the device's keys.
#[derive(Debug, Default, Serialize)]
pub struct E2eeResult {
    /// Whose devices changed since the last answer.
    #[serde(skip_serializing_if = "DeviceListsResult::is_empty")]
    pub device_lists: DeviceListsResult,
    /// How many one-time keys are left, by algorithm.
    pub device_one_time_keys_count: BTreeMap<String, u64>,
    /// The algorithms of fallback keys that were not given out.
    pub device_unused_fallback_key_types: Vec<String>,
}

/// Whose devices changed.
#[derive(Debug, Default, Serialize)]
pub struct DeviceListsResult {
    /// Users to look at again.
    pub changed: Vec<OwnedUserId>,
    /// Users to forget.
    pub left: Vec<OwnedUserId>,
}

impl DeviceListsResult {
    fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.left.is_empty()
    }
}

/// The user's account data.
#[derive(Debug, Default, Serialize)]
pub struct AccountData {
    /// What belongs to no room.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub global: Vec<EventJson>,
    /// What belongs to rooms.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rooms: BTreeMap<OwnedRoomId, Vec<EventJson>>,
}

impl AccountData {
    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.global.is_empty() && self.rooms.is_empty()
    }
}

/// Something for each of several rooms.
#[derive(Debug, Serialize)]
pub struct ByRoom<T> {
    /// By room.
    pub rooms: BTreeMap<OwnedRoomId, T>,
}

impl<T> Default for ByRoom<T> {
    fn default() -> Self {
        Self { rooms: BTreeMap::new() }
    }
}

impl<T> ByRoom<T> {
    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_set_is_not_written() {
        let mut response = SlidingResponse { pos: "s1_2_3_4".to_owned(), ..SlidingResponse::default() };
        assert_eq!(
            serde_json::to_value(&response).unwrap(),
            json!({"pos": "s1_2_3_4", "lists": {}, "rooms": {}, "extensions": {}})
        );
        let room = RoomResult { name: Some(None), initial: true, num_live: Some(0), ..RoomResult::default() };
        response.rooms.insert("!a:x".try_into().unwrap(), room);
        assert_eq!(
            serde_json::to_value(&response.rooms).unwrap(),
            json!({"!a:x": {"name": null, "initial": true, "num_live": 0}})
        );
    }
}
