//! Joins, leaves and knocks of other servers' users in rooms here: signatures verified, then admitted.

use ruma::{OwnedEventId, OwnedRoomId, OwnedServerName};
use serde_json::value::RawValue;

use super::{RemoteError, blocking};
use crate::{
    federation::ServerKeys,
    matrix::event::Event,
    rooms::{
        Resident,
        resident::{JoinAnswer, ResidentError, TemplateKind},
    },
};

/// A member event as another server sends it.
#[derive(Debug)]
pub struct SubmittedEvent {
    /// Who sends it.
    pub origin: OwnedServerName,
    /// The room, from the path.
    pub room_id: OwnedRoomId,
    /// The event's id, from the path.
    pub event_id: OwnedEventId,
    /// The event.
    pub pdu: Box<RawValue>,
}

/// Lets other servers' users in and out. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Admissions {
    resident: Resident,
    keys: ServerKeys,
}

/// A join that is part of the room now.
#[derive(Debug)]
pub struct AdmittedJoin {
    /// What the other server is given.
    pub answer: JoinAnswer,
    /// Whether this server has signed the join too.
    pub is_countersigned: bool,
}

impl Admissions {
    /// The service.
    pub fn new(resident: Resident, keys: ServerKeys) -> Self {
        Self { resident, keys }
    }

    /// The room's services for other servers.
    pub fn resident(&self) -> &Resident {
        &self.resident
    }

    /// Admits a join and gathers what the other server needs to take part: with `omit_members`, without most of
    /// the members.
    pub async fn join(&self, event: SubmittedEvent, omit_members: bool) -> Result<AdmittedJoin, RemoteError> {
        let (event, is_countersigned) = self.verified(TemplateKind::Join, event).await?;
        let resident = self.resident.clone();
        let answer = blocking(move || {
            let event_id = event.event_id().to_owned();
            let servers =
                omit_members.then(|| resident.servers_in_room_with_id(event.room_id())).transpose()?;
            resident.admit(event)?;
            resident.join_answer(&event_id, servers)
        })
        .await?;
        Ok(AdmittedJoin { answer, is_countersigned })
    }

    /// Admits a leave.
    pub async fn leave(&self, event: SubmittedEvent) -> Result<(), RemoteError> {
        let (event, _) = self.verified(TemplateKind::Leave, event).await?;
        let resident = self.resident.clone();
        blocking(move || resident.admit(event)).await
    }

    /// Admits a knock. Answers with the state that tells what room this is.
    pub async fn knock(&self, event: SubmittedEvent) -> Result<Vec<std::sync::Arc<Event>>, RemoteError> {
        let (event, _) = self.verified(TemplateKind::Knock, event).await?;
        let resident = self.resident.clone();
        blocking(move || {
            let room_id = event.room_id().to_owned();
            resident.admit(event)?;
            Ok::<_, ResidentError>(resident.identifying_state(&room_id)?)
        })
        .await
    }

    /// The event, if it is what its endpoint takes and all have signed it who must; and whether this server is
    /// one of them.
    async fn verified(
        &self,
        kind: TemplateKind,
        submitted: SubmittedEvent,
    ) -> Result<(Event, bool), RemoteError> {
        let resident = self.resident.clone();
        let submission = blocking(move || {
            let SubmittedEvent { origin, room_id, event_id, pdu } = submitted;
            resident.submission(kind, &origin, &room_id, &event_id, &pdu)
        })
        .await?;
        let pdu = submission.event.to_raw_pdu().map_err(|e| RemoteError::Invalid(e.to_string()))?;
        let verified = self.keys.verify_event(pdu, &submission.rules).await;
        let event = verified.map_err(|error| RemoteError::Invalid(error.to_string()))?;
        Ok((event, submission.is_countersigned))
    }
}
