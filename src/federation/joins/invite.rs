//! Inviting a user of another server, which signs the invite before it is part of the room ([inviting]).
//!
//! [inviting]: https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room

use ruma::{
    CanonicalJsonObject, OwnedEventId, OwnedRoomId, OwnedUserId,
    api::federation::membership::{RawStrippedState, create_invite},
};
use serde_json::value::RawValue;

use super::{RemoteError, RemoteRooms, blocking};
use crate::{
    federation::{SendOptions, limits},
    matrix::event::Event,
    rooms::{
        Reception, RoomError,
        memberships::{Moderation, RemoteInvite},
    },
};

/// A user's wish to have somebody in a room.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Who invites.
    pub sender: OwnedUserId,
    /// Whom.
    pub target: OwnedUserId,
    /// Why, for the room to see.
    pub reason: Option<String>,
    /// More keys of the invite's content, such as `is_direct`.
    pub extra: CanonicalJsonObject,
}

impl Invitation {
    fn moderation(&self) -> Moderation<'_> {
        Moderation {
            room_id: &self.room_id,
            sender: &self.sender,
            target: &self.target,
            reason: self.reason.as_deref(),
        }
    }
}

impl RemoteRooms {
    /// Whether a user is one of this server's.
    pub fn is_local(&self, user: &ruma::UserId) -> bool {
        user.server_name() == self.appender().server_name()
    }

    /// Invites a user, of this server or another.
    pub async fn invite(&self, invitation: Invitation) -> Result<(), RemoteError> {
        if self.is_local(&invitation.target) {
            let rooms = self.clone();
            return blocking(move || rooms.0.memberships.invite(invitation.moderation())).await;
        }
        self.invite_elsewhere(invitation).await.map(drop)
    }

    /// Invites a user of another server. `None` if they are invited already.
    pub async fn invite_elsewhere(
        &self,
        invitation: Invitation,
    ) -> Result<Option<OwnedEventId>, RemoteError> {
        let (rooms, asked) = (self.clone(), invitation.clone());
        let make = move || rooms.0.memberships.remote_invite(asked.moderation(), asked.extra.clone());
        let Some(invite) = blocking(make).await? else { return Ok(None) };
        let signed = self.signed_by_target(invite, &invitation).await?;
        let event_id = signed.event_id().to_owned();
        let received = self.0.received.clone();
        blocking(move || match received.receive_and_pass_on(signed)? {
            Reception::Accepted(_) | Reception::AlreadyKnown => Ok(()),
            Reception::Rejected(reason) => Err(RoomError::Forbidden(reason)),
            // What the room has become while the other server was asked does not allow it.
            Reception::SoftFailed | Reception::Missing { .. } => {
                Err(RoomError::Forbidden("The room no longer allows this invite".to_owned()))
            }
        })
        .await?;
        Ok(Some(event_id))
    }

    /// Invites users of other servers to a room that has just been made, one after the other. An invite that does
    /// not come about is logged; what takes long goes on after this has answered.
    pub async fn invite_all(&self, invitations: Vec<Invitation>) {
        if invitations.is_empty() {
            return;
        }
        let rooms = self.clone();
        let work = async move {
            for invitation in invitations {
                let (room_id, target) = (invitation.room_id.clone(), invitation.target.clone());
                if let Err(failure) = rooms.invite_elsewhere(invitation).await {
                    tracing::warn!(%room_id, %target, "an invite to a new room failed: {failure}");
                }
            }
            Ok(())
        };
        // Whoever is not invited in time is invited later; the room is there.
        let _goes_on = super::attempt::carry_on(work).await;
    }

    /// The invite with the signature of the invited user's server.
    async fn signed_by_target(
        &self,
        invite: RemoteInvite,
        invitation: &Invitation,
    ) -> Result<Event, RemoteError> {
        let raw = |event: &Event| event.to_raw_pdu().map_err(|e| RemoteError::Invalid(e.to_string()));
        let state: Vec<RawStrippedState> = invite
            .state
            .iter()
            .map(|event| raw(event).map(RawStrippedState::Pdu))
            .collect::<Result<_, _>>()?;
        let request = create_invite::v2::Request::new(
            invitation.room_id.clone(),
            invite.event.event_id().to_owned(),
            invite.version.clone(),
            raw(&invite.event)?,
            state,
        );
        let options = SendOptions { time_max: limits::MAKE_TIME_MAX, ..SendOptions::default() }.insisting();
        let server = invitation.target.server_name();
        let answer = self.0.client.send_with(server, request, options).await;
        let answer: Box<RawValue> = answer.map_err(RemoteError::of)?.event;
        match self.0.keys.verify_event(answer, &invite.rules).await {
            Ok(signed) if signed.event_id() == invite.event.event_id() => Ok(signed),
            Ok(_) => Err(RemoteError::Unreachable("it signed another event than the invite".to_owned())),
            Err(error) => Err(RemoteError::Unreachable(format!("its copy of the invite is wrong: {error}"))),
        }
    }
}
