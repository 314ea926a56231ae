//! Events known only by reference: entries of a state that another server gave, and auth chains. Their place in
//! the graph is not known; their own auth events decide whether they count (check 4 on receipt).

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use ruma::{OwnedEventId, RoomId, RoomVersionId, room_version_rules::RoomVersionRules};

use super::ReceivedEvents;
use crate::{
    matrix::{
        auth_rules::check_state_independent,
        event::{Event, create_event_id_of_room},
        room_versions,
    },
    rooms::{
        RoomError, StoredEvent,
        appender::{RoomRows, record_of},
        limits,
    },
    state::tree::StateRoot,
    storage::{
        Json, ShortEventId, ShortRoomId, ShortUserId, StorageError, StreamPosition, Transaction,
        records::{EventMeta, EventStatus},
        tables::ROOMS,
    },
};

/// What came of a set of outliers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outliers {
    /// Auth events that were neither known nor among the events. What cites them was not kept.
    pub missing: BTreeSet<OwnedEventId>,
    /// How many were kept as allowed by nothing.
    pub unauthorised: usize,
}

/// A room whose outliers are checked.
struct Checked<'r> {
    room: ShortRoomId,
    rules: &'r RoomVersionRules,
    create: Arc<Event>,
}

impl ReceivedEvents {
    /// Keeps events of a room of `version` that are in a state or an auth chain, in any order: each is checked
    /// against its auth events, which must be among them or known. Those known already are passed over, and
    /// those of other rooms. For a room that this server does not know yet, the create event must be among
    /// them; it stays out of sight until it is entered.
    ///
    /// Written in bounded steps. A caller with very many events gives them in several calls, auth events first.
    pub fn store_outliers(
        &self,
        room_id: &RoomId,
        version: &RoomVersionId,
        events: Vec<Event>,
    ) -> Result<Outliers, RoomError> {
        let rules =
            room_versions::rules(version).ok_or_else(|| RoomError::UnsupportedVersion(version.clone()))?;
        let events: Vec<Arc<Event>> =
            events.into_iter().filter(|event| event.room_id() == room_id).map(Arc::new).collect();
        let room = self.appender.storage().write(|rows| rows.intern_room(room_id))?;
        let _guard = self.appender.writers().enter(room);
        let create = self.create_event(room, room_id, version, &rules, &events)?;
        let checked = Checked { room, rules: &rules, create };
        let mut outliers = Outliers::default();
        for step in auth_events_first(&events).chunks(limits::OUTLIERS_PER_STEP) {
            self.store_step(&checked, step, &mut outliers)?;
        }
        Ok(outliers)
    }

    /// The room's create event, kept with the room's record if it is new.
    fn create_event(
        &self,
        room: ShortRoomId,
        room_id: &RoomId,
        version: &RoomVersionId,
        rules: &RoomVersionRules,
        events: &[Arc<Event>],
    ) -> Result<Arc<Event>, RoomError> {
        let index = self.appender.index();
        let known = index.record(room)?.filter(|record| record.create_event != ShortEventId(0));
        if let Some(record) = known {
            if record.version != *version {
                let problem = format!("room {room_id} has version {}, not {version}", record.version);
                return Err(RoomError::InvalidParameter(problem));
            }
            let create = self.stored(record.create_event)?.ok_or_else(|| RoomError::DamagedRoom {
                room_id: room_id.to_owned(),
                what: "its create event is missing",
            })?;
            return Ok(create.event);
        }
        let create = events
            .iter()
            .find(|event| event.is_state_of("m.room.create", ""))
            .ok_or_else(|| RoomError::BadContent(format!("the create event of room {room_id} is missing")))?;
        check_state_independent(create, rules, &[], None)?;
        let named = room_versions::of_create_content(create.content_json());
        if named.ok().as_ref() != Some(version) {
            return Err(RoomError::BadContent(format!("room {room_id} is not of version {version}")));
        }
        if rules.authorization.room_create_event_id_as_room_id
            && create_event_id_of_room(room_id).as_deref() != Some(create.event_id())
        {
            return Err(RoomError::BadContent(format!("room {room_id} has another create event")));
        }
        self.appender.storage().write(|rows| {
            let short = rows.intern_event(create.event_id())?;
            rows.put(&ROOMS, &room, &Json(record_of(version, create, short)?));
            let meta = outlier_meta(room, rows.intern_user(create.sender())?, EventStatus::Outlier);
            RoomRows::write_event(rows, short, create, &meta)
        })?;
        index.replaced(room);
        Ok(create.clone())
    }

    fn store_step(
        &self,
        checked: &Checked<'_>,
        step: &[Arc<Event>],
        outliers: &mut Outliers,
    ) -> Result<(), RoomError> {
        // Their numbers first: what is parsed once for an event is remembered by its number.
        let storage = self.appender.storage();
        let shorts: Vec<(ShortEventId, ShortUserId)> = storage.write(|rows| {
            let intern = |rows: &mut Transaction<'_>, event: &Event| {
                Ok::<_, StorageError>((
                    rows.intern_event(event.event_id())?,
                    rows.intern_user(event.sender())?,
                ))
            };
            step.iter().map(|event| intern(rows, event)).collect::<Result<_, _>>()
        })?;
        let mut new: HashMap<&ruma::EventId, StoredEvent> = HashMap::new();
        let mut written = Vec::with_capacity(step.len());
        for (event, (short, sender)) in step.iter().zip(shorts) {
            let known = self.appender.events().meta(short)?;
            if known.is_some_and(|meta| meta.status != EventStatus::OutOfBand) {
                continue;
            }
            let Some(status) = self.check_outlier(checked, event, &new, outliers)? else { continue };
            let meta = outlier_meta(checked.room, sender, status);
            let stored = StoredEvent { short, meta, event: event.clone() };
            new.insert(event.event_id(), stored.clone());
            written.push(stored);
        }
        storage.write(|rows| {
            for stored in &written {
                RoomRows::write_event(rows, stored.short, &stored.event, &stored.meta)?;
            }
            Ok::<_, RoomError>(())
        })?;
        for stored in written {
            self.appender.events().applied(stored.short, stored.event);
        }
        Ok(())
    }

    /// `None` if it can't be checked.
    fn check_outlier(
        &self,
        checked: &Checked<'_>,
        event: &Event,
        new: &HashMap<&ruma::EventId, StoredEvent>,
        outliers: &mut Outliers,
    ) -> Result<Option<EventStatus>, RoomError> {
        let mut auth_events = Vec::with_capacity(event.auth_events().len());
        for event_id in event.auth_events() {
            let stored = match new.get(&**event_id) {
                Some(stored) => Some(stored.clone()),
                None => self.appender.events().by_id(event_id)?,
            };
            match stored.filter(|stored| stored.meta.status != EventStatus::OutOfBand) {
                Some(stored) => auth_events.push(stored),
                None => {
                    outliers.missing.insert(event_id.clone());
                }
            }
        }
        if auth_events.len() < event.auth_events().len() {
            tracing::debug!(event = %event.event_id(), "auth events of an outlier are missing");
            return Ok(None);
        }
        let Checked { rules, create, .. } = checked;
        Ok(Some(match self.check_auth_events(rules, create, event, &auth_events)? {
            Ok(()) => EventStatus::Outlier,
            Err(refusal) => {
                tracing::debug!(event = %event.event_id(), "an outlier is refused: {refusal}");
                outliers.unauthorised += 1;
                EventStatus::Unauthorised
            }
        }))
    }
}

/// The row of an event whose place in the graph is not known.
pub(super) fn outlier_meta(room: ShortRoomId, sender: ShortUserId, status: EventStatus) -> EventMeta {
    EventMeta {
        room,
        sender,
        timeline: None,
        position: StreamPosition(0),
        state_before: StateRoot::EMPTY.to_bytes(),
        status,
        redacted_by: None,
    }
}

/// The events ordered so that those among them which an event cites come before it. Events that cite each
/// other in a circle, which no honest event can, are left out.
fn auth_events_first(events: &[Arc<Event>]) -> Vec<Arc<Event>> {
    let at: HashMap<&ruma::EventId, usize> =
        events.iter().enumerate().map(|(at, event)| (event.event_id(), at)).collect();
    let mut waiting_for = vec![0_usize; events.len()];
    let mut cited_by: HashMap<usize, Vec<usize>> = HashMap::new();
    for (citing, event) in events.iter().enumerate() {
        if at.get(event.event_id()) != Some(&citing) {
            // A second copy of the same event.
            continue;
        }
        let cited: BTreeSet<usize> =
            event.auth_events().iter().filter_map(|event_id| at.get(&**event_id)).copied().collect();
        if let Some(waiting) = waiting_for.get_mut(citing) {
            *waiting = cited.len();
        }
        for cited in cited {
            cited_by.entry(cited).or_default().push(citing);
        }
    }
    let mut ready: VecDeque<usize> =
        waiting_for.iter().enumerate().filter(|(_, waiting)| **waiting == 0).map(|(at, _)| at).collect();
    let mut ordered = Vec::with_capacity(events.len());
    while let Some(next) = ready.pop_front() {
        ordered.extend(events.get(next).filter(|event| at.get(event.event_id()) == Some(&next)).cloned());
        for citing in cited_by.remove(&next).unwrap_or_default() {
            let Some(waiting) = waiting_for.get_mut(citing) else { continue };
            *waiting -= 1;
            if *waiting == 0 {
                ready.push_back(citing);
            }
        }
    }
    ordered
}
