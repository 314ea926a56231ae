//! What `unsigned` tells to whom.

use serde_json::{Value, json};

use super::{
    EventForm,
    stored_room::{ALICE, BOB, CAROL, NOW_MS, StoredRoom},
};
use crate::storage::{ShortEventId, StorageError, tables::EVENT_TRANSACTIONS};

fn shown(room: &StoredRoom, user: &str, device: &str, event: ShortEventId, form: EventForm) -> Value {
    let mut viewer = room.viewer(user);
    viewer.device_id = Some(device.into());
    let view = room.view(&viewer);
    let event = view.sees_short(event).unwrap().expect("a visible event");
    let raw = room.client_events.write::<ruma::events::AnyTimelineEvent>(&view, &event, form).unwrap();
    serde_json::from_str(raw.json().get()).unwrap()
}

#[test]
fn a_message_has_its_age_and_the_readers_membership() {
    let mut room = StoredRoom::new();
    room.member(BOB, "join");
    let said = room.say(ALICE, "hello");
    let sent = room.stored(said).event.origin_server_ts();
    let unsigned =
        json!({"age": NOW_MS - sent, "membership": "join", "io.element.msc4115.membership": "join"});
    assert_eq!(shown(&room, BOB, "B", said, EventForm::TIMELINE)["unsigned"], unsigned);
    assert_eq!(shown(&room, BOB, "B", said, EventForm::SYNC_TIMELINE)["room_id"], Value::Null);
    room.member(CAROL, "join");
    let other = shown(&room, CAROL, "C", said, EventForm::TIMELINE);
    assert_eq!(other["unsigned"]["membership"], "leave");
}

#[test]
fn the_membership_is_that_after_ones_own_event() {
    let mut room = StoredRoom::new();
    let join = room.member(BOB, "join");
    assert_eq!(shown(&room, BOB, "B", join, EventForm::TIMELINE)["unsigned"]["membership"], "join");
}

#[test]
fn the_transaction_id_is_told_to_the_sending_device_only() {
    let mut room = StoredRoom::new();
    room.member(BOB, "join");
    let said = room.say(ALICE, "hello");
    let put = |rows: &mut crate::storage::Transaction<'_>| {
        rows.put(&EVENT_TRANSACTIONS, &said, &("PHONE".into(), "txn1".to_owned()));
        Ok::<_, StorageError>(())
    };
    room.storage.write(put).unwrap();
    let id = |user, device| {
        shown(&room, user, device, said, EventForm::TIMELINE)["unsigned"]["transaction_id"].clone()
    };
    assert_eq!(id(ALICE, "PHONE"), "txn1");
    assert_eq!(id(ALICE, "LAPTOP"), Value::Null);
    assert_eq!(id(BOB, "PHONE"), Value::Null);
}

#[test]
fn a_state_event_tells_what_it_replaced_in_timelines() {
    let mut room = StoredRoom::new();
    let old = room.set("m.room.topic", json!({"topic": "old"}));
    let new = room.set("m.room.topic", json!({"topic": "new"}));
    let first = shown(&room, ALICE, "A", old, EventForm::TIMELINE);
    assert_eq!(first["unsigned"]["replaces_state"], Value::Null);
    let second = shown(&room, ALICE, "A", new, EventForm::TIMELINE);
    assert_eq!(second["unsigned"]["prev_content"], json!({"topic": "old"}));
    assert_eq!(second["unsigned"]["prev_sender"], ALICE);
    assert_eq!(second["unsigned"]["replaces_state"], room.stored(old).event.event_id().as_str());
    let in_state = shown(&room, ALICE, "A", new, EventForm::STATE);
    assert_eq!(in_state["unsigned"]["prev_content"], Value::Null);
}

#[test]
fn replaced_content_that_the_reader_may_not_see_is_only_named() {
    let mut room = StoredRoom::new();
    room.history("joined");
    room.set("m.room.topic", json!({"topic": "secret"}));
    room.member(BOB, "join");
    let new = room.set("m.room.topic", json!({"topic": "new"}));
    let event = shown(&room, BOB, "B", new, EventForm::TIMELINE);
    assert!(event["unsigned"]["replaces_state"].is_string());
    assert_eq!(event["unsigned"]["prev_content"], Value::Null);
}

#[test]
fn a_redacted_event_has_its_redaction() {
    let mut room = StoredRoom::new();
    let said = room.say(ALICE, "hello");
    let target = room.stored(said).event.event_id().to_owned();
    let redaction = room.send(ALICE, "m.room.redaction", None, json!({"redacts": target, "reason": "spam"}));
    room.mark_redacted(said, redaction);
    let because = &shown(&room, ALICE, "A", said, EventForm::TIMELINE)["unsigned"]["redacted_because"];
    assert_eq!(because["type"], "m.room.redaction");
    assert_eq!(because["content"]["reason"], "spam");
    assert_eq!(because["redacts"], target.as_str());
    assert_eq!(because["room_id"], Value::Null);
}

#[test]
fn stripped_events_have_four_keys() {
    let mut room = StoredRoom::new();
    let topic = room.set("m.room.topic", json!({"topic": "t"}));
    let event = room.stored(topic).event;
    let raw = room.client_events.write_stripped::<ruma::events::AnyStrippedStateEvent>(&event).unwrap();
    let value: Value = serde_json::from_str(raw.json().get()).unwrap();
    let expected =
        json!({"type": "m.room.topic", "state_key": "", "sender": ALICE, "content": {"topic": "t"}});
    assert_eq!(value, expected);
}
