//! The body of a transaction ([`PUT /_matrix/app/v1/transactions/{txnId}`]).
//!
//! [`PUT /_matrix/app/v1/transactions/{txnId}`]: https://spec.matrix.org/v1.19/application-service-api/#put_matrixappv1transactionstxnid

use serde::Serialize;
use serde_json::value::RawValue;

use super::{DeliveryError, queue::Batch};
use crate::{
    matrix::{
        client_format::{ClientFormat, Unsigned, client_event},
        event::Event,
    },
    rooms::{EventStore, RoomStates, StoredEvent},
    state::tree::StateRoot,
    storage::{ShortEventId, records::QueuedForAppservice},
    users::{Clock, appservices::Registration},
};

/// Writes transactions. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Transactions {
    pub(super) events: EventStore,
    pub(super) states: RoomStates,
    pub(super) clock: Clock,
}

#[derive(Serialize)]
struct Body<'a> {
    events: &'a [Box<RawValue>],
    #[serde(skip_serializing_if = "Option::is_none")]
    ephemeral: Option<&'a [Box<RawValue>]>,
    /// The same under the name of MSC2409, for those that ask for it by that MSC's name.
    #[serde(rename = "de.sorunome.msc2409.ephemeral", skip_serializing_if = "Option::is_none")]
    msc2409_ephemeral: Option<&'a [Box<RawValue>]>,
}

impl Transactions {
    /// The body of a transaction. What can't be read any more is left out and reported: a damaged row must not
    /// hold up a bridge for ever.
    pub(super) fn write(&self, registration: &Registration, batch: &Batch) -> Result<Vec<u8>, DeliveryError> {
        let mut events = Vec::new();
        let mut ephemeral = Vec::new();
        for item in &batch.items {
            match item {
                QueuedForAppservice::Ephemeral(data) => ephemeral.push(data.clone()),
                QueuedForAppservice::Event(short) => match self.event(ShortEventId(*short)) {
                    Ok(Some(event)) => events.push(event),
                    Ok(None) => tracing::warn!(event = short, "an event for an application service is gone"),
                    Err(DeliveryError::Room(error)) => {
                        tracing::error!(event = short, %error, "an event for an application service is damaged");
                    }
                    Err(error) => return Err(error),
                },
            }
        }
        let named = |is_wanted: bool| (is_wanted && !ephemeral.is_empty()).then_some(&*ephemeral);
        let body = Body {
            events: &events,
            ephemeral: named(registration.receives_ephemeral),
            msc2409_ephemeral: named(registration.receives_msc2409_ephemeral),
        };
        Ok(serde_json::to_vec(&body)?)
    }

    fn event(&self, short: ShortEventId) -> Result<Option<Box<RawValue>>, DeliveryError> {
        let Some(stored) = self.events.get(short)? else { return Ok(None) };
        let replaced = self.replaced(&stored)?;
        let prev_content = replaced.as_ref().map(|event| event.content::<&RawValue>()).transpose()?;
        let redaction = match stored.meta.redacted_by {
            Some(redaction) => self.events.get(redaction)?,
            None => None,
        };
        let redacted_because = redaction
            .map(|redaction| client_event(&redaction.event, ClientFormat::WithRoomId, &Unsigned::default()))
            .transpose()?;
        let [now, sent] = [self.clock.now_ms(), stored.event.origin_server_ts()].map(i64::try_from);
        let unsigned = Unsigned {
            age: Some(now.unwrap_or(i64::MAX).saturating_sub(sent.unwrap_or(i64::MAX))),
            prev_content,
            prev_sender: replaced.as_ref().map(|event| event.sender().as_str()),
            replaces_state: replaced.as_ref().map(|event| event.event_id()),
            redacted_because: redacted_because.as_deref(),
            ..Unsigned::default()
        };
        Ok(Some(client_event(&stored.event, ClientFormat::WithRoomId, &unsigned)?))
    }

    /// The state event that an event replaced.
    fn replaced(&self, stored: &StoredEvent) -> Result<Option<std::sync::Arc<Event>>, DeliveryError> {
        let Some(state_key) = stored.event.state_key() else { return Ok(None) };
        let before = StateRoot::from_bytes(stored.meta.state_before);
        let Some(short) = self.states.get(before, stored.event.event_type(), state_key)? else {
            return Ok(None);
        };
        Ok(self.events.get(short)?.map(|replaced| replaced.event))
    }
}
