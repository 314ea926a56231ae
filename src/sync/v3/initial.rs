//! The first answer that a client gets: all of the user's rooms.

use super::{
    Session, SyncError,
    ephemeral::{account_data_events, data_event},
    joined::Part,
    response::{EventJson, Rooms, SyncResponse},
};
use crate::{
    storage::{Read, ShortRoomId, records::Membership},
    users::AccountData,
};

impl Session<'_> {
    /// Everything up to now.
    pub(super) fn initial(&self) -> Result<SyncResponse, SyncError> {
        let mut rooms = Rooms::default();
        for row in self.sources.index.rooms_of(self.viewer().user) {
            let (room, row) = row?;
            if row.position > self.until() || row.forgotten {
                continue;
            }
            self.add_room(&mut rooms, room, row.membership)?;
        }
        let account_data = self.all_account_data()?;
        Ok(SyncResponse { account_data: account_data.into(), rooms, ..SyncResponse::default() })
    }

    fn add_room(
        &self,
        rooms: &mut Rooms,
        room: ShortRoomId,
        membership: Membership,
    ) -> Result<(), SyncError> {
        let room_id = self.sources.storage.room_id(room)?;
        if !self.filter().allows_room(&room_id) {
            return Ok(());
        }
        match membership {
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
            Membership::Leave | Membership::Ban if self.filter().include_leave => {
                if let Some(left) = self.left_long_ago(room, &room_id)? {
                    rooms.leave.insert(room_id, left);
                }
            }
            Membership::Leave | Membership::Ban => {}
        }
        Ok(())
    }

    /// The user's global account data, with the push rules even if they were never changed: clients take
    /// them from here.
    fn all_account_data(&self) -> Result<Vec<EventJson>, SyncError> {
        let entries = AccountData::global(&self.sources.storage, self.viewer().user)?;
        let has_rules = entries.iter().any(|entry| entry.event_type == "m.push_rules");
        let mut events = account_data_events(&entries, &self.filter().account_data)?;
        if !has_rules && self.filter().account_data.allows_type("m.push_rules") {
            let content = self.sources.push_rules.default_content(&self.viewer().user_id)?;
            events.push(data_event("m.push_rules", &content)?);
        }
        Ok(events)
    }
}
