//! Leaving a room, declining an invite, taking a knock back: here if this server is in the room, else through a
//! server that is ([leaving rooms]). An invite whose servers are all gone is dismissed all the same.
//!
//! [leaving rooms]: https://spec.matrix.org/v1.19/server-server-api/#leaving-rooms-rejecting-invites

use ruma::{OwnedServerName, ServerName, api::federation::membership::create_leave_event};

use super::{OwnChange, RemoteError, RemoteRooms, attempt::carry_on, blocking};
use crate::{
    matrix::event::Event,
    rooms::{RoomError, notices, resident::TemplateKind},
    storage::records::{EventStatus, Membership},
};

impl RemoteRooms {
    /// The user leaves the room.
    pub async fn leave(&self, change: OwnChange) -> Result<(), RemoteError> {
        let (rooms, asked) = (self.clone(), change.clone());
        let Some((ends, servers)) = blocking(move || rooms.leave_from_here(&asked)).await? else {
            return Ok(());
        };
        let rooms = self.clone();
        carry_on(async move {
            let _turn = rooms.0.turns.enter(&change.room_id).await;
            match rooms.through_any(TemplateKind::Leave, &change, servers).await {
                Ok(()) => Ok(()),
                Err(failure) => {
                    tracing::info!(room = %change.room_id, "an invite or knock ends unheard: {failure}");
                    rooms.leave_unheard(change, ends).await
                }
            }
        })
        .await
    }

    /// `None` when it is done; else the invite or knock that the leave ends, and the servers to ask.
    fn leave_from_here(
        &self,
        change: &OwnChange,
    ) -> Result<Option<(Event, Vec<OwnedServerName>)>, RoomError> {
        let OwnChange { user, room_id, via, .. } = change;
        let appender = self.appender();
        notices::check_leave(appender.storage(), appender.index(), user, room_id)?;
        if let Some(member) = self.member_event(user, room_id)?
            && member.meta.status == EventStatus::OutOfBand
            && !self.is_resident(room_id)?
        {
            let membership = crate::rooms::membership_of(&member.event);
            if matches!(membership, Some(Membership::Leave | Membership::Ban)) {
                return Ok(None);
            }
            let servers = self.candidates(user, room_id, via, true)?;
            return Ok(Some(((*member.event).clone(), servers)));
        }
        self.0.memberships.leave(user, room_id, change.reason())?;
        Ok(None)
    }

    pub(super) async fn leave_through(
        &self,
        server: &ServerName,
        change: &OwnChange,
    ) -> Result<(), RemoteError> {
        let (version, leave) = self.make(TemplateKind::Leave, server, change).await?;
        let pdu = leave.to_raw_pdu().map_err(|e| RemoteError::Invalid(e.to_string()))?;
        let (room_id, event_id) = (change.room_id.clone(), leave.event_id().to_owned());
        let request = create_leave_event::v2::Request::new(room_id, event_id, pdu);
        self.0.client.send(server, request).await.map_err(RemoteError::of)?;
        let received = self.0.received.clone();
        blocking(move || received.remote_leave(&version.id, leave)).await
    }

    /// Nobody hears of it, but the user is rid of it.
    async fn leave_unheard(&self, change: OwnChange, ends: Event) -> Result<(), RemoteError> {
        let rooms = self.clone();
        let work = move || {
            let index = rooms.appender().index();
            let not_found = || RoomError::RoomNotFound(change.room_id.clone());
            let room = index.room(&change.room_id)?.ok_or_else(not_found)?;
            let record = index.record(room)?.ok_or_else(not_found)?;
            let rules = index.rules(room)?;
            let reason = change.reason();
            let leave = rooms.0.memberships.unheard_leave(&change.user, &ends, reason, &rules)?;
            rooms.0.received.remote_leave(&record.version, leave)
        };
        blocking(work).await
    }
}
