//! Events as their readers get them: the event, and in `unsigned` what this server knows beside it
//! ([room event format]). Takes only [`VisibleEvent`]s, so nothing unchecked is shown; what `unsigned` quotes
//! of other events is checked the same way.
//!
//! Per timeline event: no read for a message of somebody else, one for one's own, a few for state events and
//! redacted ones. Main type: [`ClientEvents`].
//!
//! [room event format]: https://spec.matrix.org/v1.19/client-server-api/#room-event-format

use std::sync::Arc;

use ruma::{OwnedEventId, serde::Raw};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{RoomError, RoomStates, RoomView, VisibleEvent, limits, relations::Bundles};
use crate::{
    matrix::{
        client_format::{ClientFormat, Unsigned, client_event, stripped_state},
        event::{Event, EventFormatError},
    },
    state::tree::StateRoot,
    storage::{Read, Storage, records::Membership, tables::EVENT_TRANSACTIONS},
    users::Clock,
};

/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventForm {
    /// With or without the room id.
    pub format: ClientFormat,
    /// True in timelines: `unsigned` tells what a state event replaced. Lists of state are long, each entry
    /// would cost a look into an old state, and clients show no changes there.
    pub tells_replaced: bool,
    /// True where `unsigned` tells what relates to the event.
    pub tells_relations: bool,
}

impl EventForm {
    /// In a timeline, with the room id: messages, context, a single event.
    pub const TIMELINE: Self =
        Self { format: ClientFormat::WithRoomId, tells_replaced: true, tells_relations: true };
    /// In a list of state, with the room id.
    pub const STATE: Self =
        Self { format: ClientFormat::WithRoomId, tells_replaced: false, tells_relations: false };
    /// In sync's timelines.
    pub const SYNC_TIMELINE: Self =
        Self { format: ClientFormat::WithoutRoomId, tells_replaced: true, tells_relations: true };
    /// In sync's state.
    pub const SYNC_STATE: Self =
        Self { format: ClientFormat::WithoutRoomId, tells_replaced: false, tells_relations: false };
}

/// Writes events for clients. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientEvents {
    storage: Storage,
    states: RoomStates,
    bundles: Bundles,
    clock: Clock,
}

/// What `unsigned` borrows from.
#[derive(Default)]
struct UnsignedParts {
    transaction_id: Option<String>,
    delay_id: Option<String>,
    replaced: Option<Replaced>,
    redacted_because: Option<Box<RawValue>>,
    relations: Option<Box<RawValue>>,
}

/// `m.relations` of `unsigned`.
#[derive(Serialize)]
struct RelationsBundle {
    #[serde(rename = "m.replace", skip_serializing_if = "Option::is_none")]
    edit: Option<Box<RawValue>>,
    #[serde(rename = "m.thread", skip_serializing_if = "Option::is_none")]
    thread: Option<ThreadBundle>,
    #[serde(rename = "m.reference", skip_serializing_if = "Option::is_none")]
    references: Option<References>,
}

#[derive(Serialize)]
struct ThreadBundle {
    latest_event: Box<RawValue>,
    count: u64,
    current_user_participated: bool,
}

#[derive(Serialize)]
struct References {
    chunk: Vec<Reference>,
}

#[derive(Serialize)]
struct Reference {
    event_id: OwnedEventId,
}

/// The state event that an event replaced.
struct Replaced {
    event_id: OwnedEventId,
    /// Only if the reader may see it.
    event: Option<Arc<Event>>,
}

impl ClientEvents {
    /// Over the rooms' states; `clock` tells the age of events.
    pub fn new(storage: Storage, states: RoomStates, clock: Clock) -> Self {
        Self { bundles: Bundles::new(storage.clone()), storage, states, clock }
    }

    /// Now, in milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// One event for the viewer of `view`.
    pub fn write<T>(
        &self,
        view: &RoomView<'_>,
        event: &VisibleEvent,
        form: EventForm,
    ) -> Result<Raw<T>, RoomError> {
        let (transaction_id, delay_id) = self.sent_with(view, event)?;
        let parts = UnsignedParts {
            transaction_id,
            delay_id,
            replaced: if form.tells_replaced { self.replaced(view, event)? } else { None },
            redacted_because: self.redacted_because(view, event)?,
            relations: if form.tells_relations { self.relations(view, event, form)? } else { None },
        };
        let prev_content = match parts.replaced.as_ref().and_then(|replaced| replaced.event.as_ref()) {
            Some(previous) => {
                Some(previous.content::<&RawValue>().map_err(|source| corrupt(previous, source))?)
            }
            None => None,
        };
        let membership = event.membership().map(Membership::as_str);
        let unsigned = Unsigned {
            age: Some(self.age(event.event())),
            transaction_id: parts.transaction_id.as_deref(),
            delay_id: parts.delay_id.as_deref(),
            membership,
            membership_unstable: membership,
            prev_content,
            prev_sender: parts.previous_sender(),
            replaces_state: parts.replaced.as_ref().map(|replaced| &*replaced.event_id),
            redacted_because: parts.redacted_because.as_deref(),
            relations: parts.relations.as_deref(),
            sticky_left_ms: self.sticky_left_ms(event.event()),
        };
        client_event(event.event(), form.format, &unsigned)
            .map(Raw::from_json)
            .map_err(|source| corrupt(event.event(), source))
    }

    /// Several events, in their order.
    pub fn write_all<T>(
        &self,
        view: &RoomView<'_>,
        events: &[VisibleEvent],
        form: EventForm,
    ) -> Result<Vec<Raw<T>>, RoomError> {
        events.iter().map(|event| self.write(view, event, form)).collect()
    }

    /// A state event as those get it who are not in the room.
    pub fn write_stripped<T>(&self, event: &Event) -> Result<Raw<T>, RoomError> {
        stripped_state(event).map(Raw::from_json).map_err(|source| corrupt(event, source))
    }

    /// The content alone.
    pub fn content(&self, event: &Event) -> Result<Box<RawValue>, RoomError> {
        RawValue::from_string(event.content_json().to_owned()).map_err(|source| corrupt(event, source))
    }

    fn age(&self, event: &Event) -> i64 {
        let [now, sent] = [self.clock.now_ms(), event.origin_server_ts()].map(i64::try_from);
        now.unwrap_or(i64::MAX).saturating_sub(sent.unwrap_or(i64::MAX))
    }

    /// A time to come is none from which to count: then the event is sticky from now on.
    fn sticky_left_ms(&self, event: &Event) -> Option<u64> {
        let now = self.clock.now_ms();
        let end = event.origin_server_ts().min(now).saturating_add(event.sticky_ms()?);
        end.checked_sub(now).filter(|left| *left > 0)
    }

    /// The transaction id, told only to the device that sent the event, and the id under which it was scheduled,
    /// told to all devices of its sender.
    fn sent_with(
        &self,
        view: &RoomView<'_>,
        event: &VisibleEvent,
    ) -> Result<(Option<String>, Option<String>), RoomError> {
        let viewer = view.viewer();
        let Some(device_id) = viewer.device_id.as_ref().filter(|_| event.meta().sender == viewer.user) else {
            return Ok((None, None));
        };
        Ok(match self.storage.get(&EVENT_TRANSACTIONS, &event.short())? {
            Some((device, delay_id)) if device == limits::DELAYED_DEVICE => (None, Some(delay_id)),
            Some((device, transaction_id)) if device == *device_id => (Some(transaction_id), None),
            _ => (None, None),
        })
    }

    fn replaced(&self, view: &RoomView<'_>, event: &VisibleEvent) -> Result<Option<Replaced>, RoomError> {
        let Some(state_key) = event.event().state_key() else { return Ok(None) };
        let before = StateRoot::from_bytes(event.meta().state_before);
        let Some(short) = self.states.get(before, event.event().event_type(), state_key)? else {
            return Ok(None);
        };
        // One from before this server was in the room has no place in the timeline, but who sees the event knows
        // the state before it.
        let seen = match view.sees_short(short)? {
            Some(seen) => Some(seen),
            None => view.state_event(short)?.filter(|seen| seen.meta().timeline.is_none()),
        };
        Ok(Some(Replaced {
            event_id: self.storage.event_id(short)?,
            event: seen.map(|seen| seen.stored().event.clone()),
        }))
    }

    /// What is told of the event's relations. The newest event of a thread is told with its edit; an edit has
    /// nothing more to tell.
    fn relations(
        &self,
        view: &RoomView<'_>,
        event: &VisibleEvent,
        form: EventForm,
    ) -> Result<Option<Box<RawValue>>, RoomError> {
        let Some(bundle) = self.bundles.of(view, event)? else { return Ok(None) };
        let plain = EventForm { tells_relations: false, ..form };
        let edit = bundle.edit.map(|edit| self.write::<()>(view, &edit, plain)).transpose()?;
        let thread = match bundle.thread {
            Some(thread) => Some(ThreadBundle {
                latest_event: self.write::<()>(view, &thread.latest, form)?.into_json(),
                count: thread.events,
                current_user_participated: thread.participated,
            }),
            None => None,
        };
        let references = bundle.references.into_iter().map(|event_id| Reference { event_id }).collect();
        let told = RelationsBundle {
            edit: edit.map(Raw::into_json),
            thread,
            references: Some(References { chunk: references }).filter(|it| !it.chunk.is_empty()),
        };
        if told.edit.is_none() && told.thread.is_none() && told.references.is_none() {
            return Ok(None);
        }
        serde_json::value::to_raw_value(&told).map(Some).map_err(|source| corrupt(event.event(), source))
    }

    fn redacted_because(
        &self,
        view: &RoomView<'_>,
        event: &VisibleEvent,
    ) -> Result<Option<Box<RawValue>>, RoomError> {
        let Some(redaction) = event.meta().redacted_by else { return Ok(None) };
        let Some(redaction) = view.sees_short(redaction)? else { return Ok(None) };
        let membership = redaction.membership().map(Membership::as_str);
        let unsigned = Unsigned {
            age: Some(self.age(redaction.event())),
            membership,
            membership_unstable: membership,
            ..Unsigned::default()
        };
        client_event(redaction.event(), ClientFormat::WithoutRoomId, &unsigned)
            .map(Some)
            .map_err(|source| corrupt(redaction.event(), source))
    }
}

impl UnsignedParts {
    fn previous_sender(&self) -> Option<&str> {
        let previous = self.replaced.as_ref()?.event.as_ref()?;
        Some(previous.sender().as_str())
    }
}

fn corrupt(event: &Event, source: serde_json::Error) -> RoomError {
    RoomError::CorruptEvent {
        event_id: event.event_id().to_owned(),
        source: EventFormatError::Fields(source),
    }
}
