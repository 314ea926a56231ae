//! Which of a user's rooms a list holds. Decides in memory; what it needs was read before.

use std::{collections::HashSet, hash::Hash, sync::Arc};

use super::{
    request::ListFilters,
    user_rooms::{UserRoom, UserRooms},
};
use crate::{
    rooms::{RoomError, Viewer},
    storage::{
        Read, ShortRoomId,
        records::{Membership, RoomKind},
    },
    sync::v3::SyncSources,
};

/// A list's filters, ready to decide.
#[derive(Debug, Default)]
pub(super) struct Filter<'a> {
    wanted: Option<&'a ListFilters>,
    /// The children of the spaces that are asked for.
    children: Option<Vec<Arc<HashSet<ShortRoomId>>>>,
}

impl<'a> Filter<'a> {
    /// Reads what the filters need. What was read of spaces goes into `hasher`, so that a change of a space
    /// changes the hash.
    pub(super) fn new(
        wanted: Option<&'a ListFilters>,
        rooms: &mut UserRooms,
        sources: &SyncSources,
        viewer: &Viewer,
        hasher: &mut impl std::hash::Hasher,
    ) -> Result<Self, RoomError> {
        let Some(filters) = wanted else { return Ok(Self::default()) };
        if filters.tags.is_some() || filters.not_tags.is_some() {
            rooms.load_tags(sources, viewer.user)?;
        }
        if filters.is_encrypted.is_some() {
            rooms.load_encrypted(sources, viewer)?;
        }
        let mut children = None;
        for space in filters.spaces.iter().flatten() {
            let known = children.get_or_insert_with(Vec::new);
            let Some(space) = sources.storage.short_room_id(space)? else { continue };
            if let Some((root, of_space)) = rooms.children(sources, space)? {
                (space.0, root.to_bytes()).hash(hasher);
                known.push(of_space);
            }
        }
        // An empty list of spaces takes what is in none of them: nothing.
        if filters.spaces.is_some() {
            children.get_or_insert_with(Vec::new);
        }
        Ok(Self { wanted, children })
    }

    /// True when the list holds the room.
    pub(super) fn takes(
        &self,
        rooms: &UserRooms,
        room: ShortRoomId,
        entry: &UserRoom,
        sources: &SyncSources,
    ) -> bool {
        let Some(wanted) = self.wanted else { return true };
        wanted.is_dm.is_none_or(|is_dm| rooms.is_direct(room) == is_dm)
            && wanted.is_invite.is_none_or(|is_invite| (entry.membership == Membership::Invite) == is_invite)
            && wanted.is_encrypted.is_none_or(|is_encrypted| rooms.is_encrypted(room) == is_encrypted)
            && self.children.as_ref().is_none_or(|spaces| spaces.iter().any(|space| space.contains(&room)))
            && takes_tags(wanted, rooms.tags(room))
            && takes_type(wanted, room, entry, sources)
    }
}

fn takes_tags(wanted: &ListFilters, tags: &[String]) -> bool {
    let has_any = |names: &Vec<String>| names.iter().any(|name| tags.contains(name));
    wanted.tags.as_ref().is_none_or(has_any) && !wanted.not_tags.as_ref().is_some_and(has_any)
}

fn takes_type(wanted: &ListFilters, room: ShortRoomId, entry: &UserRoom, sources: &SyncSources) -> bool {
    if wanted.room_types.is_none() && wanted.not_room_types.is_none() {
        return true;
    }
    let other;
    let room_type = match entry.kind {
        RoomKind::Plain => None,
        RoomKind::Space => Some("m.space"),
        RoomKind::Other => {
            // Rare enough to look it up; records are cached.
            other = sources.index.record(room).ok().flatten();
            other.as_ref().and_then(|record| record.room_type.as_deref())
        }
    };
    let names = |types: &Vec<Option<String>>| types.iter().any(|named| named.as_deref() == room_type);
    wanted.room_types.as_ref().is_none_or(names) && !wanted.not_room_types.as_ref().is_some_and(names)
}
