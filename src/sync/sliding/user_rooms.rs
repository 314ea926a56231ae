//! A user's rooms in the order of their newest events, kept in memory between looks.
//!
//! Reading them costs a row of membership and a row of activity for each room, once; from then on changes move
//! the rooms that they concern. What filters ask for beside that (tags, encryption, children of spaces) is
//! read when a filter first asks. Memory is bounded; what was dropped is read again. The order may be ahead of
//! the position that an answer ends at, which only brings a room up early: what is told of it ends there.
//!
//! Main type: [`UserRooms`].

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use ruma::OwnedRoomId;

use super::{byte_lru::ByteLru, stripped};
use crate::{
    rooms::{RoomError, Viewer},
    state::tree::StateRoot,
    storage::{
        Direction, Read, ShortRoomId, ShortUserId, StorageError, StreamPosition,
        records::{Membership, MembershipRow, RoomActivity, RoomKind},
        tables::ROOM_ACTIVITY,
    },
    sync::{limits, v3::SyncSources},
    users::{AccountData, AccountDataEntry, InviteFilter},
};

/// The orders of users' rooms.
pub(super) struct UserRoomsCache {
    by_user: Mutex<ByteLru<ShortUserId, Arc<Mutex<UserRooms>>>>,
    /// Versions are never used twice, so that a set which was read anew is not taken for an older one.
    versions: AtomicU64,
}

impl UserRoomsCache {
    /// Nobody's yet; they take this many bytes at most.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { by_user: Mutex::new(ByteLru::new(bytes_max)), versions: AtomicU64::new(1) }
    }

    /// A user's rooms; they are read, or brought up to date, by [`UserRooms::update`].
    pub(super) fn of_user(&self, user: ShortUserId) -> Arc<Mutex<UserRooms>> {
        let mut by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        by_user.get(&user).unwrap_or_else(|| {
            let rooms = Arc::<Mutex<UserRooms>>::default();
            by_user.insert(user, rooms.clone(), size_of::<UserRooms>());
            rooms
        })
    }

    /// Says how large a user's rooms are now.
    pub(super) fn used(&self, user: ShortUserId, bytes: usize) {
        self.by_user.lock().unwrap_or_else(PoisonError::into_inner).weigh(&user, bytes);
    }

    fn next_version(&self) -> u64 {
        self.versions.fetch_add(1, Ordering::Relaxed)
    }
}

/// The children of a space, with the state that names them.
pub(super) type Children = (StateRoot, Arc<HashSet<ShortRoomId>>);

/// A room as lists see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UserRoom {
    /// Its place in the order: the newest event, or the user's membership where the user is not joined.
    pub(super) at: StreamPosition,
    /// The user's membership.
    pub(super) membership: Membership,
    /// What kind of room it is.
    pub(super) kind: RoomKind,
}

/// The rooms of one user: joined, invited, knocked on, and those that the user was removed from.
#[derive(Debug, Default)]
pub struct UserRooms {
    /// Up to where changes are known; `None` before anything was read.
    position: Option<StreamPosition>,
    version: u64,
    rooms: HashMap<ShortRoomId, UserRoom>,
    /// The newest last.
    order: Vec<(StreamPosition, ShortRoomId)>,
    direct: HashSet<ShortRoomId>,
    /// `None` until a filter asks.
    tags: Option<HashMap<ShortRoomId, Vec<String>>>,
    encrypted: Option<HashMap<ShortRoomId, bool>>,
    spaces: BTreeMap<ShortRoomId, Children>,
}

/// What may have changed since the order was last brought up to date.
#[derive(Debug, Default)]
pub(super) struct RoomChanges {
    /// Rooms of this server in which something happened.
    pub(super) rooms: BTreeSet<ShortRoomId>,
    /// Rooms in which the user's own membership changed.
    pub(super) own: BTreeSet<ShortRoomId>,
    /// The user's account data.
    pub(super) account_data: Vec<AccountDataEntry>,
}

impl UserRooms {
    /// Up to where changes are known.
    pub(super) fn position(&self) -> Option<StreamPosition> {
        self.position
    }

    /// Changes whenever a filter may take other rooms than before.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// A room, if it is among them.
    pub(super) fn get(&self, room: ShortRoomId) -> Option<&UserRoom> {
        self.rooms.get(&room)
    }

    /// The rooms, the one with the newest event first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = (ShortRoomId, &UserRoom)> {
        self.order.iter().rev().filter_map(|(_, room)| Some((*room, self.rooms.get(room)?)))
    }

    /// True when the user's account data calls the room a direct chat.
    pub(super) fn is_direct(&self, room: ShortRoomId) -> bool {
        self.direct.contains(&room)
    }

    /// The room's tags, once [`load_tags`](Self::load_tags) was called.
    pub(super) fn tags(&self, room: ShortRoomId) -> &[String] {
        self.tags.as_ref().and_then(|tags| tags.get(&room)).map_or(&[], Vec::as_slice)
    }

    /// Whether the room is encrypted, once [`load_encrypted`](Self::load_encrypted) was called.
    pub(super) fn is_encrypted(&self, room: ShortRoomId) -> bool {
        self.encrypted.as_ref().is_some_and(|encrypted| encrypted.get(&room) == Some(&true))
    }

    /// About how many bytes this takes.
    pub(super) fn bytes(&self) -> usize {
        let tags = self.tags.iter().flat_map(HashMap::values).map(|tags| 48 * tags.len() + 48);
        let spaces = self.spaces.values().map(|(_, children)| 16 * children.len() + 96);
        let encrypted = self.encrypted.as_ref().map_or(0, |encrypted| 18 * encrypted.len());
        size_of::<Self>()
            + (size_of::<UserRoom>() + 12) * self.rooms.capacity()
            + 16 * self.order.capacity()
            + 12 * self.direct.capacity()
            + encrypted
            + tags.sum::<usize>()
            + spaces.sum::<usize>()
    }

    /// Reads the rooms, or applies what has changed since [`position`](Self::position).
    pub(super) fn update(
        &mut self,
        sources: &SyncSources,
        cache: &UserRoomsCache,
        viewer: &Viewer,
        changes: &RoomChanges,
        until: StreamPosition,
    ) -> Result<(), RoomError> {
        // Whose invites the user takes decides which invites are there.
        let is_about_invites =
            |entry: &AccountDataEntry| entry.room.is_none() && InviteFilter::is_set_by(&entry.event_type);
        if self.position.is_none() || changes.account_data.iter().any(is_about_invites) {
            *self = Self::default();
            self.read(sources, viewer)?;
            self.version = cache.next_version();
        } else if self.apply(sources, viewer, changes)? {
            self.version = cache.next_version();
        }
        self.position = Some(until);
        Ok(())
    }

    fn read(&mut self, sources: &SyncSources, viewer: &Viewer) -> Result<(), RoomError> {
        let mut rows = sources.index.rooms_of(viewer.user).collect::<Result<Vec<_>, _>>()?;
        let mut listed = Listed::new(sources, viewer)?;
        let mut failure = None;
        rows.retain(|(room, row)| match listed.lists(*room, row) {
            Ok(lists) => lists,
            Err(e) => {
                failure = Some(e);
                false
            }
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        let activities = activities(sources, &rows)?;
        self.rooms.reserve(rows.len());
        self.order.reserve(rows.len());
        for ((room, row), activity) in rows.into_iter().zip(activities) {
            let entry = entry(sources, viewer.user, room, &row, activity)?;
            self.rooms.insert(room, entry);
            self.order.push((entry.at, room));
        }
        self.order.sort_unstable();
        self.direct = direct_rooms(sources, viewer.user)?;
        Ok(())
    }

    /// True when a filter may take other rooms than before.
    fn apply(
        &mut self,
        sources: &SyncSources,
        viewer: &Viewer,
        changes: &RoomChanges,
    ) -> Result<bool, RoomError> {
        let mut changed_set = false;
        if !changes.own.is_empty() {
            let mut listed = Listed::new(sources, viewer)?;
            for room in &changes.own {
                let row = sources.index.membership(viewer.user, *room)?;
                let row = match row {
                    Some(row) if listed.lists(*room, &row)? => Some(row),
                    _ => None,
                };
                self.set(sources, viewer.user, *room, row)?;
                changed_set = true;
            }
        }
        let moved: Vec<_> = changes
            .rooms
            .iter()
            .copied()
            .filter(|room| self.rooms.get(room).is_some_and(|room| room.membership == Membership::Join))
            .collect();
        for (room, activity) in moved.iter().zip(sources.storage.get_many(&ROOM_ACTIVITY, &moved)?) {
            self.move_to(*room, activity.unwrap_or_default());
            changed_set |= self.refresh_encrypted(sources, viewer, *room)?;
        }
        for entry in &changes.account_data {
            changed_set |= self.apply_account_data(sources, viewer, entry)?;
        }
        Ok(changed_set)
    }

    fn set(
        &mut self,
        sources: &SyncSources,
        user: ShortUserId,
        room: ShortRoomId,
        row: Option<MembershipRow>,
    ) -> Result<(), RoomError> {
        if let Some(before) = self.rooms.remove(&room) {
            self.take_place(before.at, room);
        }
        if let Some(encrypted) = &mut self.encrypted {
            encrypted.remove(&room);
        }
        let Some(row) = row else { return Ok(()) };
        let activity = sources.storage.get(&ROOM_ACTIVITY, &room)?.unwrap_or_default();
        let entry = entry(sources, user, room, &row, activity)?;
        self.rooms.insert(room, entry);
        self.give_place(entry.at, room);
        Ok(())
    }

    fn move_to(&mut self, room: ShortRoomId, activity: RoomActivity) {
        let Some(entry) = self.rooms.get_mut(&room) else { return };
        let before = entry.at;
        if activity.newest > before {
            entry.at = activity.newest;
            self.take_place(before, room);
            self.give_place(activity.newest, room);
        }
    }

    fn take_place(&mut self, at: StreamPosition, room: ShortRoomId) {
        if let Ok(place) = self.order.binary_search(&(at, room)) {
            self.order.remove(place);
        }
    }

    fn give_place(&mut self, at: StreamPosition, room: ShortRoomId) {
        if let Err(place) = self.order.binary_search(&(at, room)) {
            self.order.insert(place, (at, room));
        }
    }

    fn apply_account_data(
        &mut self,
        sources: &SyncSources,
        viewer: &Viewer,
        entry: &AccountDataEntry,
    ) -> Result<bool, RoomError> {
        match (entry.room, entry.event_type.as_str()) {
            (None, "m.direct") => {
                let direct = direct_rooms(sources, viewer.user)?;
                let changed = direct != self.direct;
                self.direct = direct;
                Ok(changed)
            }
            (Some(room), "m.tag") => {
                let Some(tags) = &mut self.tags else { return Ok(false) };
                let new = tag_names(entry);
                let changed = tags.get(&room).map_or(&[][..], Vec::as_slice) != new;
                tags.insert(room, new);
                Ok(changed)
            }
            _ => Ok(false),
        }
    }

    /// Reads the tags of all rooms, if that was not done before.
    pub(super) fn load_tags(&mut self, sources: &SyncSources, user: ShortUserId) -> Result<(), StorageError> {
        if self.tags.is_none() {
            let all = AccountData::all(&sources.storage, user)?;
            let tagged = all.iter().filter(|entry| entry.event_type == "m.tag");
            self.tags = Some(tagged.filter_map(|entry| Some((entry.room?, tag_names(entry)))).collect());
        }
        Ok(())
    }

    /// Reads which rooms are encrypted, if that was not done before.
    pub(super) fn load_encrypted(&mut self, sources: &SyncSources, viewer: &Viewer) -> Result<(), RoomError> {
        let mut encrypted = self.encrypted.take().unwrap_or_default();
        for (room, entry) in &self.rooms {
            if !encrypted.contains_key(room) {
                encrypted.insert(*room, is_encrypted(sources, viewer, *room, entry.membership)?);
            }
        }
        self.encrypted = Some(encrypted);
        Ok(())
    }

    /// A room that is encrypted stays so; true when one has come to be.
    fn refresh_encrypted(
        &mut self,
        sources: &SyncSources,
        viewer: &Viewer,
        room: ShortRoomId,
    ) -> Result<bool, RoomError> {
        let Some(known) = self.encrypted.as_mut().and_then(|encrypted| encrypted.get_mut(&room)) else {
            return Ok(false);
        };
        if !*known {
            *known = is_encrypted(sources, viewer, room, Membership::Join)?;
            return Ok(*known);
        }
        Ok(false)
    }

    /// The children of a space that the user is joined to, with the state that names them; `None` for others.
    pub(super) fn children(
        &mut self,
        sources: &SyncSources,
        space: ShortRoomId,
    ) -> Result<Option<Children>, RoomError> {
        if self.rooms.get(&space).is_none_or(|room| room.membership != Membership::Join) {
            return Ok(None);
        }
        let root = sources.index.current_state(space)?;
        if let Some(known) = self.spaces.get(&space).filter(|(known, _)| *known == root) {
            return Ok(Some(known.clone()));
        }
        let children = Arc::new(space_children(sources, root)?);
        if self.spaces.len() >= limits::SPACES_REMEMBERED_MAX {
            self.spaces.clear();
        }
        self.spaces.insert(space, (root, children.clone()));
        Ok(Some((root, children)))
    }
}

/// Decides which rooms are in a user's list.
struct Listed<'a> {
    sources: &'a SyncSources,
    viewer: &'a Viewer,
    invites: InviteFilter,
}

impl<'a> Listed<'a> {
    fn new(sources: &'a SyncSources, viewer: &'a Viewer) -> Result<Self, StorageError> {
        let invites = InviteFilter::of(&sources.storage, viewer.user, &viewer.user_id)?;
        Ok(Self { sources, viewer, invites })
    }

    /// Rooms that the user left are not listed, as the user knows; those that somebody else removed the user
    /// from are. Invites that the user does not take are not.
    fn lists(&mut self, room: ShortRoomId, row: &MembershipRow) -> Result<bool, RoomError> {
        match row.membership {
            _ if row.forgotten => Ok(false),
            Membership::Join | Membership::Knock => Ok(true),
            Membership::Invite => {
                let invite = self.sources.events.get(row.event)?;
                Ok(invite.is_none_or(|invite| self.invites.shows(invite.event.sender())))
            }
            Membership::Leave | Membership::Ban => {
                let Some(meta) = self.sources.events.meta(row.event)? else { return Ok(false) };
                Ok(meta.sender != self.viewer.user
                    && self.sources.visibility.view(self.viewer, room)?.was_joined())
            }
        }
    }
}

fn entry(
    sources: &SyncSources,
    user: ShortUserId,
    room: ShortRoomId,
    row: &MembershipRow,
    activity: RoomActivity,
) -> Result<UserRoom, StorageError> {
    let at = match row.membership {
        // A room of which no event was seen yet stands where the user came to it.
        Membership::Join => activity.newest.max(row.position),
        _ => row.position,
    };
    let kind = match row.membership {
        Membership::Invite | Membership::Knock if activity == RoomActivity::default() => {
            RoomKind::of(stripped::room_type(sources, user, room)?.as_deref())
        }
        _ => activity.kind,
    };
    Ok(UserRoom { at, membership: row.membership, kind })
}

/// The activity of each of these rooms, which are in the order of their short ids.
fn activities(
    sources: &SyncSources,
    rows: &[(ShortRoomId, MembershipRow)],
) -> Result<Vec<RoomActivity>, StorageError> {
    let (Some((first, _)), Some((last, _))) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
    let storage = &sources.storage;
    // Rooms that lie close together are read in one go: a point read costs several times a step of a scan.
    let span = last.0 - first.0;
    if span / 4 > rows.len() as u64 {
        let keys: Vec<_> = rows.iter().map(|(room, _)| *room).collect();
        let found = storage.get_many(&ROOM_ACTIVITY, &keys)?;
        return Ok(found.into_iter().map(Option::unwrap_or_default).collect());
    }
    let range = ROOM_ACTIVITY.between(first, &ShortRoomId(last.0.saturating_add(1)));
    let mut scanned = storage.scan(&ROOM_ACTIVITY, &range, Direction::Forward).peekable();
    let mut found = Vec::with_capacity(rows.len());
    for (room, _) in rows {
        while scanned.next_if(|row| row.as_ref().is_ok_and(|(other, _)| other < room)).is_some() {}
        let row = scanned.next_if(|row| row.as_ref().map_or(true, |(other, _)| other == room));
        found.push(row.transpose()?.map(|(_, activity)| activity).unwrap_or_default());
    }
    Ok(found)
}

/// The rooms that the account data calls direct chats.
fn direct_rooms(sources: &SyncSources, user: ShortUserId) -> Result<HashSet<ShortRoomId>, StorageError> {
    let storage = &sources.storage;
    let Some(content) = AccountData::read(storage, user, None, "m.direct")? else {
        return Ok(HashSet::new());
    };
    // What a client has put there and is no such list names no rooms.
    let by_user: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(content.get()).unwrap_or_default();
    let rooms = by_user.values().filter_map(serde_json::Value::as_array).flatten();
    let rooms = rooms.filter_map(|room| OwnedRoomId::try_from(room.as_str()?).ok());
    let mut direct = HashSet::new();
    for room in rooms {
        direct.extend(storage.short_room_id(&room)?);
    }
    Ok(direct)
}

fn tag_names(entry: &AccountDataEntry) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Tags {
        tags: serde_json::Map<String, serde_json::Value>,
    }
    let tags = serde_json::from_str::<Tags>(entry.content.get()).ok();
    tags.map(|tags| tags.tags.into_iter().map(|(tag, _)| tag).collect()).unwrap_or_default()
}

fn is_encrypted(
    sources: &SyncSources,
    viewer: &Viewer,
    room: ShortRoomId,
    membership: Membership,
) -> Result<bool, RoomError> {
    const ENCRYPTION: &str = "m.room.encryption";
    let state = match membership {
        Membership::Join => Some(sources.index.current_state(room)?),
        Membership::Leave | Membership::Ban => sources.visibility.view(viewer, room)?.state()?,
        Membership::Invite | Membership::Knock => {
            return Ok(stripped::has_event(sources, viewer.user, room, ENCRYPTION)?);
        }
    };
    match state {
        Some(state) => Ok(sources.states.get(state, ENCRYPTION, "")?.is_some()),
        None => Ok(false),
    }
}

/// The rooms that a space's state names as its children. One that names no servers is none any more.
fn space_children(sources: &SyncSources, root: StateRoot) -> Result<HashSet<ShortRoomId>, RoomError> {
    let mut children = HashSet::new();
    for (key, event) in sources.states.without_members(root)? {
        let (event_type, state_key) = sources.storage.state_key(key)?;
        if event_type != "m.space.child" {
            continue;
        }
        let Ok(child) = OwnedRoomId::try_from(state_key) else { continue };
        let Some(child) = sources.storage.short_room_id(&child)? else { continue };
        let names_servers = sources.events.get(event)?.is_some_and(|stored| {
            stored.event.content_field::<Vec<String>>("via").is_some_and(|servers| !servers.is_empty())
        });
        if names_servers {
            children.insert(child);
        }
    }
    Ok(children)
}
