//! The first half of a deletion: local users leave, the room is taken off the directory, and where the
//! administrator wants it, everybody is brought to a new room that says why.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedUserId, RoomId};

use super::{DeletionId, RoomDeletions};
use crate::{
    rooms::{
        Aliases, RoomDirectory, RoomError,
        appender::ClientTransaction,
        creation::{NewRoom, Preset},
        sending::Message,
    },
    storage::{
        Direction, Read, ShortRoomId, StorageError,
        records::{Membership, RoomDeletionRecord},
        tables::{ALIASES, ROOM_ALIASES},
    },
};

/// The level of those brought to the new room: they may read it.
const LEVEL_OF_THE_MOVED: i32 = -10;

impl RoomDeletions {
    pub(super) fn shut_down(&self, id: DeletionId, record: &mut RoomDeletionRecord) -> Result<(), RoomError> {
        let sources = &self.inner.sources;
        let Some(room) = sources.appender.index().room(&record.room_id)? else { return Ok(()) };
        if record.new_room.is_none()
            && let Some(user) = record.new_room_user.clone()
        {
            record.new_room = Some(self.make_new_room(user, record)?);
            self.save(id, record)?;
        }
        record.not_kicked.clear();
        for user in self.local_users(room)? {
            match sources.memberships.leave(&user, &record.room_id, None) {
                Ok(()) => record.kicked.push(user.clone()),
                Err(RoomError::Storage(error)) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(%user, room_id = %record.room_id, "a user could not be made to leave: {error}");
                    record.not_kicked.push(user.clone());
                    continue;
                }
            }
            if let Some(new_room) = &record.new_room
                && let Err(error) = sources.memberships.join(&user, new_room, None)
            {
                tracing::warn!(%user, %new_room, "a user could not be brought to the new room: {error}");
            }
            self.save(id, record)?;
        }
        self.unlist(room, record)
    }

    /// The users of this server who are in the room, invited, or wait to be let in.
    fn local_users(&self, room: ShortRoomId) -> Result<Vec<OwnedUserId>, StorageError> {
        let appender = &self.inner.sources.appender;
        let mut users = Vec::new();
        for membership in [Membership::Join, Membership::Invite, Membership::Knock] {
            for row in appender.index().members(room, membership) {
                let user = self.storage().user_id(row?.0)?;
                if user.server_name() == appender.server_name() {
                    users.push(user);
                }
            }
        }
        Ok(users)
    }

    fn make_new_room(
        &self,
        user: OwnedUserId,
        record: &RoomDeletionRecord,
    ) -> Result<ruma::OwnedRoomId, RoomError> {
        let sources = &self.inner.sources;
        let default = CanonicalJsonValue::Integer(LEVEL_OF_THE_MOVED.into());
        let power_level_override = CanonicalJsonObject::from([("users_default".to_owned(), default)]);
        let new_room = sources.creator.create(&NewRoom {
            preset: Some(Preset::PublicChat),
            name: Some(record.new_room_name.clone()),
            power_level_override,
            ..NewRoom::by(user.clone())
        })?;
        let body = CanonicalJsonValue::String(record.message.clone());
        let msgtype = CanonicalJsonValue::String("m.text".to_owned());
        let content = CanonicalJsonObject::from([("body".to_owned(), body), ("msgtype".to_owned(), msgtype)]);
        let message =
            Message { event_type: "m.room.message".to_owned(), content, at_ms: None, sticky_ms: None };
        let transaction = self.transaction(&user, &new_room)?;
        sources.sender.send(&new_room, &user, message, &transaction)?;
        Ok(new_room)
    }

    fn transaction(&self, user: &OwnedUserId, room: &RoomId) -> Result<ClientTransaction, RoomError> {
        let user = self.storage().short_user_id(user)?;
        let user = user.ok_or_else(|| RoomError::Forbidden("The user is not known".to_owned()))?;
        Ok(ClientTransaction {
            user,
            device: "DELETION".into(),
            path: "deletion".to_owned(),
            transaction_id: room.to_string(),
        })
    }

    /// Takes the room out of the directory, and its aliases away or to the new room.
    fn unlist(&self, room: ShortRoomId, record: &mut RoomDeletionRecord) -> Result<(), RoomError> {
        let new_room = match &record.new_room {
            Some(new_room) => self.storage().short_room_id(new_room)?,
            None => None,
        };
        let aliases = self.storage().write(|rows| {
            let range = ROOM_ALIASES.prefix(&(room,));
            let keys =
                rows.scan(&ROOM_ALIASES, &range, Direction::Forward).map(|row| row.map(|(key, ())| key));
            let keys = keys.collect::<Result<Vec<_>, _>>()?;
            match new_room {
                Some(new_room) => Aliases::move_all(rows, room, new_room)?,
                None => {
                    for key in &keys {
                        rows.delete(&ROOM_ALIASES, key);
                        rows.delete(&ALIASES, &key.1);
                    }
                }
            }
            RoomDirectory::put(rows, room, false)
                .map_err(|error| RoomError::BadContent(error.to_string()))?;
            Ok::<_, RoomError>(keys.into_iter().map(|(_, alias)| alias).collect::<Vec<_>>())
        })?;
        record.aliases.extend(aliases);
        Ok(())
    }
}
