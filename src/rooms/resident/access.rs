//! Whether another server may ask about a room.

use ruma::{RoomId, ServerName};

use super::{Resident, ResidentError, ServerView};
use crate::storage::ShortRoomId;

impl Resident {
    /// The room, for a server that may want to take part in it: a room that this server is in, that is
    /// federated, and whose access control list does not deny the server.
    pub fn open(&self, server: &ServerName, room_id: &RoomId) -> Result<ShortRoomId, ResidentError> {
        let room = self.index.room(room_id)?.ok_or(ResidentError::UnknownRoom)?;
        self.require_allowed(server, room)?;
        if !self.index.has_local_member(room)? {
            return Err(ResidentError::UnknownRoom);
        }
        let record = self.index.record(room)?.ok_or(ResidentError::UnknownRoom)?;
        if !record.federate {
            return Err(ResidentError::NotFederated);
        }
        Ok(room)
    }

    /// What a server that is in the room may see of it.
    pub fn member<'a>(
        &'a self,
        server: &'a ServerName,
        room_id: &RoomId,
    ) -> Result<ServerView<'a>, ResidentError> {
        let room = self.index.room(room_id)?.ok_or(ResidentError::UnknownRoom)?;
        self.view(server, room)
    }

    /// As [`member`](Self::member), for a room known by its short id.
    pub fn view<'a>(
        &'a self,
        server: &'a ServerName,
        room: ShortRoomId,
    ) -> Result<ServerView<'a>, ResidentError> {
        self.require_allowed(server, room)?;
        if !self.servers.is_in_room(room, server)? {
            return Err(ResidentError::NotInRoom(server.to_owned()));
        }
        ServerView::new(self, server, room)
    }

    /// Refuses a server that the room's access control list denies.
    pub fn require_allowed(&self, server: &ServerName, room: ShortRoomId) -> Result<(), ResidentError> {
        if self.acls.allows(server, room)? {
            Ok(())
        } else {
            Err(ResidentError::DeniedByAcl(server.to_owned()))
        }
    }
}
