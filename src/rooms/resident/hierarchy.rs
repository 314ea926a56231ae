//! A space as another server may see it (server-server API, "Spaces"). Costs the space's links and a few point reads
//! for each room that it links to.

use ruma::{RoomId, ServerName};

use super::{Resident, ResidentError};
use crate::{
    rooms::{RoomError, ServerHierarchy, Spaces},
    storage::ShortRoomId,
};

impl Resident {
    /// The room and its children, for `server`. A room that the server's users could neither see nor join is
    /// unknown to it.
    pub fn hierarchy(
        &self,
        spaces: &Spaces,
        server: &ServerName,
        room_id: &RoomId,
        suggested_only: bool,
    ) -> Result<ServerHierarchy, ResidentError> {
        let space = self.open(server, room_id)?;
        if !self.is_shown_to_server(spaces, server, space)? {
            return Err(ResidentError::UnknownRoom);
        }
        let room = spaces.shown(space, suggested_only)?.ok_or(ResidentError::UnknownRoom)?;
        let mut found = ServerHierarchy { room, children: Vec::new(), inaccessible: Vec::new() };
        for link in &found.room.links {
            let Some(child) = self.index.room(&link.room_id)? else { continue };
            // What this server is not in, others know better.
            if !self.index.has_local_member(child)? {
                continue;
            }
            if !self.acls.allows(server, child)? || !self.is_shown_to_server(spaces, server, child)? {
                found.inaccessible.push(link.room_id.clone());
            } else if let Some(summary) = spaces.summaries().summary(child)? {
                found.children.push(summary);
            }
        }
        Ok(found)
    }

    fn is_shown_to_server(
        &self,
        spaces: &Spaces,
        server: &ServerName,
        room: ShortRoomId,
    ) -> Result<bool, RoomError> {
        let is_member = |room| Ok(self.servers.is_in_room(room, server)?);
        Ok(is_member(room)? || spaces.summaries().is_open_to(room, is_member)?)
    }
}
