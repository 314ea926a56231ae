//! Redactions: which event one is about, whether the sender may, and what remains.

use std::sync::Arc;

use ruma::{OwnedEventId, UserId, room_version_rules::RoomVersionRules};

use super::{Draft, RoomBatch};
use crate::{
    matrix::{event::Event, power_levels::LevelField, redaction::redact},
    rooms::{EventStore, RoomError, RoomServers, StoredEvent, event_indices},
    storage::{
        Read, ShortEventId, StorageError, Transaction,
        records::{EventMeta, EventStatus},
        tables::{EVENT_JSON, EVENT_META},
    },
};

/// State whose loss would break the room for servers that have not seen it yet; clients never need to redact
/// it, since they can replace it.
const NEVER_REDACTED: [&str; 2] = ["m.room.create", "m.room.server_acl"];

/// What a redaction that is being sent is about.
#[derive(Debug)]
pub(super) enum RedactionTarget {
    /// An event of the room.
    Known(StoredEvent),
    /// An event that only other servers have: they apply the redaction, and this one does when the event comes.
    Elsewhere(OwnedEventId),
}

/// A redaction that takes effect together with its event.
#[derive(Debug)]
pub(in crate::rooms) struct Redaction {
    target: ShortEventId,
    redacted: Arc<Event>,
}

impl RoomBatch {
    /// The event that a redaction is about: one of this room that clients can know of, here or elsewhere.
    pub(super) fn redaction_target(&self, draft: &Draft) -> Result<Option<RedactionTarget>, RoomError> {
        if draft.event_type != "m.room.redaction" || draft.state_key.is_some() {
            return Ok(None);
        }
        let Some(event_id) = &draft.redacts else {
            let problem = "a redaction names the event to redact in `redacts`";
            return Err(RoomError::BadContent(problem.to_owned()));
        };
        let not_found = || RoomError::EventNotFound(event_id.clone());
        let Some(target) = self.appender.inner.events.by_id(event_id)? else {
            let may_be_elsewhere = self.has_other_servers()? && self.may_redact_others(&draft.sender)?;
            let elsewhere = may_be_elsewhere.then(|| RedactionTarget::Elsewhere(event_id.clone()));
            return elsewhere.map(Some).ok_or_else(not_found);
        };
        if Some(target.meta.room) != self.room() || target.meta.status != EventStatus::Accepted {
            return Err(not_found());
        }
        if NEVER_REDACTED.contains(&target.event.event_type()) {
            let problem = format!("{} events can't be redacted", target.event.event_type());
            return Err(RoomError::Forbidden(problem));
        }
        Ok(Some(RedactionTarget::Known(target)))
    }

    fn has_other_servers(&self) -> Result<bool, RoomError> {
        let Some(room) = self.room() else { return Ok(false) };
        let servers = RoomServers::new(self.appender.inner.storage.clone());
        for server in servers.servers(room).take(2) {
            if !self.is_local(&server?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn may_redact_others(&self, sender: &UserId) -> Result<bool, RoomError> {
        let levels = self.power_levels()?;
        Ok(levels.user_level(sender)? >= levels.level(LevelField::Redact)?)
    }

    /// Applies the redaction `event`, which the rules have allowed, to its target. Own events may be
    /// redacted by anyone who may send redactions, those of others with the redact level.
    pub(super) fn redact(&self, target: &StoredEvent, event: &Event) -> Result<Redaction, RoomError> {
        if target.event.sender() != event.sender() {
            let levels = self.power_levels()?;
            let required = levels.level(LevelField::Redact)?;
            let level = levels.user_level(event.sender())?;
            if level < required {
                let sender = event.sender();
                return Err(RoomError::Forbidden(format!(
                    "{sender} has power level {level}, but redacting events of others needs {required}"
                )));
            }
        }
        Redaction::of(target, &self.rules)
    }
}

impl Redaction {
    /// What remains of `target`, whoever redacts it.
    pub(in crate::rooms) fn of(target: &StoredEvent, rules: &RoomVersionRules) -> Result<Self, RoomError> {
        let redacted = redact(&target.event, rules).map_err(|source| RoomError::CorruptEvent {
            event_id: target.event.event_id().to_owned(),
            source,
        })?;
        Ok(Self { target: target.short, redacted: Arc::new(redacted) })
    }

    /// Replaces the target's text. The first redaction stays the one that is shown as the reason.
    pub(in crate::rooms) fn write(
        &self,
        transaction: &mut Transaction<'_>,
        redaction: ShortEventId,
    ) -> Result<(), StorageError> {
        let Some(meta) = transaction.get(&EVENT_META, &self.target)? else {
            let key = format!("{:?}", self.target);
            return Err(StorageError::Missing { table: EVENT_META.info.name, key });
        };
        event_indices::remove(transaction, self.target, &meta)?;
        let meta = EventMeta { redacted_by: meta.redacted_by.or(Some(redaction)), ..meta };
        transaction.put(&EVENT_META, &self.target, &meta);
        transaction.put(&EVENT_JSON, &self.target, &self.redacted.json().as_bytes().to_vec());
        Ok(())
    }

    /// Makes readers see the redacted text; after the write.
    pub(in crate::rooms) fn applied(&self, events: &EventStore) {
        events.replaced(self.target);
    }

    /// The event that lost its content.
    pub(in crate::rooms) fn target(&self) -> ShortEventId {
        self.target
    }
}
