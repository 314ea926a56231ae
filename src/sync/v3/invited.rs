//! Rooms that the user is invited to or knocks on: their stripped state.

use super::{
    Session, SyncError,
    response::{Events, InvitedRoom, KnockedRoom},
};
use crate::{
    storage::{Read, ShortRoomId, tables::STRIPPED_STATE},
    users::InviteFilter,
};

impl Session<'_> {
    /// An invite; `None` if it came from somebody whose invites the user does not take.
    pub(super) fn invited(&self, room: ShortRoomId) -> Result<Option<InvitedRoom>, SyncError> {
        if !self.is_shown(room)? {
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

    fn is_shown(&self, room: ShortRoomId) -> Result<bool, SyncError> {
        let viewer = self.viewer();
        let Some(row) = self.sources.index.membership(viewer.user, room)? else { return Ok(true) };
        let Some(invite) = self.sources.events.get(row.event)? else { return Ok(true) };
        let filter = InviteFilter::of(&self.sources.storage, viewer.user, &viewer.user_id)?;
        Ok(filter.shows(invite.event.sender()))
    }
}
