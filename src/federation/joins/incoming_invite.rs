//! An invite of a user here by a user elsewhere: checked, signed, and shown to the user.

use ruma::{
    EventId, OwnedEventId, OwnedRoomId, OwnedServerName, OwnedUserId, RoomVersionId,
    api::federation::membership::RawStrippedState,
};
use serde_json::value::RawValue;

use super::{RemoteError, RemoteRooms, Version, blocking};
use crate::{
    matrix::{client_format, event::Event, room_versions, signing},
    rooms::{Reception, RoomError, ServerAcls},
    users::{Accounts, InviteFilter, InviteVerdict},
};

/// An invite as another server sends it.
#[derive(Debug)]
pub struct IncomingInvite {
    /// Who sends it.
    pub origin: OwnedServerName,
    /// The room, from the path.
    pub room_id: OwnedRoomId,
    /// The event's id, from the path.
    pub event_id: OwnedEventId,
    /// The room's version.
    pub version: RoomVersionId,
    /// The event.
    pub pdu: Box<RawValue>,
    /// What the user is shown of the room.
    pub state: Vec<RawStrippedState>,
}

/// Takes in invites. Cheap to clone.
#[derive(Debug, Clone)]
pub struct IncomingInvites {
    rooms: RemoteRooms,
    acls: ServerAcls,
    accounts: Accounts,
}

impl IncomingInvites {
    /// The service.
    pub fn new(rooms: RemoteRooms, acls: ServerAcls, accounts: Accounts) -> Self {
        Self { rooms, acls, accounts }
    }

    /// Checks an invite and keeps it for the user. Answers with this server's signature on it.
    pub async fn accept(&self, invite: IncomingInvite) -> Result<Event, RemoteError> {
        let rules = room_versions::rules(&invite.version)
            .ok_or_else(|| RemoteError::UnsupportedVersion(invite.version.clone()))?;
        let version = Version { id: invite.version.clone(), rules };
        let IncomingInvite { pdu, state, .. } = invite;
        let event = Event::from_pdu(pdu.get().as_bytes(), &version.rules)
            .map_err(|error| RemoteError::Invalid(error.to_string()))?;
        let target = invited(&event, &invite.room_id, &invite.event_id, &invite.origin)?;
        self.require_welcome(&invite.origin, &event, target).await?;
        let verified = self.rooms.0.keys.verify_event(pdu, &version.rules).await;
        let event = verified.map_err(|error| RemoteError::Invalid(error.to_string()))?;
        let shown = self.rooms.shown_state(state, &invite.room_id, &version.rules).await;
        if version.rules.authorization.room_create_event_id_as_room_id && !shown.has_create_event {
            return Err(RemoteError::Invalid(
                "invite_room_state lacks a valid m.room.create event".to_owned(),
            ));
        }
        let mut stripped = shown.stripped;
        stripped.extend(client_format::stripped_state(&event).ok());
        self.keep(event, version, stripped).await
    }

    /// Refuses invites of those who are not here, or from those who may not take part in the room.
    async fn require_welcome(
        &self,
        origin: &ruma::ServerName,
        event: &Event,
        target: OwnedUserId,
    ) -> Result<(), RemoteError> {
        let (invites, origin) = (self.clone(), origin.to_owned());
        let (room_id, sender) = (event.room_id().to_owned(), event.sender().to_owned());
        blocking(move || {
            let account = invites.accounts.local_user(&target);
            let Some(user) = account.map_err(|error| RemoteError::Invalid(error.to_string()))? else {
                return Err(RemoteError::Invalid(format!("{target} has no account here")));
            };
            let filter = InviteFilter::of(invites.rooms.appender().storage(), user, &target)?;
            if filter.verdict(&sender) == InviteVerdict::Block {
                return Err(RoomError::InviteBlocked(target).into());
            }
            crate::rooms::RoomBlocks::new(invites.rooms.appender().storage().clone()).check(&room_id)?;
            let index = invites.rooms.appender().index();
            if let Some(room) = index.room(&room_id)?
                && !invites.acls.allows(&origin, room)?
            {
                return Err(crate::rooms::resident::ResidentError::DeniedByAcl(origin).into());
            }
            Ok(())
        })
        .await
    }

    /// Signs and keeps the invite. Where this server is in the room, the invite comes along with the room's other
    /// events as well; should it build on some that are still under way, it is left to that.
    async fn keep(
        &self,
        event: Event,
        version: Version,
        stripped: Vec<Box<RawValue>>,
    ) -> Result<Event, RemoteError> {
        let rooms = self.rooms.clone();
        blocking(move || {
            let appender = rooms.appender();
            let signed = signing::countersign_event(
                &event,
                &version.rules,
                appender.server_name(),
                appender.signing_key(),
            );
            let signed = signed.map_err(|error| RemoteError::Invalid(error.to_string()))?;
            if rooms.is_resident(signed.room_id())? {
                match rooms.0.received.receive(signed.clone())? {
                    Reception::Rejected(reason) => return Err(RoomError::Forbidden(reason).into()),
                    Reception::SoftFailed => {
                        let problem = "The room's current state does not allow this invite";
                        return Err(RoomError::Forbidden(problem.to_owned()).into());
                    }
                    _ => {}
                }
            } else {
                rooms.0.received.remote_invite(&version.id, signed.clone(), stripped)?;
            }
            Ok::<_, RemoteError>(signed)
        })
        .await
    }
}

/// Whom an event invites, if it is what the endpoint takes.
fn invited(
    event: &Event,
    room_id: &ruma::RoomId,
    event_id: &EventId,
    origin: &ruma::ServerName,
) -> Result<OwnedUserId, RemoteError> {
    let invalid = |why: &str| RemoteError::Invalid(why.to_owned());
    if event.room_id() != room_id || event.event_id() != event_id {
        return Err(invalid("The event is another than the path says"));
    }
    if event.event_type() != "m.room.member" || event.membership().as_deref() != Some("invite") {
        return Err(invalid("The event is no invite"));
    }
    if event.sender().server_name() != origin {
        return Err(invalid("The sender is not a user of the server that asks"));
    }
    event.state_key().and_then(|key| key.try_into().ok()).ok_or_else(|| invalid("It invites nobody"))
}
