//! Rooms as a space shows them: each with its summary and its links to the rooms in it.

use ruma::{OwnedRoomId, room::RoomSummary};

use super::{RoomSummaries, SpaceLink};
use crate::{
    rooms::{RoomError, limits},
    storage::{Read, ShortRoomId},
};

/// A room with its links to the rooms in it, if it is a space.
#[derive(Debug, Clone)]
pub struct SpaceRoom {
    /// The room.
    pub summary: RoomSummary,
    /// Its links, in order.
    pub links: Vec<SpaceLink>,
}

/// A room with what is told of those in it, by one server to another.
#[derive(Debug, Clone)]
pub struct ServerHierarchy {
    /// The room asked for.
    pub room: SpaceRoom,
    /// Rooms in it that users of the server that asks may see or join.
    pub children: Vec<RoomSummary>,
    /// Rooms in it that they may not.
    pub inaccessible: Vec<OwnedRoomId>,
}

/// Reads spaces. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spaces {
    summaries: RoomSummaries,
}

impl Spaces {
    /// Over the rooms' summaries.
    pub fn new(summaries: RoomSummaries) -> Self {
        Self { summaries }
    }

    /// The summaries.
    pub fn summaries(&self) -> &RoomSummaries {
        &self.summaries
    }

    /// The room with its links, whoever asks; for another server's request, too.
    pub fn shown(&self, room: ShortRoomId, suggested_only: bool) -> Result<Option<SpaceRoom>, RoomError> {
        let Some(summary) = self.summaries.summary(room)? else { return Ok(None) };
        Ok(Some(SpaceRoom { summary, links: self.links(room, suggested_only)? }))
    }

    /// The links of a space, in order; none for what is no space.
    fn links(&self, room: ShortRoomId, suggested_only: bool) -> Result<Vec<SpaceLink>, RoomError> {
        let RoomSummaries { storage, index, events, states } = &self.summaries;
        let record = index.record(room)?;
        if record.is_none_or(|record| record.room_type.as_deref() != Some("m.space")) {
            return Ok(Vec::new());
        }
        let mut links = Vec::new();
        for (key, short) in states.without_members(index.current_state(room)?)? {
            let (event_type, _) = storage.state_key(key)?;
            if event_type != "m.space.child" {
                continue;
            }
            let Some(stored) = events.get(short)? else { continue };
            let link = SpaceLink::of_event(&stored.event).map_err(|source| RoomError::CorruptEvent {
                event_id: stored.event.event_id().to_owned(),
                source: source.into(),
            })?;
            links.extend(link.filter(|link| link.is_suggested || !suggested_only));
        }
        Ok(in_order(links))
    }
}

/// Links in the order of the specification, no more than are looked at.
pub(super) fn in_order(mut links: Vec<SpaceLink>) -> Vec<SpaceLink> {
    links.sort_by(|a, b| a.place().cmp(&b.place()));
    links.truncate(limits::SPACE_CHILDREN_MAX);
    links
}

impl ServerHierarchy {
    /// What another server has told, with its links read and put in order; those that are not valid are left
    /// out, and all of them if the room is no space.
    pub fn told(
        summary: RoomSummary,
        links: impl Iterator<Item = Box<serde_json::value::RawValue>>,
        children: Vec<RoomSummary>,
        inaccessible: Vec<OwnedRoomId>,
    ) -> Self {
        let is_space = summary.room_type == Some(ruma::room::RoomType::Space);
        let links = links.filter(|_| is_space).filter_map(SpaceLink::of_stripped);
        Self { room: SpaceRoom { summary, links: in_order(links.collect()) }, children, inaccessible }
    }
}
