//! A client's filter in the form that sync asks (client-server API, "Filtering").
//!
//! [`SyncFilter`] holds every field of the definition that bears on sync. It only decides; nothing here
//! reads the store.

use ruma::{
    OwnedRoomId, OwnedUserId, RoomId, UserId,
    api::client::filter::{EventFormat, FilterDefinition, LazyLoadOptions, RoomEventFilter},
};

use super::{fields::EventFields, limits};
use crate::rooms::{EventFilter, allows_type};

/// What a client wants to see.
#[derive(Debug, Clone, Default)]
pub struct SyncFilter {
    /// The fields that events are reduced to; `None` for all.
    pub event_fields: Option<EventFields>,
    /// True when events are wanted as they are federated.
    pub federation_format: bool,
    /// Account data that belongs to no room.
    pub account_data: TypeFilter,
    /// Who is there.
    pub presence: PresenceFilter,
    /// True when an initial sync should hold the rooms that the user has left.
    pub include_leave: bool,
    /// State events.
    pub state: EventFilter,
    /// Timeline events.
    pub timeline: EventFilter,
    /// Receipts and typing.
    pub ephemeral: TypeFilter,
    /// Account data of rooms.
    pub room_account_data: TypeFilter,
    /// How members are sent.
    pub members: LazyLoading,
    /// True when threads have unread counts of their own.
    pub thread_counts: bool,
    rooms: RoomSelection,
    timeline_limit: Option<usize>,
}

/// How members are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LazyLoading {
    /// All of them, as other state.
    #[default]
    Off,
    /// Those of senders, unless the device has them already.
    NewOnly,
    /// Those of senders, each time.
    Redundant,
}

impl LazyLoading {
    /// True when not all members are sent.
    pub fn is_on(self) -> bool {
        self != Self::Off
    }
}

impl SyncFilter {
    /// Takes over a definition.
    pub fn new(definition: &FilterDefinition) -> Self {
        let room = &definition.room;
        let account_data = &definition.account_data;
        Self {
            event_fields: definition.event_fields.as_deref().map(EventFields::new),
            federation_format: definition.event_format == EventFormat::Federation,
            account_data: TypeFilter {
                types: account_data.types.clone(),
                not_types: account_data.not_types.clone(),
                rooms: RoomSelection::default(),
            },
            presence: PresenceFilter {
                types: definition.presence.types.clone(),
                not_types: definition.presence.not_types.clone(),
                senders: definition.presence.senders.clone(),
                not_senders: definition.presence.not_senders.clone(),
            },
            include_leave: room.include_leave,
            state: EventFilter::from(room.state.clone()),
            timeline: EventFilter::from(room.timeline.clone()),
            ephemeral: TypeFilter::of_room(&room.ephemeral),
            room_account_data: TypeFilter::of_room(&room.account_data),
            members: match room.state.lazy_load_options {
                LazyLoadOptions::Disabled => LazyLoading::Off,
                LazyLoadOptions::Enabled { include_redundant_members: false } => LazyLoading::NewOnly,
                LazyLoadOptions::Enabled { include_redundant_members: true } => LazyLoading::Redundant,
            },
            thread_counts: room.timeline.unread_thread_notifications,
            rooms: RoomSelection { only: room.rooms.clone(), not: room.not_rooms.clone() },
            timeline_limit: room.timeline.limit.map(|it| usize::try_from(it).unwrap_or(usize::MAX)),
        }
    }

    /// True when anything of the room is wanted.
    pub fn allows_room(&self, room: &RoomId) -> bool {
        self.rooms.allows(room)
    }

    /// The most events in a room's timeline.
    pub fn timeline_limit(&self) -> usize {
        self.timeline_limit.unwrap_or(limits::TIMELINE_EVENTS_DEFAULT).min(limits::TIMELINE_EVENTS_MAX)
    }
}

/// Which data of one kind, where senders say nothing: account data, receipts, typing.
#[derive(Debug, Clone, Default)]
pub struct TypeFilter {
    types: Option<Vec<String>>,
    not_types: Vec<String>,
    rooms: RoomSelection,
}

impl TypeFilter {
    fn of_room(filter: &RoomEventFilter) -> Self {
        Self {
            types: filter.types.clone(),
            not_types: filter.not_types.clone(),
            rooms: RoomSelection { only: filter.rooms.clone(), not: filter.not_rooms.clone() },
        }
    }

    /// True when data of this kind is wanted of the room.
    pub fn allows_room(&self, room: &RoomId) -> bool {
        self.rooms.allows(room)
    }

    /// True when data of this type is wanted.
    pub fn allows_type(&self, event_type: &str) -> bool {
        allows_type(self.types.as_deref(), &self.not_types, event_type)
    }
}

/// Whose presence.
#[derive(Debug, Clone, Default)]
pub struct PresenceFilter {
    types: Option<Vec<String>>,
    not_types: Vec<String>,
    senders: Option<Vec<OwnedUserId>>,
    not_senders: Vec<OwnedUserId>,
}

impl PresenceFilter {
    /// True when events of this type are wanted.
    pub fn allows_type(&self, event_type: &str) -> bool {
        allows_type(self.types.as_deref(), &self.not_types, event_type)
    }

    /// True when this user's presence is wanted.
    pub fn allows_sender(&self, user: &UserId) -> bool {
        !self.not_senders.iter().any(|not| not == user)
            && self.senders.as_ref().is_none_or(|only| only.iter().any(|only| only == user))
    }
}

/// Which rooms.
#[derive(Debug, Clone, Default)]
struct RoomSelection {
    only: Option<Vec<OwnedRoomId>>,
    not: Vec<OwnedRoomId>,
}

impl RoomSelection {
    fn allows(&self, room: &RoomId) -> bool {
        !self.not.iter().any(|not| not == room)
            && self.only.as_ref().is_none_or(|only| only.iter().any(|only| only == room))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::room_id;
    use serde_json::json;

    fn filter(definition: serde_json::Value) -> SyncFilter {
        SyncFilter::new(&serde_json::from_value(definition).unwrap())
    }

    #[test]
    fn excluded_rooms_win() {
        let filter = filter(json!({"room": {
            "rooms": ["!a:x", "!b:x"], "not_rooms": ["!b:x"],
            "ephemeral": {"not_rooms": ["!a:x"]},
        }}));
        assert!(filter.allows_room(room_id!("!a:x")) && !filter.ephemeral.allows_room(room_id!("!a:x")));
        assert!(!filter.allows_room(room_id!("!b:x")) && !filter.allows_room(room_id!("!c:x")));
    }

    #[test]
    fn an_empty_list_takes_nothing_and_an_absent_one_everything() {
        let none = filter(json!({"room": {"ephemeral": {"types": []}}, "account_data": {"types": []}}));
        assert!(!none.ephemeral.allows_type("m.typing") && !none.account_data.allows_type("m.direct"));
        let all = filter(json!({}));
        assert!(all.ephemeral.allows_type("m.typing") && all.account_data.allows_type("m.direct"));
    }

    #[test]
    fn limits_are_bounded() {
        assert_eq!(filter(json!({})).timeline_limit(), limits::TIMELINE_EVENTS_DEFAULT);
        let limit = |limit: u64| filter(json!({"room": {"timeline": {"limit": limit}}})).timeline_limit();
        assert_eq!((limit(0), limit(30), limit(1 << 50)), (0, 30, limits::TIMELINE_EVENTS_MAX));
    }

    #[test]
    fn lazy_loading_is_an_option_of_the_state() {
        let lazy = |state| filter(json!({"room": {"state": state}})).members;
        assert_eq!(lazy(json!({})), LazyLoading::Off);
        assert_eq!(lazy(json!({"lazy_load_members": true})), LazyLoading::NewOnly);
        let redundant = json!({"lazy_load_members": true, "include_redundant_members": true});
        assert_eq!(lazy(redundant), LazyLoading::Redundant);
    }
}
