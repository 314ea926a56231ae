//! Rooms that the user is invited to or knocks on: their stripped state.

use super::{
    Session, SyncError,
    response::{Events, InvitedRoom, KnockedRoom},
};
use crate::storage::{Read, ShortRoomId, tables::STRIPPED_STATE};

impl Session<'_> {
    /// An invite; `None` if it came from somebody whom the user ignores.
    pub(super) fn invited(&self, room: ShortRoomId) -> Result<Option<InvitedRoom>, SyncError> {
        if self.is_invited_by_ignored(room)? {
            return Ok(None);
        }
        Ok(Some(InvitedRoom { invite_state: self.stripped_state(room)? }))
    }

    /// A knock.
    pub(super) fn knocked(&self, room: ShortRoomId) -> Result<KnockedRoom, SyncError> {
        Ok(KnockedRoom { knock_state: self.stripped_state(room)? })
    }

    fn stripped_state(&self, room: ShortRoomId) -> Result<Events, SyncError> {
        let state = self.sources.storage.get(&STRIPPED_STATE, &(self.viewer().user, room))?;
        Ok(state.map(|state| state.0).unwrap_or_default().into())
    }

    /// "Servers must not send room invites from ignored users to clients."
    fn is_invited_by_ignored(&self, room: ShortRoomId) -> Result<bool, SyncError> {
        if self.ignored.is_empty() {
            return Ok(false);
        }
        let Some(row) = self.sources.index.membership(self.viewer().user, room)? else { return Ok(false) };
        let invite = self.sources.events.get(row.event)?;
        Ok(invite.is_some_and(|invite| self.ignored.contains(invite.event.sender())))
    }
}
