//! Rooms as administrators see them: in a list, and one by one.

use std::sync::Arc;

use ruma::{OwnedRoomId, OwnedUserId, RoomId};

use super::RoomAdministration;
use crate::{
    matrix::event::Event,
    rooms::{RoomError, limits},
    state::tree::StateRoot,
    storage::{
        Direction, Read, ShortRoomId, StorageError,
        records::Membership,
        tables::{DEVICES, LOCAL_MEMBERS, PUBLIC_ROOMS, ROOMS, TIMELINE},
    },
};

/// A room in a list.
#[derive(Debug, Clone)]
pub struct RoomOverview {
    /// The short id.
    pub room: ShortRoomId,
    /// The id.
    pub room_id: OwnedRoomId,
    /// The name.
    pub name: Option<String>,
    /// The main alias.
    pub canonical_alias: Option<String>,
    /// How many members are joined.
    pub joined_members: u64,
    /// How many of them are of this server.
    pub joined_local_members: usize,
    /// The version.
    pub version: String,
    /// Who made it.
    pub creator: Option<OwnedUserId>,
    /// How messages are encrypted.
    pub encryption: Option<String>,
    /// Whether users of other servers may take part.
    pub federatable: bool,
    /// Whether it stands in the public directory.
    pub public: bool,
    /// Who may join.
    pub join_rules: Option<String>,
    /// Whether guests may.
    pub guest_access: Option<String>,
    /// Who may read its history.
    pub history_visibility: Option<String>,
    /// What kind of room it is.
    pub room_type: Option<String>,
}

/// One room with everything.
#[derive(Debug, Clone)]
pub struct RoomDetails {
    /// As in a list.
    pub overview: RoomOverview,
    /// The topic.
    pub topic: Option<String>,
    /// The avatar's address.
    pub avatar: Option<String>,
    /// The devices of its local members.
    pub joined_local_devices: usize,
    /// The entries of its state.
    pub state_events: u64,
    /// Whether no local user is in it or remembers it.
    pub forgotten: bool,
    /// Whether it was closed.
    pub tombstoned: bool,
    /// The room that replaces it.
    pub replacement_room: Option<String>,
}

/// Which rooms are asked for; `None` for all.
#[derive(Debug, Clone, Default)]
pub struct RoomFilter {
    /// Part of the name or of the main alias's local part, in any case, or of the id.
    pub search_term: Option<String>,
    /// Those in the public directory, or those that are not.
    pub public: Option<bool>,
    /// Those without members, or those with some.
    pub empty: Option<bool>,
}

impl RoomFilter {
    fn takes(&self, room: &RoomOverview) -> bool {
        let contains = |text: &str, term: &str| text.to_lowercase().contains(&term.to_lowercase());
        let fits = self.search_term.as_deref().is_none_or(|term| {
            let alias = room.canonical_alias.as_deref().and_then(|alias| alias.split(':').next());
            room.name.as_deref().is_some_and(|name| contains(name, term))
                || alias.is_some_and(|alias| contains(alias, term))
                || room.room_id.as_str().contains(term)
        });
        fits && self.public.is_none_or(|public| public == room.public)
            && self.empty.is_none_or(|empty| empty == (room.joined_members == 0))
    }
}

impl RoomAdministration {
    /// All rooms of the server that the filter takes, in the order in which it came to know them.
    pub fn list(&self, filter: &RoomFilter) -> Result<Vec<RoomOverview>, RoomError> {
        let mut rooms = Vec::new();
        for row in self.storage.scan(&ROOMS, &ROOMS.all(), Direction::Forward) {
            let (room, _) = row?;
            rooms.extend(self.overview(room)?.filter(|room| filter.takes(room)));
        }
        Ok(rooms)
    }

    fn overview(&self, room: ShortRoomId) -> Result<Option<RoomOverview>, RoomError> {
        let Some(record) = self.index.record(room)? else { return Ok(None) };
        let state = self.index.current_state(room)?;
        let text = |event_type: &str, key: &str| self.text(state, event_type, key);
        let creator = self.state_event(state, "m.room.create")?.map(|create| create.sender().to_owned());
        Ok(Some(RoomOverview {
            room,
            room_id: self.storage.room_id(room)?,
            name: text("m.room.name", "name")?,
            canonical_alias: text("m.room.canonical_alias", "alias")?,
            joined_members: self.index.member_counts(room)?.0,
            joined_local_members: self.local_members(room).count(),
            version: record.version.to_string(),
            creator,
            encryption: text("m.room.encryption", "algorithm")?,
            federatable: record.federate,
            public: self.storage.contains(&PUBLIC_ROOMS, &room)?,
            join_rules: text("m.room.join_rules", "join_rule")?,
            guest_access: text("m.room.guest_access", "guest_access")?,
            history_visibility: text("m.room.history_visibility", "history_visibility")?,
            room_type: record.room_type.clone(),
        }))
    }

    /// Everything of one room.
    pub fn details(&self, room_id: &RoomId) -> Result<RoomDetails, RoomError> {
        let room = self.room(room_id)?;
        let missing = || RoomError::RoomNotFound(room_id.to_owned());
        let overview = self.overview(room)?.ok_or_else(missing)?;
        let state = self.index.current_state(room)?;
        let tombstone = self.state_event(state, "m.room.tombstone")?;
        let mut joined_local_devices = 0;
        for user in self.local_members(room) {
            joined_local_devices +=
                self.storage.scan(&DEVICES, &DEVICES.prefix(&(user?,)), Direction::Forward).count();
        }
        Ok(RoomDetails {
            topic: self.text(state, "m.room.topic", "topic")?,
            avatar: self.text(state, "m.room.avatar", "url")?,
            joined_local_devices,
            state_events: self.state_size(room)?,
            forgotten: overview.joined_local_members == 0 && self.is_forgotten(room)?,
            tombstoned: tombstone.is_some(),
            replacement_room: tombstone.and_then(|event| event.content_field("replacement_room")),
            overview,
        })
    }

    /// How many entries the room's state has.
    pub fn state_size(&self, room: ShortRoomId) -> Result<u64, RoomError> {
        self.states.len(self.index.current_state(room)?)
    }

    /// About how many bytes a room takes on disk: by the events of its timeline, as if all were as long as the newest.
    pub fn estimated_bytes(&self, room: ShortRoomId) -> Result<u64, RoomError> {
        let Some(head) = self.index.head(room)? else { return Ok(0) };
        let events = head.newest.0.saturating_sub(head.oldest.0).unsigned_abs();
        let range = TIMELINE.prefix(&(room,));
        let newest = self.storage.scan(&TIMELINE, &range, Direction::Backward).take(limits::EVENTS_SAMPLED);
        let (mut bytes, mut count) = (0, 0_u64);
        for row in newest {
            if let Some(stored) = self.events.get(row?.1.0)? {
                bytes += stored.event.json().len() as u64;
                count += 1;
            }
        }
        Ok(events.saturating_mul(bytes.checked_div(count).unwrap_or(0)))
    }

    /// The joined members of a room.
    pub fn members(&self, room_id: &RoomId) -> Result<Vec<OwnedUserId>, RoomError> {
        let members = self.index.members(self.room(room_id)?, Membership::Join);
        members.map(|row| Ok(self.storage.user_id(row?.0)?)).collect()
    }

    pub(super) fn local_members(
        &self,
        room: ShortRoomId,
    ) -> impl Iterator<Item = Result<crate::storage::ShortUserId, StorageError>> + '_ {
        let range = LOCAL_MEMBERS.prefix(&(room,));
        self.storage
            .scan(&LOCAL_MEMBERS, &range, Direction::Forward)
            .map(|row| row.map(|((_, user), ())| user))
    }

    /// Whether none of this server's users remembers the room.
    fn is_forgotten(&self, room: ShortRoomId) -> Result<bool, RoomError> {
        let own = self.appender.server_name();
        let all =
            [Membership::Join, Membership::Invite, Membership::Knock, Membership::Leave, Membership::Ban];
        for membership in all {
            for row in self.index.members(room, membership) {
                let user = row?.0;
                let is_local = self.storage.user_id(user)?.server_name() == own;
                if is_local && self.index.membership(user, room)?.is_some_and(|row| !row.forgotten) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    pub(super) fn text(
        &self,
        state: StateRoot,
        event_type: &str,
        key: &str,
    ) -> Result<Option<String>, RoomError> {
        let event = self.state_event(state, event_type)?;
        let text = event.and_then(|event| event.content_field::<String>(key));
        Ok(text.filter(|text| !text.is_empty()))
    }

    fn state_event(&self, state: StateRoot, event_type: &str) -> Result<Option<Arc<Event>>, RoomError> {
        let Some(short) = self.states.get(state, event_type, "")? else { return Ok(None) };
        Ok(self.events.get(short)?.map(|stored| stored.event))
    }
}
