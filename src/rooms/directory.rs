//! The published room directory ([listing rooms]).
//!
//! Cost: a listing reads one row and one member count for each published room, at most
//! [`limits::DIRECTORY_ROOMS_MAX`], and the state of the rooms that it shows or searches. That is right for
//! servers with hundreds of published rooms; a derived row in order of size would make it a page's cost.
//!
//! [listing rooms]: https://spec.matrix.org/v1.19/client-server-api/#published-room-directory

use std::{cmp::Reverse, fmt, str::FromStr};

use ruma::{
    OwnedServerName, RoomId, ServerName, UInt,
    directory::{Filter, PublicRoomsChunk, PublicRoomsChunkInit, RoomTypeFilter},
    room::JoinRuleKind,
};

use super::{EventStore, History, Permissions, ReadError, RoomError, RoomIndex, RoomStates, Viewer, limits};
use crate::{
    matrix::event::Event,
    storage::{
        Direction, Read, ShortRoomId, Storage, StorageError, Transaction,
        records::RoomRecord,
        tables::{MEMBER_COUNTS, PUBLIC_ROOMS},
    },
};

/// Why the directory could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// This server is not in such a room.
    #[error("Room not found")]
    UnknownRoom,
    /// Only who may set the room's main alias publishes it.
    #[error("You may not change whether this room is listed")]
    NotAllowed,
    /// The directory lists as many rooms as it can.
    #[error("The directory lists {} rooms already", limits::DIRECTORY_ROOMS_MAX)]
    Full,
    /// The room could not be read.
    #[error(transparent)]
    Room(#[from] RoomError),
}

impl From<StorageError> for DirectoryError {
    fn from(error: StorageError) -> Self {
        Self::Room(error.into())
    }
}

/// A room's place in the listing: most joined members first, then the longest known.
type Place = (Reverse<u64>, ShortRoomId);

/// Where a page starts or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryToken {
    /// The rooms after this place.
    After(u64, ShortRoomId),
    /// The rooms before this place.
    Before(u64, ShortRoomId),
}

impl fmt::Display for DirectoryToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(members, room) => write!(f, "n{members}_{}", room.0),
            Self::Before(members, room) => write!(f, "p{members}_{}", room.0),
        }
    }
}

impl FromStr for DirectoryToken {
    type Err = ReadError;

    fn from_str(text: &str) -> Result<Self, ReadError> {
        let parse = |place: &str| {
            let (members, room) = place.split_once('_')?;
            Some((members.parse().ok()?, ShortRoomId(room.parse().ok()?)))
        };
        let after = |(members, room)| Self::After(members, room);
        let before = |(members, room)| Self::Before(members, room);
        text.strip_prefix('n')
            .and_then(parse)
            .map(after)
            .or_else(|| text.strip_prefix('p').and_then(parse).map(before))
            .ok_or_else(|| ReadError::InvalidToken(text.to_owned()))
    }
}

/// A page of the directory.
#[derive(Debug)]
pub struct DirectoryPage {
    /// The rooms.
    pub rooms: Vec<PublicRoomsChunk>,
    /// Where to go on.
    pub next: Option<DirectoryToken>,
    /// Where to go back.
    pub previous: Option<DirectoryToken>,
    /// How many rooms are published, before filtering.
    pub total: usize,
}

/// The service for the directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RoomDirectory {
    storage: Storage,
    index: RoomIndex,
    events: EventStore,
    states: RoomStates,
    permissions: Permissions,
    server_name: OwnedServerName,
}

impl RoomDirectory {
    /// The directory of `server_name`, this server.
    pub fn new(
        storage: Storage,
        index: RoomIndex,
        events: EventStore,
        states: RoomStates,
        permissions: Permissions,
        server_name: OwnedServerName,
    ) -> Self {
        Self { storage, index, events, states, permissions, server_name }
    }

    /// True when this is the directory of `server`.
    pub fn is_of(&self, server: &ServerName) -> bool {
        self.server_name == server
    }

    /// True when a room is published.
    pub fn is_published(&self, room_id: &RoomId) -> Result<bool, DirectoryError> {
        let room = self.index.room(room_id)?.ok_or(DirectoryError::UnknownRoom)?;
        Ok(self.storage.contains(&PUBLIC_ROOMS, &room)?)
    }

    /// Publishes a room or takes it off the list.
    pub fn publish(&self, viewer: &Viewer, room_id: &RoomId, published: bool) -> Result<(), DirectoryError> {
        let room = self.index.room(room_id)?.ok_or(DirectoryError::UnknownRoom)?;
        if !self.permissions.may_set(viewer, room, "m.room.canonical_alias")? {
            return Err(DirectoryError::NotAllowed);
        }
        self.storage.write(|tx| Self::put(tx, room, published))
    }

    /// [`publish`](Self::publish) for the transaction that makes a room.
    pub fn put(tx: &mut Transaction<'_>, room: ShortRoomId, published: bool) -> Result<(), DirectoryError> {
        if !published {
            tx.delete(&PUBLIC_ROOMS, &room);
            return Ok(());
        }
        let listed = tx.scan(&PUBLIC_ROOMS, &PUBLIC_ROOMS.all(), Direction::Forward);
        if listed.take(limits::DIRECTORY_ROOMS_MAX).count() >= limits::DIRECTORY_ROOMS_MAX {
            return Err(DirectoryError::Full);
        }
        tx.put(&PUBLIC_ROOMS, &room, &());
        Ok(())
    }

    /// The published rooms that pass the filter and that somebody is in, largest first. `limit` is kept between
    /// 1 and [`limits::DIRECTORY_PAGE_MAX`].
    pub fn page(
        &self,
        since: Option<DirectoryToken>,
        limit: usize,
        filter: &Filter,
    ) -> Result<DirectoryPage, RoomError> {
        let limit = limit.clamp(1, limits::DIRECTORY_PAGE_MAX);
        let places = self.places()?;
        let search = Search::of(filter);
        let (rooms, more) = match since {
            Some(DirectoryToken::Before(members, room)) => {
                let before = places.iter().rev().filter(|place| **place < (Reverse(members), room));
                let (mut rooms, more_before) = self.matching(before, limit, &search)?;
                rooms.reverse();
                (rooms, (more_before, true))
            }
            Some(DirectoryToken::After(members, room)) => {
                let after = places.iter().filter(|place| **place > (Reverse(members), room));
                let (rooms, more_after) = self.matching(after, limit, &search)?;
                (rooms, (true, more_after))
            }
            None => {
                let (rooms, more_after) = self.matching(places.iter(), limit, &search)?;
                (rooms, (false, more_after))
            }
        };
        let first = rooms.first().map(|((members, room), _)| DirectoryToken::Before(members.0, *room));
        let last = rooms.last().map(|((members, room), _)| DirectoryToken::After(members.0, *room));
        Ok(DirectoryPage {
            next: last.filter(|_| more.1),
            previous: first.filter(|_| more.0),
            rooms: rooms.into_iter().map(|(_, entry)| entry).collect(),
            total: places.len(),
        })
    }

    /// The published rooms with joined members, in order.
    fn places(&self) -> Result<Vec<Place>, RoomError> {
        let rooms = self.storage.scan(&PUBLIC_ROOMS, &PUBLIC_ROOMS.all(), Direction::Forward);
        let rooms = rooms.take(limits::DIRECTORY_ROOMS_MAX).map(|row| row.map(|(room, ())| room));
        let rooms = rooms.collect::<Result<Vec<_>, _>>()?;
        let counts = self.storage.get_many(&MEMBER_COUNTS, &rooms)?;
        let joined = counts.into_iter().map(|counts| counts.unwrap_or_default().0);
        let mut places: Vec<Place> =
            joined.zip(rooms).filter(|(joined, _)| *joined > 0).map(|(n, room)| (Reverse(n), room)).collect();
        places.sort_unstable();
        Ok(places)
    }

    /// The first `limit` rooms that match, and whether there are more.
    fn matching<'p>(
        &self,
        places: impl Iterator<Item = &'p Place>,
        limit: usize,
        search: &Search<'_>,
    ) -> Result<(Vec<(Place, PublicRoomsChunk)>, bool), RoomError> {
        let mut found = Vec::new();
        for place in places {
            let Some(record) = self.index.record(place.1)? else { continue };
            if !search.allows_type(&record) {
                continue;
            }
            let entry = self.entry(place, &record)?;
            if !search.allows(&entry) {
                continue;
            }
            if found.len() == limit {
                return Ok((found, true));
            }
            found.push((*place, entry));
        }
        Ok((found, false))
    }

    fn entry(&self, place: &Place, record: &RoomRecord) -> Result<PublicRoomsChunk, RoomError> {
        let (members, room) = *place;
        let current = self.index.current_state(room)?;
        let state = |event_type: &str| -> Result<Option<std::sync::Arc<Event>>, RoomError> {
            let Some(event) = self.states.get(current, event_type, "")? else { return Ok(None) };
            Ok(self.events.get(event)?.map(|stored| stored.event))
        };
        let text = |event_type: &str, key: &str| -> Result<Option<String>, RoomError> {
            let value = state(event_type)?.and_then(|event| event.content_field::<String>(key));
            Ok(value.filter(|text| !text.is_empty()))
        };
        let history =
            state("m.room.history_visibility")?.map_or(History::Shared, |event| History::of(&event));
        let mut entry = PublicRoomsChunk::from(PublicRoomsChunkInit {
            num_joined_members: UInt::new_saturating(members.0),
            room_id: self.storage.room_id(room)?,
            world_readable: history == History::WorldReadable,
            guest_can_join: text("m.room.guest_access", "guest_access")?.as_deref() == Some("can_join"),
        });
        entry.name = text("m.room.name", "name")?;
        entry.topic = text("m.room.topic", "topic")?;
        entry.canonical_alias =
            text("m.room.canonical_alias", "alias")?.and_then(|alias| alias.try_into().ok());
        entry.avatar_url = text("m.room.avatar", "url")?.map(Into::into);
        // A room without join rules is one that only the invited may join.
        entry.join_rule = text("m.room.join_rules", "join_rule")?.map_or(JoinRuleKind::Invite, Into::into);
        entry.room_type = record.room_type.as_deref().map(Into::into);
        Ok(entry)
    }
}

/// A filter, ready to be asked.
struct Search<'f> {
    words: Option<String>,
    room_types: &'f [RoomTypeFilter],
}

impl<'f> Search<'f> {
    fn of(filter: &'f Filter) -> Self {
        let words = filter.generic_search_term.as_deref().map(str::trim).filter(|words| !words.is_empty());
        Self { words: words.map(str::to_lowercase), room_types: &filter.room_types }
    }

    fn allows_type(&self, record: &RoomRecord) -> bool {
        self.room_types.is_empty()
            || self.room_types.iter().any(|wanted| wanted.as_str() == record.room_type.as_deref())
    }

    /// True when the name, topic or alias contains the words, in any case.
    fn allows(&self, entry: &PublicRoomsChunk) -> bool {
        let Some(words) = &self.words else { return true };
        let alias = entry.canonical_alias.as_ref().map(|alias| alias.as_str());
        let texts = [entry.name.as_deref(), entry.topic.as_deref(), alias];
        texts.into_iter().flatten().any(|text| text.to_lowercase().contains(words))
    }
}
