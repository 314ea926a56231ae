//! Asking to be let into a room: here if this server is in it, else through a server that is ([knocking]).
//!
//! [knocking]: https://spec.matrix.org/v1.19/server-server-api/#knocking-rooms

use ruma::{OwnedServerName, ServerName, api::federation::membership::create_knock_event};

use super::{OwnChange, RemoteError, RemoteRooms, attempt::carry_on, blocking};
use crate::rooms::{RoomError, resident::TemplateKind};

impl RemoteRooms {
    /// The user knocks on the room.
    pub async fn knock(&self, change: OwnChange) -> Result<(), RemoteError> {
        self.check_block(&change).await?;
        let (rooms, asked) = (self.clone(), change.clone());
        let Some(servers) = blocking(move || rooms.knock_from_here(&asked)).await? else { return Ok(()) };
        let rooms = self.clone();
        carry_on(async move {
            let _turn = rooms.0.turns.enter(&change.room_id).await;
            rooms.through_any(TemplateKind::Knock, &change, servers).await
        })
        .await
    }

    /// `None` when it is done; else the servers to ask.
    fn knock_from_here(&self, change: &OwnChange) -> Result<Option<Vec<OwnedServerName>>, RoomError> {
        let OwnChange { user, room_id, via, .. } = change;
        if !self.is_resident(room_id)? {
            let servers = self.candidates(user, room_id, via, false)?;
            if !servers.is_empty() {
                return Ok(Some(servers));
            }
        }
        self.0.memberships.knock(user, room_id, change.reason())?;
        Ok(None)
    }

    pub(super) async fn knock_through(
        &self,
        server: &ServerName,
        change: &OwnChange,
    ) -> Result<(), RemoteError> {
        let (version, knock) = self.make(TemplateKind::Knock, server, change).await?;
        let pdu = knock.to_raw_pdu().map_err(|e| RemoteError::Invalid(e.to_string()))?;
        let (room_id, event_id) = (change.room_id.clone(), knock.event_id().to_owned());
        let request = create_knock_event::v1::Request::new(room_id, event_id, pdu);
        let answer = self.0.client.send(server, request).await.map_err(RemoteError::of)?;
        let shown = self.shown_state(answer.knock_room_state, &change.room_id, &version.rules).await;
        let received = self.0.received.clone();
        let mut stripped = shown.stripped;
        stripped.extend(crate::matrix::client_format::stripped_state(&knock).ok());
        blocking(move || received.remote_knock(&version.id, knock, stripped)).await
    }
}
