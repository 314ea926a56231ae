//! A room written row by row, for tests of what reads rooms: any history, with no appender's rules in the way.

use ruma::{OwnedUserId, RoomVersionId};
use serde_json::Value;

use super::{
    ClientEvents, EventStore, RoomIndex, RoomStates, RoomView, StoredEvent, Timelines, Viewer, Visibility,
    membership_of,
};
use crate::{
    matrix::test_rooms::{CREATOR, TestRoom},
    state::tree::StateRoot,
    storage::{
        Direction, Json, Read, ShortEventId, ShortRoomId, Storage, StorageError, StreamPosition, TimelineKey,
        Transaction,
        records::{EventMeta, EventStatus, Membership, MembershipRow, RoomHead, RoomRecord},
        tables::{
            EVENT_JSON, EVENT_META, MEMBER_COUNTS, MEMBERSHIPS, ROOM_HEADS, ROOM_MEMBERS, ROOMS, TIMELINE,
        },
    },
    users::Clock,
};

pub(crate) const ALICE: &str = CREATOR;
pub(crate) const BOB: &str = "@bob:example.org";
pub(crate) const CAROL: &str = "@carol:example.org";

/// The time at which the test rooms' clock starts: 10 s after the first event.
pub(crate) const NOW_MS: u64 = 1_700_000_010_000;

/// A room with its services. The creator is [`ALICE`].
pub(crate) struct StoredRoom {
    pub(crate) storage: Storage,
    pub(crate) index: RoomIndex,
    pub(crate) events: EventStore,
    pub(crate) states: RoomStates,
    pub(crate) visibility: Visibility,
    pub(crate) timelines: Timelines,
    pub(crate) client_events: ClientEvents,
    pub(crate) clock: Clock,
    pub(crate) room: ShortRoomId,
    pub(crate) draft: TestRoom,
    written: usize,
}

impl StoredRoom {
    /// A room of version 11 that its creator has joined.
    pub(crate) fn new() -> Self {
        let storage = Storage::in_memory().unwrap();
        let index = RoomIndex::new(storage.clone());
        let events = EventStore::new(storage.clone(), index.clone(), 1 << 20);
        let states = RoomStates::new(storage.clone(), 1 << 20);
        let (clock, _) = Clock::manual(NOW_MS);
        let draft = TestRoom::new(&RoomVersionId::V11);
        let room_id = draft.room_id.clone().unwrap();
        let room = storage.write(|rows| rows.intern_room(&room_id)).unwrap();
        let mut stored = Self {
            visibility: Visibility::new(storage.clone(), index.clone(), events.clone(), states.clone()),
            timelines: Timelines::new(storage.clone(), events.clone(), states.clone()),
            client_events: ClientEvents::new(storage.clone(), states.clone(), clock.clone()),
            storage,
            index,
            events,
            states,
            clock,
            room,
            draft,
            written: 0,
        };
        stored.write_new();
        stored
    }

    /// Appends an event; no rule is checked.
    pub(crate) fn send(
        &mut self,
        sender: &str,
        event_type: &str,
        state_key: Option<&str>,
        content: Value,
    ) -> ShortEventId {
        self.draft.put(self.draft.build(self.draft.draft(sender, event_type, state_key, content)));
        self.write_new()
    }

    pub(crate) fn say(&mut self, sender: &str, body: &str) -> ShortEventId {
        let content = serde_json::json!({"msgtype": "m.text", "body": body});
        self.send(sender, "m.room.message", None, content)
    }

    pub(crate) fn set(&mut self, event_type: &str, content: Value) -> ShortEventId {
        self.send(ALICE, event_type, Some(""), content)
    }

    pub(crate) fn member(&mut self, user: &str, membership: &str) -> ShortEventId {
        let content = serde_json::json!({"membership": membership});
        self.send(user, "m.room.member", Some(user), content)
    }

    pub(crate) fn history(&mut self, value: &str) -> ShortEventId {
        self.set("m.room.history_visibility", serde_json::json!({"history_visibility": value}))
    }

    pub(crate) fn viewer(&self, user: &str) -> Viewer {
        let user_id = OwnedUserId::try_from(user).unwrap();
        let user = self.storage.write(|rows| rows.intern_user(&user_id)).unwrap();
        Viewer { user, user_id, device_id: Some("DEVICE".into()) }
    }

    pub(crate) fn view<'a>(&'a self, viewer: &'a Viewer) -> RoomView<'a> {
        self.visibility.view(viewer, self.room).unwrap()
    }

    pub(crate) fn stored(&self, short: ShortEventId) -> StoredEvent {
        self.events.get(short).unwrap().unwrap()
    }

    pub(crate) fn sees(&self, user: &str, short: ShortEventId) -> bool {
        let viewer = self.viewer(user);
        let view = self.view(&viewer);
        view.sees_short(short).unwrap().is_some()
    }

    /// Marks an event as redacted by another.
    pub(crate) fn mark_redacted(&self, target: ShortEventId, redaction: ShortEventId) {
        let meta = EventMeta { redacted_by: Some(redaction), ..self.stored(target).meta };
        self.storage
            .write(|rows| {
                rows.put(&EVENT_META, &target, &meta);
                Ok::<_, StorageError>(())
            })
            .unwrap();
    }

    fn write_new(&mut self) -> ShortEventId {
        let mut last = ShortEventId(0);
        while self.written < self.draft.events.len() {
            last = self.storage.write(|rows| self.write_event(rows)).unwrap();
            self.written += 1;
        }
        self.storage.durable_blocking().unwrap();
        last
    }

    fn write_event(&self, rows: &mut Transaction<'_>) -> Result<ShortEventId, StorageError> {
        let event = &self.draft.events[self.written];
        let short = rows.intern_event(event.event_id())?;
        let position = rows.next_position();
        if self.written == 0 {
            let version = RoomVersionId::V11;
            let record = RoomRecord { version, create_event: short, federate: true, room_type: None };
            rows.put(&ROOMS, &self.room, &Json(record));
        }
        let mut head = rows.get(&ROOM_HEADS, &self.room)?.unwrap_or(RoomHead {
            depth: 0,
            state: StateRoot::EMPTY.to_bytes(),
            newest: TimelineKey(0),
            oldest: TimelineKey(0),
            extremities: Vec::new(),
        });
        head.depth += 1;
        head.newest.0 += 1;
        head.extremities = vec![short];
        let meta = EventMeta {
            room: self.room,
            sender: rows.intern_user(event.sender())?,
            timeline: Some(head.newest),
            position,
            state_before: head.state,
            status: EventStatus::Accepted,
            redacted_by: None,
        };
        rows.put(&EVENT_JSON, &short, &event.json().as_bytes().to_vec());
        rows.put(&EVENT_META, &short, &meta);
        rows.put(&TIMELINE, &(self.room, head.newest), &(short, position));
        if let Some(state_key) = event.state_key() {
            let key = rows.intern_state_key(event.event_type(), state_key)?;
            let root = self.states.set(rows, StateRoot::from_bytes(head.state), key, short).unwrap();
            head.state = root.to_bytes();
            if let (Some(user), Some(membership)) = (key.as_member(), membership_of(event)) {
                let row = MembershipRow { membership, event: short, position, forgotten: false };
                if let Some(before) = rows.get(&MEMBERSHIPS, &(user, self.room))? {
                    rows.delete(&ROOM_MEMBERS, &(self.room, before.membership, user));
                }
                rows.put(&MEMBERSHIPS, &(user, self.room), &row);
                rows.put(&ROOM_MEMBERS, &(self.room, membership, user), &short);
                let counts = [Membership::Join, Membership::Invite].map(|membership| {
                    let range = ROOM_MEMBERS.prefix(&(self.room, membership));
                    rows.scan(&ROOM_MEMBERS, &range, Direction::Forward).count() as u64
                });
                rows.put(&MEMBER_COUNTS, &self.room, &(counts[0], counts[1]));
            }
        }
        rows.put(&ROOM_HEADS, &self.room, &head);
        Ok(short)
    }

    /// The newest position.
    pub(crate) fn position(&self) -> StreamPosition {
        self.storage.position()
    }
}
