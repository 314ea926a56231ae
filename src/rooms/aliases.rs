//! Names of rooms ([room aliases]): this server's own, kept here and not in the room's graph.
//!
//! [room aliases]: https://spec.matrix.org/v1.19/client-server-api/#room-aliases

use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedServerName, RoomAliasId, RoomId};

use super::{Permissions, ReadError, RoomError, Viewer, Visibility, limits};
use crate::storage::{
    Direction, Read, ShortRoomId, ShortUserId, Storage, StorageError, Transaction,
    tables::{ALIASES, ROOM_ALIASES},
};

/// Why an alias could not be made, removed or found.
#[derive(Debug, thiserror::Error)]
pub enum AliasError {
    /// Another room, or this one, has it.
    #[error("The room alias {0} already exists")]
    Taken(OwnedRoomAliasId),
    /// There is no such alias, or it is another server's, which this one can't ask.
    #[error("The room alias {0} was not found")]
    NotFound(OwnedRoomAliasId),
    /// Another server's alias can't be made or removed here.
    #[error("The room alias {0} belongs to another server")]
    NotLocal(OwnedRoomAliasId),
    /// Without a name before the colon.
    #[error("The room alias {0} has no name")]
    Nameless(OwnedRoomAliasId),
    /// The bound on one room's aliases.
    #[error("The room has {} aliases already", limits::ALIASES_PER_ROOM_MAX)]
    TooMany,
    /// Neither the alias's maker nor somebody who may set the room's main alias.
    #[error("You may not remove this room alias")]
    NotYours,
    /// The room can't be read by who asks.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<StorageError> for AliasError {
    fn from(error: StorageError) -> Self {
        Self::Read(error.into())
    }
}

impl From<RoomError> for AliasError {
    fn from(error: RoomError) -> Self {
        Self::Read(error.into())
    }
}

/// The service for aliases. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Aliases {
    storage: Storage,
    visibility: Visibility,
    permissions: Permissions,
    server_name: OwnedServerName,
}

impl Aliases {
    /// The aliases of `server_name`, this server.
    pub fn new(
        storage: Storage,
        visibility: Visibility,
        permissions: Permissions,
        server_name: OwnedServerName,
    ) -> Self {
        Self { storage, visibility, permissions, server_name }
    }

    /// Gives a room, which the maker must be in, one more alias.
    pub fn create(&self, maker: &Viewer, alias: &RoomAliasId, room_id: &RoomId) -> Result<(), AliasError> {
        self.check(alias)?;
        let room = self.visibility.joined(maker, room_id)?.room();
        self.storage.write(|tx| Self::put(tx, alias, room, maker.user))
    }

    /// Refuses an alias that this server can't have.
    pub fn check(&self, alias: &RoomAliasId) -> Result<(), AliasError> {
        if alias.server_name() != self.server_name {
            return Err(AliasError::NotLocal(alias.to_owned()));
        }
        if alias.alias().is_empty() { Err(AliasError::Nameless(alias.to_owned())) } else { Ok(()) }
    }

    /// Adds an alias that [`check`](Self::check) has passed; for the transaction that makes its room, too.
    pub fn put(
        tx: &mut Transaction<'_>,
        alias: &RoomAliasId,
        room: ShortRoomId,
        maker: ShortUserId,
    ) -> Result<(), AliasError> {
        if tx.contains(&ALIASES, &alias.to_owned())? {
            return Err(AliasError::Taken(alias.to_owned()));
        }
        let count = tx.scan(&ROOM_ALIASES, &ROOM_ALIASES.prefix(&(room,)), Direction::Forward).count();
        if count >= limits::ALIASES_PER_ROOM_MAX {
            return Err(AliasError::TooMany);
        }
        tx.put(&ALIASES, &alias.to_owned(), &(room, maker));
        tx.put(&ROOM_ALIASES, &(room, alias.to_owned()), &());
        Ok(())
    }

    /// Gives all aliases of one room to another; for the transaction that replaces the room.
    pub fn move_all(
        tx: &mut Transaction<'_>,
        from: ShortRoomId,
        to: ShortRoomId,
    ) -> Result<(), StorageError> {
        let range = ROOM_ALIASES.prefix(&(from,));
        let aliases =
            tx.scan(&ROOM_ALIASES, &range, Direction::Forward).map(|row| row.map(|(key, ())| key.1));
        for alias in aliases.collect::<Result<Vec<_>, _>>()? {
            if let Some((_, maker)) = tx.get(&ALIASES, &alias)? {
                tx.put(&ALIASES, &alias, &(to, maker));
                tx.put(&ROOM_ALIASES, &(to, alias.clone()), &());
            }
            tx.delete(&ROOM_ALIASES, &(from, alias));
        }
        Ok(())
    }

    /// Removes an alias: for its maker, and for who may set the room's `m.room.canonical_alias`. The room's
    /// state is left as it is. Answers the room that it named.
    pub fn remove(&self, remover: &Viewer, alias: &RoomAliasId) -> Result<OwnedRoomId, AliasError> {
        self.check(alias)?;
        let unknown = || AliasError::NotFound(alias.to_owned());
        let (room, maker) = self.storage.get(&ALIASES, &alias.to_owned())?.ok_or_else(unknown)?;
        if maker != remover.user && !self.permissions.may_set(remover, room, "m.room.canonical_alias")? {
            return Err(AliasError::NotYours);
        }
        self.storage.write(|tx| {
            // It may have been removed, or made anew for another room, since it was looked up.
            if tx.get(&ALIASES, &alias.to_owned())? != Some((room, maker)) {
                return Err(unknown());
            }
            tx.delete(&ALIASES, &alias.to_owned());
            tx.delete(&ROOM_ALIASES, &(room, alias.to_owned()));
            Ok(())
        })?;
        Ok(self.storage.room_id(room)?)
    }

    /// The room behind an alias of this server.
    pub fn room(&self, alias: &RoomAliasId) -> Result<Option<ShortRoomId>, StorageError> {
        Ok(self.storage.get(&ALIASES, &alias.to_owned())?.map(|(room, _)| room))
    }

    /// The room behind an alias, and the servers through which it can be joined.
    pub fn resolve(&self, alias: &RoomAliasId) -> Result<(OwnedRoomId, Vec<OwnedServerName>), AliasError> {
        let room = self.room(alias)?.ok_or_else(|| AliasError::NotFound(alias.to_owned()))?;
        Ok((self.storage.room_id(room)?, vec![self.server_name.clone()]))
    }

    /// This server's aliases of a room: for members, and for anybody if the room is world-readable.
    pub fn of_room(&self, viewer: &Viewer, room_id: &RoomId) -> Result<Vec<OwnedRoomAliasId>, AliasError> {
        let view = self.visibility.reader(viewer, room_id)?;
        if !view.is_joined() && !view.is_world_readable()? {
            return Err(ReadError::NotInRoom.into());
        }
        Ok(self.in_order(view.room())?)
    }

    /// This server's aliases of a room, for its administrators, who need not be in it.
    pub fn all_of_room(&self, room_id: &RoomId) -> Result<Vec<OwnedRoomAliasId>, AliasError> {
        match self.storage.short_room_id(room_id)? {
            Some(room) => Ok(self.in_order(room)?),
            None => Ok(Vec::new()),
        }
    }

    fn in_order(&self, room: ShortRoomId) -> Result<Vec<OwnedRoomAliasId>, StorageError> {
        let range = ROOM_ALIASES.prefix(&(room,));
        let rows = self.storage.scan(&ROOM_ALIASES, &range, Direction::Forward);
        rows.map(|row| row.map(|((_, alias), ())| alias)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::stored_room::{ALICE, BOB, CAROL, StoredRoom};
    use ruma::{room_alias_id, server_name};
    use serde_json::json;

    fn aliases(room: &StoredRoom) -> Aliases {
        let permissions = Permissions::new(room.index.clone(), room.events.clone(), room.states.clone());
        let server_name = server_name!("example.org").to_owned();
        Aliases::new(room.storage.clone(), room.visibility.clone(), permissions, server_name)
    }

    fn room_with_bob() -> StoredRoom {
        let mut room = StoredRoom::new();
        room.member(BOB, "join");
        room.set("m.room.power_levels", json!({"users": {ALICE: 100}}));
        room
    }

    #[test]
    fn an_alias_names_one_room() {
        let room = room_with_bob();
        let (aliases, bob) = (aliases(&room), room.viewer(BOB));
        let room_id = room.draft.room_id.clone().unwrap();
        let alias = room_alias_id!("#tea:example.org");
        aliases.create(&bob, alias, &room_id).unwrap();
        let taken = aliases.create(&bob, alias, &room_id);
        assert!(matches!(taken, Err(AliasError::Taken(_))));
        assert_eq!(aliases.resolve(alias).unwrap().0, room_id);
        assert_eq!(aliases.of_room(&bob, &room_id).unwrap(), [alias]);
        let carol = room.viewer(CAROL);
        assert!(matches!(aliases.of_room(&carol, &room_id), Err(AliasError::Read(ReadError::NotInRoom))));
        aliases.remove(&bob, alias).unwrap();
        assert!(matches!(aliases.resolve(alias), Err(AliasError::NotFound(_))));
        assert!(matches!(aliases.remove(&bob, alias), Err(AliasError::NotFound(_))));
        assert!(aliases.of_room(&bob, &room_id).unwrap().is_empty());
    }

    #[test]
    fn only_members_make_aliases_and_only_of_this_server() {
        let room = room_with_bob();
        let (aliases, room_id) = (aliases(&room), room.draft.room_id.clone().unwrap());
        let create = |user, alias: &RoomAliasId, room_id: &RoomId| {
            aliases.create(&room.viewer(user), alias, room_id).unwrap_err()
        };
        let alias = room_alias_id!("#tea:example.org");
        assert!(matches!(create(CAROL, alias, &room_id), AliasError::Read(ReadError::NotInRoom)));
        let nowhere = ruma::room_id!("!nowhere:example.org");
        assert!(matches!(create(BOB, alias, nowhere), AliasError::Read(ReadError::NotInRoom)));
        let foreign = room_alias_id!("#tea:example.com");
        assert!(matches!(create(BOB, foreign, &room_id), AliasError::NotLocal(_)));
        assert!(matches!(aliases.resolve(foreign), Err(AliasError::NotFound(_))));
        let nameless = <&RoomAliasId>::try_from("#:example.org").unwrap();
        assert!(matches!(create(BOB, nameless, &room_id), AliasError::Nameless(_)));
    }

    #[test]
    fn an_alias_is_removed_by_its_maker_or_a_moderator() {
        let mut room = room_with_bob();
        room.member(CAROL, "join");
        let (aliases, room_id) = (aliases(&room), room.draft.room_id.clone().unwrap());
        let alias = room_alias_id!("#tea:example.org");
        aliases.create(&room.viewer(BOB), alias, &room_id).unwrap();
        let refused = aliases.remove(&room.viewer(CAROL), alias);
        assert!(matches!(refused, Err(AliasError::NotYours)));
        aliases.remove(&room.viewer(ALICE), alias).unwrap();
        assert!(aliases.room(alias).unwrap().is_none());
    }
}
