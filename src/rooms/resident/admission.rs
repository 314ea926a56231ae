//! Member events that other servers send for their users: joins, leaves and knocks ([send_join], send_leave,
//! send_knock).
//!
//! [send_join]: https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid

use ruma::{
    CanonicalJsonObject, EventId, OwnedUserId, RoomId, ServerName, UserId,
    room_version_rules::RoomVersionRules,
};
use serde_json::value::RawValue;

use super::{Resident, ResidentError, TemplateKind};
use crate::{
    matrix::{event::Event, signing},
    rooms::{Reception, RoomError, memberships::AUTHORISED_VIA},
    storage::ShortRoomId,
};

/// A member event that is what its endpoint takes, and whose signatures are the caller's to verify.
#[derive(Debug)]
pub struct Submission {
    /// The room.
    pub room: ShortRoomId,
    /// The rules of its version.
    pub rules: RoomVersionRules,
    /// The event; with this server's signature, where its user lets the sender in.
    pub event: Event,
    /// Whether it has been.
    pub is_countersigned: bool,
}

impl Resident {
    /// Checks everything about a submitted event that needs no key of another server. `event_id` is what the
    /// request's path says.
    pub fn submission(
        &self,
        kind: TemplateKind,
        server: &ServerName,
        room_id: &RoomId,
        event_id: &EventId,
        pdu: &RawValue,
    ) -> Result<Submission, ResidentError> {
        let room = self.open(server, room_id)?;
        let rules = self.index.rules(room)?;
        let invalid = |why: &str| ResidentError::InvalidEvent(why.to_owned());
        let event = Event::from_pdu(pdu.get().as_bytes(), &rules)
            .map_err(|error| ResidentError::InvalidEvent(error.to_string()))?;
        if event.room_id() != room_id {
            return Err(invalid("The event is of another room than the path says"));
        }
        if event.event_id() != event_id {
            return Err(invalid("The event has another id than the path says"));
        }
        if event.event_type() != "m.room.member" {
            return Err(invalid("The event is no m.room.member event"));
        }
        if event.membership().as_deref() != Some(kind.membership()) {
            return Err(ResidentError::InvalidEvent(format!("The membership is not {}", kind.membership())));
        }
        if event.sender().server_name() != server {
            return Err(invalid("The sender is not a user of the server that asks"));
        }
        if event.state_key() != Some(event.sender().as_str()) {
            return Err(invalid("The state key is not the sender"));
        }
        self.countersigned(room_id, Submission { room, rules, event, is_countersigned: false })
    }

    /// Adds this server's signature, if the event says that one of its users lets the sender into a restricted
    /// room, and that is so.
    fn countersigned(&self, room_id: &RoomId, submission: Submission) -> Result<Submission, ResidentError> {
        let Submission { event, rules, .. } = &submission;
        let via: Option<OwnedUserId> = event.content_field(AUTHORISED_VIA);
        let own = self.server_name();
        if event.membership().as_deref() != Some("join")
            || !rules.authorization.restricted_join_rule
            || via.is_none_or(|via| via.server_name() != own)
        {
            return Ok(submission);
        }
        self.require_conditions_met(room_id, event.sender())?;
        let event = signing::countersign_event(event, rules, own, self.appender.signing_key())
            .map_err(|error| ResidentError::InvalidEvent(error.to_string()))?;
        Ok(Submission { event, is_countersigned: true, ..submission })
    }

    fn require_conditions_met(&self, room_id: &RoomId, user: &UserId) -> Result<(), ResidentError> {
        let batch = self.appender.begin(room_id)?;
        let mut content = CanonicalJsonObject::new();
        Ok(self.memberships.authorise_restricted(&batch, user, &mut content)?)
    }

    /// Takes a submitted event into the room, and has it passed on to the room's other servers: the one that sent it
    /// sends it to nobody else ("Joining Rooms"). Its signatures must have been verified.
    pub fn admit(&self, event: Event) -> Result<(), ResidentError> {
        let refused = |why: String| Err(ResidentError::Refused(why));
        match self.received.receive_and_pass_on(event)? {
            Reception::Accepted(_) | Reception::AlreadyKnown => Ok(()),
            Reception::Rejected(reason) => refused(reason),
            Reception::SoftFailed => refused("The room's current state does not allow it".to_owned()),
            Reception::Missing { .. } => Err(ResidentError::InvalidEvent(
                "The event builds on events that this server does not know".to_owned(),
            )),
        }
    }
}

impl Resident {
    /// The state that tells what room this is (client-server API, "Stripped state"), for who knocks on it.
    pub fn identifying_state(&self, room_id: &RoomId) -> Result<Vec<std::sync::Arc<Event>>, RoomError> {
        let batch = self.appender.begin(room_id)?;
        batch.identifying_state()
    }
}
