//! Summaries of rooms, and who may have them ([room previews]).
//!
//! [room previews]: https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias

use std::sync::Arc;

use ruma::{
    OwnedRoomId, UInt,
    room::{JoinRuleSummary, RestrictedSummary, RoomSummary},
};
use serde_json::Value;

use super::super::{EventStore, History, RoomError, RoomIndex, RoomStates, limits};
use crate::{
    matrix::event::Event,
    state::tree::StateRoot,
    storage::{Read, ShortRoomId, ShortUserId, Storage, records::Membership},
};

/// Summarises rooms. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RoomSummaries {
    pub(super) storage: Storage,
    pub(super) index: RoomIndex,
    pub(super) events: EventStore,
    pub(super) states: RoomStates,
}

impl RoomSummaries {
    /// Over the rooms' current states.
    pub fn new(storage: Storage, index: RoomIndex, events: EventStore, states: RoomStates) -> Self {
        Self { storage, index, events, states }
    }

    /// The short id of a room that this server is in, or was.
    pub fn room(&self, room_id: &ruma::RoomId) -> Result<Option<ShortRoomId>, RoomError> {
        Ok(self.index.room(room_id)?)
    }

    /// A user's membership of a room.
    pub fn membership(&self, user: ShortUserId, room: ShortRoomId) -> Result<Option<Membership>, RoomError> {
        Ok(self.index.membership(user, room)?.map(|row| row.membership))
    }

    /// What is told of a room; `None` for one that this server does not know.
    pub fn summary(&self, room: ShortRoomId) -> Result<Option<RoomSummary>, RoomError> {
        let Some(record) = self.index.record(room)? else { return Ok(None) };
        let state = self.index.current_state(room)?;
        let text = |event_type: &str, key: &str| self.text(state, event_type, key);
        let (joined, _) = self.index.member_counts(room)?;
        let world_readable = self.is_world_readable(state)?;
        let guest_can_join = text("m.room.guest_access", "guest_access")?.as_deref() == Some("can_join");
        let mut summary = RoomSummary::new(
            self.storage.room_id(room)?,
            self.join_rule(state)?,
            guest_can_join,
            UInt::new_saturating(joined),
            world_readable,
        );
        summary.name = text("m.room.name", "name")?;
        summary.topic = text("m.room.topic", "topic")?;
        summary.avatar_url = text("m.room.avatar", "url")?.map(Into::into);
        summary.canonical_alias =
            text("m.room.canonical_alias", "alias")?.and_then(|alias| alias.try_into().ok());
        summary.encryption = text("m.room.encryption", "algorithm")?.map(Into::into);
        summary.room_type = record.room_type.as_deref().map(Into::into);
        summary.room_version = Some(record.version.clone());
        Ok(Some(summary))
    }

    /// True when a user who need not be in the room may know of it (client-server API,
    /// `GET /rooms/{roomId}/hierarchy`): a member or invited, who may join or knock, and anybody if the room
    /// is world-readable. `None` asks for who is not logged in.
    pub fn is_shown_to(&self, user: Option<ShortUserId>, room: ShortRoomId) -> Result<bool, RoomError> {
        let membership = user.map(|user| self.membership(user, room)).transpose()?.flatten();
        match membership {
            Some(Membership::Join | Membership::Invite | Membership::Knock) => return Ok(true),
            Some(Membership::Ban) => return self.is_world_readable(self.index.current_state(room)?),
            Some(Membership::Leave) | None => {}
        }
        self.is_open_to(room, |allowed| match user {
            Some(user) => Ok(self.membership(user, allowed)? == Some(Membership::Join)),
            None => Ok(false),
        })
    }

    /// True when anybody, or members of a room for which `is_member` says yes, may know of this room. For
    /// another server, `is_member` tells whether that server is in the room.
    pub fn is_open_to(
        &self,
        room: ShortRoomId,
        is_member: impl Fn(ShortRoomId) -> Result<bool, RoomError>,
    ) -> Result<bool, RoomError> {
        let state = self.index.current_state(room)?;
        match self.join_rule(state)? {
            JoinRuleSummary::Public | JoinRuleSummary::Knock | JoinRuleSummary::KnockRestricted(_) => {
                return Ok(true);
            }
            JoinRuleSummary::Restricted(restricted) => {
                for room_id in restricted.allowed_room_ids.iter().take(limits::ALLOWED_ROOMS_MAX) {
                    if let Some(allowed) = self.index.room(room_id)?
                        && is_member(allowed)?
                    {
                        return Ok(true);
                    }
                }
            }
            _ => {}
        }
        self.is_world_readable(state)
    }

    /// True when a user may know of a room that this server is not in, under the rules that another server has
    /// told: as [`is_shown_to`](Self::is_shown_to).
    pub fn is_foreign_shown_to(&self, user: ShortUserId, summary: &RoomSummary) -> Result<bool, RoomError> {
        if let Some(room) = self.room(&summary.room_id)?
            && let Some(Membership::Invite | Membership::Knock) = self.membership(user, room)?
        {
            return Ok(true);
        }
        match &summary.join_rule {
            JoinRuleSummary::Public | JoinRuleSummary::Knock | JoinRuleSummary::KnockRestricted(_) => {
                return Ok(true);
            }
            JoinRuleSummary::Restricted(restricted) => {
                for allowed in restricted.allowed_room_ids.iter().take(limits::ALLOWED_ROOMS_MAX) {
                    if let Some(allowed) = self.room(allowed)?
                        && self.membership(user, allowed)? == Some(Membership::Join)
                    {
                        return Ok(true);
                    }
                }
            }
            _ => {}
        }
        Ok(summary.world_readable)
    }

    fn is_world_readable(&self, state: StateRoot) -> Result<bool, RoomError> {
        let history = self.state_event(state, "m.room.history_visibility")?;
        Ok(history.is_some_and(|event| History::of(&event) == History::WorldReadable))
    }

    /// A room without join rules is one that only the invited may join.
    fn join_rule(&self, state: StateRoot) -> Result<JoinRuleSummary, RoomError> {
        let Some(event) = self.state_event(state, "m.room.join_rules")? else {
            return Ok(JoinRuleSummary::Invite);
        };
        let restricted = || RestrictedSummary::new(allowed_rooms(&event));
        Ok(match event.content_field::<String>("join_rule").as_deref() {
            Some("public") => JoinRuleSummary::Public,
            Some("knock") => JoinRuleSummary::Knock,
            Some("private") => JoinRuleSummary::Private,
            Some("restricted") => JoinRuleSummary::Restricted(restricted()),
            Some("knock_restricted") => JoinRuleSummary::KnockRestricted(restricted()),
            _ => JoinRuleSummary::Invite,
        })
    }

    fn text(&self, state: StateRoot, event_type: &str, key: &str) -> Result<Option<String>, RoomError> {
        let event = self.state_event(state, event_type)?;
        let text = event.and_then(|event| event.content_field::<String>(key));
        Ok(text.filter(|text| !text.is_empty()))
    }

    fn state_event(&self, state: StateRoot, event_type: &str) -> Result<Option<Arc<Event>>, RoomError> {
        let Some(short) = self.states.get(state, event_type, "")? else { return Ok(None) };
        Ok(self.events.get(short)?.map(|stored| stored.event))
    }
}

/// The rooms whose members may join; conditions of unknown form let nobody in.
fn allowed_rooms(join_rules: &Event) -> Vec<OwnedRoomId> {
    let conditions = join_rules.content_field::<Vec<Value>>("allow").unwrap_or_default();
    let room_of = |condition: &Value| {
        let is_room = condition.get("type").and_then(Value::as_str) == Some("m.room_membership");
        let room_id = condition.get("room_id").and_then(Value::as_str).filter(|_| is_room)?;
        OwnedRoomId::try_from(room_id).ok()
    };
    conditions.iter().filter_map(room_of).collect()
}
