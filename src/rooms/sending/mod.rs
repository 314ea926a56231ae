//! Sending events as clients write them: messages, state, redactions.

pub(super) mod checks;

#[cfg(test)]
mod tests;

use ruma::{CanonicalJsonObject, EventId, OwnedEventId, RoomAliasId, RoomId, UserId};

use super::{
    Appender, Memberships, RoomError,
    appender::{ClientTransaction, Draft},
};

/// Sends events. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EventSender {
    appender: Appender,
    memberships: Memberships,
}

/// A client's request to send an event that is not state.
#[derive(Debug)]
pub struct Message {
    /// The `type`.
    pub event_type: String,
    /// The content.
    pub content: CanonicalJsonObject,
    /// When it was sent, in milliseconds since 1970, if that was before: for application services.
    pub at_ms: Option<u64>,
    /// For how many milliseconds it is sticky (MSC4354).
    pub sticky_ms: Option<u64>,
}

/// An event whose sending a client asked for some time ago.
#[derive(Debug)]
pub struct LaterEvent {
    /// The `type`.
    pub event_type: String,
    /// The state key, for state.
    pub state_key: Option<String>,
    /// The content.
    pub content: CanonicalJsonObject,
    /// As that of a [`Message`].
    pub at_ms: Option<u64>,
    /// As that of a [`Message`].
    pub sticky_ms: Option<u64>,
}

/// A client's request to set a state event.
#[derive(Debug)]
pub struct StateEvent {
    /// The `type`.
    pub event_type: String,
    /// The state key.
    pub state_key: String,
    /// The content.
    pub content: CanonicalJsonObject,
    /// As that of a [`Message`]; not regarded for memberships.
    pub at_ms: Option<u64>,
    /// As that of a [`Message`]; not regarded for memberships.
    pub sticky_ms: Option<u64>,
}

impl EventSender {
    /// The service.
    pub fn new(appender: Appender, memberships: Memberships) -> Self {
        Self { appender, memberships }
    }

    /// Sends an event that is not state, once for each transaction (`PUT /rooms/{roomId}/send/…`). A
    /// redaction takes effect at once.
    pub fn send(
        &self,
        room_id: &RoomId,
        sender: &UserId,
        message: Message,
        transaction: &ClientTransaction,
    ) -> Result<OwnedEventId, RoomError> {
        let draft = Draft::message(sender, &message.event_type, message.content).sticky(message.sticky_ms);
        self.send_once(room_id, draft, message.at_ms, transaction)
    }

    /// Redacts an event, once for each transaction (`PUT /rooms/{roomId}/redact/…`).
    pub fn redact(
        &self,
        room_id: &RoomId,
        sender: &UserId,
        target: &EventId,
        reason: Option<String>,
        transaction: &ClientTransaction,
    ) -> Result<OwnedEventId, RoomError> {
        self.send_once(room_id, Draft::redaction(sender, target, reason), None, transaction)
    }

    /// Whether the user has sent the event.
    pub fn has_sent(&self, user: &UserId, event_id: &EventId) -> Result<bool, RoomError> {
        let event = self.appender.events().by_id(event_id)?;
        Ok(event.is_some_and(|stored| stored.event.sender() == user))
    }

    fn send_once(
        &self,
        room_id: &RoomId,
        draft: Draft,
        at_ms: Option<u64>,
        transaction: &ClientTransaction,
    ) -> Result<OwnedEventId, RoomError> {
        let mut batch = self.appender.begin_as_member(room_id, &draft.sender)?.dated(at_ms);
        if let Some(sent) = batch.sent_before(transaction)? {
            return Ok(sent);
        }
        let event = batch.push(draft)?;
        checks::check_relation(&self.appender, &event)?;
        batch.commit(Some(transaction))?;
        Ok(event.event_id().to_owned())
    }

    /// Sends an event that was scheduled, once for each transaction; memberships excepted, which are set as often
    /// as it is asked.
    pub fn send_later(
        &self,
        room_id: &RoomId,
        sender: &UserId,
        event: LaterEvent,
        transaction: &ClientTransaction,
    ) -> Result<OwnedEventId, RoomError> {
        let LaterEvent { event_type, state_key, content, at_ms, sticky_ms } = event;
        match state_key {
            None => {
                let message = Message { event_type, content, at_ms, sticky_ms };
                self.send(room_id, sender, message, transaction)
            }
            Some(state_key) => {
                let event = StateEvent { event_type, state_key, content, at_ms, sticky_ms };
                self.put_state_once(room_id, sender, event, Some(transaction))
            }
        }
    }

    /// Sets a state event (`PUT /rooms/{roomId}/state/…`). If the sender has set the same content before and
    /// it still stands, nothing is sent, and the answer is that event.
    pub fn put_state(
        &self,
        room_id: &RoomId,
        sender: &UserId,
        event: StateEvent,
    ) -> Result<OwnedEventId, RoomError> {
        self.put_state_once(room_id, sender, event, None)
    }

    fn put_state_once(
        &self,
        room_id: &RoomId,
        sender: &UserId,
        event: StateEvent,
        transaction: Option<&ClientTransaction>,
    ) -> Result<OwnedEventId, RoomError> {
        let StateEvent { event_type, state_key, content, at_ms, sticky_ms } = event;
        let (event_type, state_key) = (event_type.as_str(), state_key.as_str());
        if event_type == "m.room.member" {
            let target = <&UserId>::try_from(state_key).map_err(|_| {
                RoomError::InvalidParameter(format!("{state_key:?}, the state key, is not a user id"))
            })?;
            return self.memberships.set(room_id, sender, target, content);
        }
        let mut batch = self.appender.begin_as_member(room_id, sender)?.dated(at_ms);
        if let Some(sent) =
            transaction.map(|transaction| batch.sent_before(transaction)).transpose()?.flatten()
        {
            return Ok(sent);
        }
        let held = batch.state_event(event_type, state_key)?;
        if event_type == "m.room.power_levels" {
            checks::check_levels(&content, batch.rules())?;
        }
        let event = batch.push(Draft::state(sender, event_type, state_key, content).sticky(sticky_ms))?;
        if let Some(held) = &held
            && held.sender() == sender
            && held.content_json() == event.content_json()
            && sticky_ms.is_none()
        {
            return Ok(held.event_id().to_owned());
        }
        if event.is_state_of("m.room.canonical_alias", "") {
            checks::check_aliases(self.appender.storage(), batch.room(), &event, held.as_deref())?;
        }
        batch.commit(transaction)?;
        Ok(event.event_id().to_owned())
    }

    /// Takes an alias that was removed out of the room's `m.room.canonical_alias`, if it stands there and
    /// `sender` may. (Who made an alias may remove it without having the power to change the room's state.)
    pub fn withdraw_alias(
        &self,
        room_id: &RoomId,
        sender: &UserId,
        alias: &RoomAliasId,
    ) -> Result<(), RoomError> {
        let mut batch = self.appender.begin_as_member(room_id, sender)?;
        let Some(held) = batch.state_event("m.room.canonical_alias", "")? else { return Ok(()) };
        let Some(content) = checks::without_alias(&held, alias) else { return Ok(()) };
        match batch.push(Draft::state(sender, "m.room.canonical_alias", "", content)) {
            Ok(_) => batch.commit(None).map(drop),
            Err(RoomError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
