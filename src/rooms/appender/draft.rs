//! What a service wants to send: an event without its place in the room's graph.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedDeviceId, OwnedEventId, OwnedUserId, UserId};

use crate::storage::ShortUserId;

/// An event without references, time and signature, which the appender adds.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Who sends it: a user of this server.
    pub sender: OwnedUserId,
    /// The `type`.
    pub event_type: String,
    /// The state key, for a state event.
    pub state_key: Option<String>,
    /// The content.
    pub content: CanonicalJsonObject,
    /// What an `m.room.redaction` redacts, wherever its room version puts it.
    pub redacts: Option<OwnedEventId>,
    /// For how many milliseconds it is to be sticky (MSC4354).
    pub sticky_ms: Option<u64>,
}

impl Draft {
    /// An event that is not state.
    pub fn message(sender: &UserId, event_type: &str, content: CanonicalJsonObject) -> Self {
        let mut draft = Self {
            sender: sender.to_owned(),
            event_type: event_type.to_owned(),
            state_key: None,
            content,
            redacts: None,
            sticky_ms: None,
        };
        if event_type == "m.room.redaction" {
            draft.redacts = draft.take_redacts();
        }
        draft
    }

    /// The same, sticky for so many milliseconds.
    #[must_use]
    pub fn sticky(self, sticky_ms: Option<u64>) -> Self {
        Self { sticky_ms, ..self }
    }

    /// A state event.
    pub fn state(sender: &UserId, event_type: &str, state_key: &str, content: CanonicalJsonObject) -> Self {
        Self { state_key: Some(state_key.to_owned()), ..Self::message(sender, event_type, content) }
    }

    /// A redaction of `target`, for a reason.
    pub fn redaction(sender: &UserId, target: &ruma::EventId, reason: Option<String>) -> Self {
        let content = reason.map(|reason| ("reason".to_owned(), CanonicalJsonValue::String(reason)));
        let mut draft = Self::message(sender, "m.room.redaction", content.into_iter().collect());
        draft.redacts = Some(target.to_owned());
        draft
    }

    /// Clients put `redacts` into the content in every room version; the builder moves it to where the
    /// room's version has it (client-server API, `PUT /rooms/{roomId}/send/{eventType}/{txnId}`).
    fn take_redacts(&mut self) -> Option<OwnedEventId> {
        match self.content.remove("redacts")? {
            CanonicalJsonValue::String(target) => OwnedEventId::try_from(target).ok(),
            _ => None,
        }
    }

    /// True for state of this type.
    pub fn is_state_of(&self, event_type: &str) -> bool {
        self.state_key.is_some() && self.event_type == event_type
    }
}

/// The transaction id of a client's request (client-server API, "Transaction identifiers").
#[derive(Debug, Clone)]
pub struct ClientTransaction {
    /// Who sends.
    pub user: ShortUserId,
    /// With which device.
    pub device: OwnedDeviceId,
    /// The endpoint, with everything of its path before the transaction id: the same id on another path is
    /// another request.
    pub path: String,
    /// The transaction id.
    pub transaction_id: String,
}
