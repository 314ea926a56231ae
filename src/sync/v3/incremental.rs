//! What happened since a token. Visits the rooms that changed, not the user's rooms.

use std::collections::BTreeMap;

use super::{
    Session, SyncError, SyncToken,
    ephemeral::account_data_events,
    joined::Part,
    response::{LeftRoom, Rooms, SyncResponse},
};
use crate::{
    storage::{Read, ShortRoomId, StreamPosition, records::Membership},
    sync::window::Span,
    users::{AccountData, AccountDataEntry},
};

type DataByRoom = BTreeMap<ShortRoomId, Vec<AccountDataEntry>>;

impl Session<'_> {
    /// Everything after `since`, up to now.
    pub(super) fn incremental(&self, since: SyncToken) -> Result<SyncResponse, SyncError> {
        let mut rooms = Rooms::default();
        let (global, mut data_by_room) = self.changed_account_data(since.position)?;
        let span = Span { since: Some(since.position), until: self.until() };
        let own_changes = if since.position < self.until() {
            self.inner.changed.own_changes(self.viewer().user, span)?
        } else {
            BTreeMap::new()
        };
        for room in self.joined_rooms_to_visit(since, &data_by_room, &own_changes)? {
            let data = data_by_room.remove(&room).unwrap_or_default();
            self.add_joined(&mut rooms, room, since.position, data)?;
        }
        for (room, positions) in &own_changes {
            self.add_changed_membership(&mut rooms, *room, since.position, positions)?;
        }
        let account_data = account_data_events(&global, &self.filter().account_data)?;
        Ok(SyncResponse { account_data: account_data.into(), rooms, ..SyncResponse::default() })
    }

    fn changed_account_data(
        &self,
        since: StreamPosition,
    ) -> Result<(Vec<AccountDataEntry>, DataByRoom), SyncError> {
        let mut global = Vec::new();
        let mut by_room = DataByRoom::new();
        if since < self.until() {
            let user = self.viewer().user;
            for entry in AccountData::changed_since(&self.sources.storage, user, since, self.until())? {
                match entry.room {
                    Some(room) => by_room.entry(room).or_default().push(entry),
                    None => global.push(entry),
                }
            }
        }
        Ok((global, by_room))
    }

    /// The rooms that the user has been in all the time and that may have something to tell.
    fn joined_rooms_to_visit(
        &self,
        since: SyncToken,
        data: &DataByRoom,
        own_changes: &BTreeMap<ShortRoomId, Vec<StreamPosition>>,
    ) -> Result<Vec<ShortRoomId>, SyncError> {
        let changed = &self.inner.changed;
        let user = self.viewer().user;
        if self.request.full_state {
            let rooms = self.sources.index.rooms_of(user).map(|row| row.map(|(room, _)| room));
            let rooms = rooms.collect::<Result<Vec<_>, _>>()?;
            let rooms = rooms.into_iter().filter(|room| !own_changes.contains_key(room));
            return Ok(changed.joined(user, rooms, self.until())?);
        }
        let mut rooms = if since.position < self.until() {
            changed.on_server(since.position)?
        } else {
            std::collections::BTreeSet::new()
        };
        rooms.extend(data.keys());
        rooms.extend(self.sources.typing.rooms_since(since.typing));
        rooms.retain(|room| !own_changes.contains_key(room));
        Ok(changed.joined(user, rooms, self.until())?)
    }

    fn add_joined(
        &self,
        rooms: &mut Rooms,
        room: ShortRoomId,
        since: StreamPosition,
        data: Vec<AccountDataEntry>,
    ) -> Result<(), SyncError> {
        let room_id = self.sources.storage.room_id(room)?;
        if !self.filter().allows_room(&room_id) {
            return Ok(());
        }
        let part = if self.request.full_state { Part::NewsAndFullState(since) } else { Part::News(since) };
        let joined = self.joined(room, &room_id, part, data)?;
        if self.request.full_state || !joined.is_empty() {
            rooms.join.insert(room_id, joined);
        }
        Ok(())
    }

    /// A room that the user came to, or went from, since the token.
    fn add_changed_membership(
        &self,
        rooms: &mut Rooms,
        room: ShortRoomId,
        since: StreamPosition,
        positions: &[StreamPosition],
    ) -> Result<(), SyncError> {
        let room_id = self.sources.storage.room_id(room)?;
        if !self.filter().allows_room(&room_id) {
            return Ok(());
        }
        let changes = self.inner.changed.resolve(self.viewer().user, room, positions)?;
        let Some(last) = changes.last() else {
            // Nothing is known any more of how the user left: the room was deleted from this server.
            if self.sources.index.record(room)?.is_none() {
                rooms.leave.insert(room_id, LeftRoom::default());
            }
            return Ok(());
        };
        match last.after {
            Membership::Join => {
                let joined = self.joined(room, &room_id, Part::Whole, Vec::new())?;
                rooms.join.insert(room_id, joined);
            }
            Membership::Invite => {
                if let Some(invited) = self.invited(room)? {
                    rooms.invite.insert(room_id, invited);
                }
            }
            Membership::Knock => {
                rooms.knock.insert(room_id, self.knocked(room)?);
            }
            Membership::Leave | Membership::Ban => {
                if let Some(left) = self.left(room, &room_id, since, &changes)? {
                    rooms.leave.insert(room_id, left);
                }
            }
        }
        Ok(())
    }
}
