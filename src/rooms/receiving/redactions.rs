//! Redactions of other servers (room versions 3 and up, "Handling redactions"): one takes effect once both it
//! and its target are here, if its sender's power or server allows it. Until then clients don't see it.

use std::sync::Arc;

use super::{OpenRoom, ReceivedEvents, checks::StateAt};
use crate::{
    matrix::{
        auth_rules::AuthState,
        event::Event,
        power_levels::{LevelField, RoomCreators, RoomPowerLevels},
        redaction::redact,
    },
    rooms::{RoomError, StoredEvent, appender::Redaction, limits},
    state::tree::StateRoot,
    storage::{
        Direction, Read, ShortEventId, StorageError, Transaction,
        records::{EventMeta, EventStatus},
        tables::{EVENT_META, IDLE_REDACTIONS},
    },
};

/// What an event that is being accepted redacts.
pub(super) enum Redacts {
    /// It is no redaction.
    Nothing,
    /// It takes effect with the event.
    Now(Redaction),
    /// Its target is not here, or it may not redact it.
    Idle(ruma::OwnedEventId),
}

impl Redacts {
    pub(super) fn effective(&self) -> Option<&Redaction> {
        match self {
            Self::Now(redaction) => Some(redaction),
            Self::Nothing | Self::Idle(_) => None,
        }
    }

    pub(super) fn write_idle(
        &self,
        rows: &mut Transaction<'_>,
        redaction: ShortEventId,
    ) -> Result<(), StorageError> {
        if let Self::Idle(target) = self {
            let target = rows.intern_event(target)?;
            rows.put(&IDLE_REDACTIONS, &(target, redaction), &());
        }
        Ok(())
    }
}

/// An event that had been redacted before it arrived.
pub(super) struct RedactedEarly {
    /// What remains of it.
    pub(super) event: Arc<Event>,
    pub(super) redaction: ShortEventId,
}

impl RedactedEarly {
    pub(super) fn write(&self, rows: &mut Transaction<'_>, target: ShortEventId) -> Result<(), StorageError> {
        rows.delete(&IDLE_REDACTIONS, &(target, self.redaction));
        if let Some(meta) = rows.get(&EVENT_META, &target)? {
            rows.put(&EVENT_META, &target, &EventMeta { redacted_by: Some(self.redaction), ..meta });
        }
        Ok(())
    }
}

impl ReceivedEvents {
    /// What the accepted event `event` redacts.
    pub(super) fn redaction_by(
        &self,
        room: &OpenRoom,
        event: &Event,
        before: StateRoot,
    ) -> Result<Redacts, RoomError> {
        let Some(target_id) = event.redacts().filter(|_| !event.is_state()) else {
            return Ok(Redacts::Nothing);
        };
        let target = self.appender.events().by_id(target_id)?;
        match target.filter(|target| target.meta.room == room.room) {
            Some(target) if self.may_redact(room, event, before, &target.event)? => {
                Redaction::of(&target, &room.rules).map(Redacts::Now)
            }
            _ => Ok(Redacts::Idle(target_id.to_owned())),
        }
    }

    /// What remains of `event`, if a redaction of it has arrived before it.
    pub(super) fn early_redaction(
        &self,
        room: &OpenRoom,
        event: &Event,
    ) -> Result<Option<RedactedEarly>, RoomError> {
        let storage = self.appender.storage();
        let Some(short) = storage.short_event_id(event.event_id())? else { return Ok(None) };
        if let Some(redaction) = self.redaction_of(short)? {
            return redacted_early(room, event, redaction).map(Some);
        }
        let range = IDLE_REDACTIONS.prefix(&(short,));
        let waiting: Vec<_> = storage
            .scan(&IDLE_REDACTIONS, &range, Direction::Forward)
            .take(limits::IDLE_REDACTIONS_TRIED_MAX)
            .collect::<Result<_, _>>()?;
        for ((_, redaction), ()) in waiting {
            let Some(StoredEvent { meta, event: by, .. }) = self.stored(redaction)? else { continue };
            let before = StateRoot::from_bytes(meta.state_before);
            let counts = meta.room == room.room && meta.status == EventStatus::Accepted;
            if counts && self.may_redact(room, &by, before, event)? {
                return redacted_early(room, event, redaction).map(Some);
            }
        }
        Ok(None)
    }

    /// What remains of `event`, if it was redacted while it was known only by reference, as an entry of a state or
    /// of an auth chain: now that it gets its place, its text must not come back.
    pub(super) fn redacted_before(
        &self,
        room: &OpenRoom,
        event: &Event,
    ) -> Result<Option<RedactedEarly>, RoomError> {
        let short = self.appender.storage().short_event_id(event.event_id())?;
        let redaction = short.map(|short| self.redaction_of(short)).transpose()?.flatten();
        redaction.map(|redaction| redacted_early(room, event, redaction)).transpose()
    }

    /// The redaction that a known event was redacted by.
    fn redaction_of(&self, event: ShortEventId) -> Result<Option<ShortEventId>, RoomError> {
        Ok(self.appender.storage().get(&EVENT_META, &event)?.and_then(|meta| meta.redacted_by))
    }

    /// The two conditions, of which one must hold.
    fn may_redact(
        &self,
        room: &OpenRoom,
        redaction: &Event,
        before: StateRoot,
        target: &Event,
    ) -> Result<bool, RoomError> {
        // 2. The domain of the redaction event's sender matches that of the original event's sender.
        if redaction.sender().server_name() == target.sender().server_name() {
            return Ok(true);
        }
        // 1. The power level of the sender is greater than or equal to the redact level.
        let state = StateAt { appender: &self.appender, root: before };
        let creators = RoomCreators::of(&room.create, &room.rules.authorization);
        let levels = RoomPowerLevels::new(state.power_levels(&room.rules)?, creators);
        let (Ok(required), Ok(level)) =
            (levels.level(LevelField::Redact), levels.user_level(redaction.sender()))
        else {
            // Malformed levels give nobody the power.
            return Ok(false);
        };
        Ok(level >= required)
    }
}

fn redacted_early(
    room: &OpenRoom,
    event: &Event,
    redaction: ShortEventId,
) -> Result<RedactedEarly, RoomError> {
    let redacted = redact(event, &room.rules)
        .map_err(|source| RoomError::CorruptEvent { event_id: event.event_id().to_owned(), source })?;
    Ok(RedactedEarly { event: Arc::new(redacted), redaction })
}
