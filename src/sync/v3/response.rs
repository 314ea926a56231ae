//! The answer of `GET /sync`, in the form it is written.
//!
//! Events are JSON text already and are copied, not parsed again. ruma's own answer type is not used
//! because it knows `state_after` by one name only, while clients of MSC4222's time look for the other.

use std::collections::BTreeMap;

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use serde::Serialize;
use serde_json::value::RawValue;

/// An event as JSON text.
pub type EventJson = Box<RawValue>;

/// The whole answer.
#[derive(Debug, Default, Serialize)]
pub struct SyncResponse {
    /// The token for the next request.
    pub next_batch: String,
    /// The user's account data that belongs to no room.
    #[serde(skip_serializing_if = "Events::is_empty")]
    pub account_data: Events,
    /// Who is there.
    #[serde(skip_serializing_if = "Events::is_empty")]
    pub presence: Events,
    /// Rooms by the user's membership.
    #[serde(skip_serializing_if = "Rooms::is_empty")]
    pub rooms: Rooms,
    /// Messages sent to the device.
    #[serde(skip_serializing_if = "Events::is_empty")]
    pub to_device: Events,
    /// Whose devices and keys have changed.
    #[serde(skip_serializing_if = "DeviceLists::is_empty")]
    pub device_lists: DeviceLists,
    /// How many one-time keys of the device nobody has claimed, by algorithm.
    pub device_one_time_keys_count: BTreeMap<String, u64>,
    /// The algorithms of fallback keys that were not given out yet.
    pub device_unused_fallback_key_types: Vec<String>,
}

impl SyncResponse {
    /// True when there is nothing to tell but the token and what every answer has.
    pub fn is_empty(&self) -> bool {
        self.account_data.is_empty()
            && self.presence.is_empty()
            && self.rooms.is_empty()
            && self.to_device.is_empty()
            && self.device_lists.is_empty()
    }
}

/// Users by what happened to their devices.
#[derive(Debug, Default, Serialize)]
pub struct DeviceLists {
    /// Whose identity or cross-signing keys changed, and with whom the user now shares a room.
    pub changed: Vec<OwnedUserId>,
    /// With whom the user shares no room any more.
    pub left: Vec<OwnedUserId>,
}

impl DeviceLists {
    fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.left.is_empty()
    }
}

/// Rooms by the user's membership; each room stands in one of them.
#[derive(Debug, Default, Serialize)]
pub struct Rooms {
    /// Joined.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub join: BTreeMap<OwnedRoomId, JoinedRoom>,
    /// Invited.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub invite: BTreeMap<OwnedRoomId, InvitedRoom>,
    /// Knocked on.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub knock: BTreeMap<OwnedRoomId, KnockedRoom>,
    /// Left or banned from.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub leave: BTreeMap<OwnedRoomId, LeftRoom>,
}

impl Rooms {
    fn is_empty(&self) -> bool {
        self.join.is_empty() && self.invite.is_empty() && self.knock.is_empty() && self.leave.is_empty()
    }
}

/// A list of events.
#[derive(Debug, Default, Serialize)]
pub struct Events {
    /// The events.
    pub events: Vec<EventJson>,
}

impl Events {
    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

impl From<Vec<EventJson>> for Events {
    fn from(events: Vec<EventJson>) -> Self {
        Self { events }
    }
}

/// State changes, under the names that the request asked for.
#[derive(Debug, Default, Serialize)]
pub struct State {
    #[serde(rename = "state", skip_serializing_if = "Option::is_none")]
    before: Option<Events>,
    #[serde(rename = "state_after", skip_serializing_if = "Option::is_none")]
    after: Option<Events>,
    #[serde(rename = "org.matrix.msc4222.state_after", skip_serializing_if = "Option::is_none")]
    unstable_after: Option<Events>,
}

/// Up to which point of the timeline a room's state is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StateUpTo {
    /// The start of the timeline: `state`.
    #[default]
    TimelineStart,
    /// Its end: `state_after`, present even if empty.
    TimelineEnd,
    /// The same, under MSC4222's unstable name.
    TimelineEndUnstable,
}

impl State {
    /// The events under the right name, which is there even if there are none: matrix-nio demands it of rooms
    /// that were left, and with `state_after` its absence would mean something else.
    pub fn new(up_to: StateUpTo, events: Vec<EventJson>) -> Self {
        let events = Events { events };
        match up_to {
            StateUpTo::TimelineStart => Self { before: Some(events), ..Self::default() },
            StateUpTo::TimelineEnd => Self { after: Some(events), ..Self::default() },
            StateUpTo::TimelineEndUnstable => Self { unstable_after: Some(events), ..Self::default() },
        }
    }

    /// True when there are no events.
    pub fn is_empty(&self) -> bool {
        [&self.before, &self.after, &self.unstable_after]
            .into_iter()
            .all(|events| events.as_ref().is_none_or(Events::is_empty))
    }
}

/// The newest events of a room.
#[derive(Debug, Default, Serialize)]
pub struct Timeline {
    /// The events, oldest first.
    pub events: Vec<EventJson>,
    /// True when there are more since the last answer than the filter's limit.
    pub limited: bool,
    /// Where `/messages` finds what came before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_batch: Option<String>,
}

impl Timeline {
    fn is_empty(&self) -> bool {
        self.events.is_empty() && !self.limited
    }
}

/// A room that the user is in.
#[derive(Debug, Default, Serialize)]
pub struct JoinedRoom {
    /// What a client needs to show the room in a list.
    #[serde(skip_serializing_if = "Summary::is_empty")]
    pub summary: Summary,
    /// State changes.
    #[serde(flatten)]
    pub state: State,
    /// The newest events.
    #[serde(skip_serializing_if = "Timeline::is_empty")]
    pub timeline: Timeline,
    /// Typing and receipts; there even if there are none, as other servers have it.
    pub ephemeral: Events,
    /// Sticky events that the timeline does not have (MSC4354).
    #[serde(rename = "msc4354_sticky", skip_serializing_if = "Events::is_empty")]
    pub sticky: Events,
    /// The user's account data of the room; there even if there is none, as other servers have it.
    pub account_data: Events,
    /// Unread events, of the main timeline alone if threads are counted by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread_notifications: Option<UnreadCounts>,
    /// Unread events of threads, by the threads' roots.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unread_thread_notifications: BTreeMap<OwnedEventId, UnreadCounts>,
}

impl JoinedRoom {
    /// True when there is nothing to tell of the room. Counts alone are something to tell only if the
    /// caller put them there because they changed.
    pub fn is_empty(&self) -> bool {
        self.summary.is_empty()
            && self.state.is_empty()
            && self.timeline.is_empty()
            && self.sticky.is_empty()
            && self.ephemeral.is_empty()
            && self.account_data.is_empty()
            && self.unread_notifications.is_none()
    }
}

/// A room that the user has left.
#[derive(Debug, Default, Serialize)]
pub struct LeftRoom {
    /// State changes.
    #[serde(flatten)]
    pub state: State,
    /// The newest events up to the leaving.
    pub timeline: Timeline,
    /// The user's account data of the room.
    #[serde(skip_serializing_if = "Events::is_empty")]
    pub account_data: Events,
}

/// A room that the user is invited to.
#[derive(Debug, Default, Serialize)]
pub struct InvitedRoom {
    /// Stripped state.
    pub invite_state: Events,
}

/// A room that the user has knocked on.
#[derive(Debug, Default, Serialize)]
pub struct KnockedRoom {
    /// Stripped state.
    pub knock_state: Events,
}

/// What a client needs to show a room in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Members who stand for a room without a name.
    #[serde(rename = "m.heroes", skip_serializing_if = "Option::is_none")]
    pub heroes: Option<Vec<OwnedUserId>>,
    /// How many are joined.
    #[serde(rename = "m.joined_member_count", skip_serializing_if = "Option::is_none")]
    pub joined_member_count: Option<u64>,
    /// How many are invited.
    #[serde(rename = "m.invited_member_count", skip_serializing_if = "Option::is_none")]
    pub invited_member_count: Option<u64>,
}

impl Summary {
    fn is_empty(&self) -> bool {
        self.heroes.is_none() && self.joined_member_count.is_none() && self.invited_member_count.is_none()
    }
}

/// How much is unread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct UnreadCounts {
    /// Events that a push rule notifies of.
    pub notification_count: u64,
    /// Those that it highlights.
    pub highlight_count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_empty_is_not_written() {
        let response = SyncResponse { next_batch: "s1_1".to_owned(), ..SyncResponse::default() };
        assert!(response.is_empty());
        let expected = json!({
            "next_batch": "s1_1", "device_one_time_keys_count": {}, "device_unused_fallback_key_types": [],
        });
        assert_eq!(serde_json::to_value(&response).unwrap(), expected);
    }

    #[test]
    fn state_is_written_even_if_empty() {
        let state = |up_to| serde_json::to_value(State::new(up_to, Vec::new())).unwrap();
        assert_eq!(state(StateUpTo::TimelineStart), json!({"state": {"events": []}}));
        assert_eq!(state(StateUpTo::TimelineEnd), json!({"state_after": {"events": []}}));
        let unstable = json!({"org.matrix.msc4222.state_after": {"events": []}});
        assert_eq!(state(StateUpTo::TimelineEndUnstable), unstable);
    }

    #[test]
    fn events_are_copied_as_they_stand() {
        let event = RawValue::from_string(r#"{"b":1.0,"a":2}"#.to_owned()).unwrap();
        let mut response = SyncResponse { next_batch: "s1_1".to_owned(), ..SyncResponse::default() };
        let timeline = Timeline { events: vec![event], limited: false, prev_batch: None };
        let room = JoinedRoom { timeline, ..JoinedRoom::default() };
        response.rooms.join.insert("!a:x".try_into().unwrap(), room);
        let text = serde_json::to_string(&response).unwrap();
        assert!(text.contains(r#""timeline":{"events":[{"b":1.0,"a":2}],"limited":false}"#), "{text}");
    }
}
