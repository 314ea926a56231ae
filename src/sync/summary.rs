//! What a client needs to show a room in a list: how many members, and who stands for a room without a name
//! (client-server API, `GET /sync`, "RoomSummary").

use ruma::OwnedUserId;

use super::limits;
use crate::{
    rooms::{EventStore, RoomError, RoomIndex, RoomStates},
    state::tree::StateRoot,
    storage::{Read, ShortRoomId, ShortUserId, Storage, StorageError, records::Membership},
};

/// Reads summaries. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Summaries {
    storage: Storage,
    index: RoomIndex,
    events: EventStore,
    states: RoomStates,
}

/// A room's members in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSummary {
    /// How many are joined.
    pub joined: u64,
    /// How many are invited.
    pub invited: u64,
    /// Who stands for the room; `None` when it has a name or an alias.
    pub heroes: Option<Vec<(ShortUserId, OwnedUserId)>>,
}

impl Summaries {
    /// Over the rooms' members and states.
    pub fn new(storage: Storage, index: RoomIndex, events: EventStore, states: RoomStates) -> Self {
        Self { storage, index, events, states }
    }

    /// The summary of a room in a state, for a user.
    pub fn read(
        &self,
        room: ShortRoomId,
        state: StateRoot,
        reader: ShortUserId,
    ) -> Result<MemberSummary, RoomError> {
        let (joined, invited) = self.index.member_counts(room)?;
        let heroes = if self.has_name(state)? { None } else { Some(self.heroes(room, reader)?) };
        Ok(MemberSummary { joined, invited, heroes })
    }

    /// The state keys whose change may give a room heroes or take them away.
    pub fn name_keys(&self) -> Result<Vec<crate::storage::ShortStateKeyId>, StorageError> {
        let mut keys = Vec::with_capacity(2);
        for (event_type, _) in NAME_FIELDS {
            keys.extend(self.storage.short_state_key_id(event_type, "")?);
        }
        Ok(keys)
    }

    fn has_name(&self, state: StateRoot) -> Result<bool, RoomError> {
        for (event_type, field) in NAME_FIELDS {
            let Some(short) = self.states.get(state, event_type, "")? else { continue };
            let Some(stored) = self.events.get(short)? else { continue };
            if stored.event.content_field::<String>(field).is_some_and(|name| !name.is_empty()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The first members but the reader, joined ones before invited ones; those who left if nobody else is
    /// there. In the order in which this server first saw them, which does not change.
    fn heroes(
        &self,
        room: ShortRoomId,
        reader: ShortUserId,
    ) -> Result<Vec<(ShortUserId, OwnedUserId)>, StorageError> {
        let mut heroes = self.first_members(room, reader, [Membership::Join, Membership::Invite])?;
        if heroes.is_empty() {
            heroes = self.first_members(room, reader, [Membership::Leave, Membership::Ban])?;
        }
        heroes.into_iter().map(|user| Ok((user, self.storage.user_id(user)?))).collect()
    }

    fn first_members(
        &self,
        room: ShortRoomId,
        reader: ShortUserId,
        memberships: [Membership; 2],
    ) -> Result<Vec<ShortUserId>, StorageError> {
        let mut users = Vec::with_capacity(limits::HEROES_MAX);
        for membership in memberships {
            for member in self.index.members(room, membership) {
                if users.len() >= limits::HEROES_MAX {
                    return Ok(users);
                }
                let (user, _) = member?;
                if user != reader {
                    users.push(user);
                }
            }
        }
        Ok(users)
    }
}

/// The state events that name a room, with the field of the name.
const NAME_FIELDS: [(&str, &str); 2] = [("m.room.name", "name"), ("m.room.canonical_alias", "alias")];
