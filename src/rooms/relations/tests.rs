use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, api::Direction as Order};
use serde_json::{Value, json};

use super::*;
use crate::{
    rooms::{
        ClientEvents, EventForm, Timelines, Viewer, Visibility,
        appender::Draft,
        testing::{RoomsFixture, content},
    },
    storage::tables::{RELATION_SUMMARIES, THREAD_PARTICIPANTS, THREADS},
};

struct Setting {
    fixture: RoomsFixture,
    room: OwnedRoomId,
    alice: OwnedUserId,
    bob: OwnedUserId,
    visibility: Visibility,
    relations: Relations,
    client_events: ClientEvents,
}

impl Setting {
    fn new() -> Self {
        let fixture = RoomsFixture::new();
        let (alice, bob) = (RoomsFixture::user("alice"), RoomsFixture::user("bob"));
        let room = fixture.public_room(&alice);
        fixture.join(&room, &bob);
        let storage = fixture.storage.clone();
        let (events, states) = (fixture.events.clone(), fixture.states.clone());
        let timelines = Timelines::new(storage.clone(), events.clone(), states.clone());
        Self {
            visibility: Visibility::new(storage.clone(), fixture.index.clone(), events, states.clone()),
            relations: Relations::new(storage.clone(), timelines),
            client_events: ClientEvents::new(
                storage,
                states,
                crate::users::Clock::manual(1_700_000_000_000).0,
            ),
            fixture,
            room,
            alice,
            bob,
        }
    }

    fn relate(
        &self,
        sender: &OwnedUserId,
        parent: &OwnedEventId,
        rel_type: &str,
        more: Value,
    ) -> OwnedEventId {
        self.relate_as(sender, "m.room.message", parent, rel_type, more)
    }

    fn relate_as(
        &self,
        sender: &OwnedUserId,
        event_type: &str,
        parent: &OwnedEventId,
        rel_type: &str,
        more: Value,
    ) -> OwnedEventId {
        self.fixture.clock.advance_ms(1);
        let mut json = json!({ "body": "x", "m.relates_to": { "rel_type": rel_type, "event_id": parent } });
        for (key, value) in more.as_object().unwrap() {
            if key == "key" {
                json["m.relates_to"]["key"] = value.clone();
            } else {
                json[key] = value.clone();
            }
        }
        self.fixture.append(&self.room, Draft::message(sender, event_type, content(json))).unwrap()
    }

    fn redact(&self, target: &OwnedEventId) {
        self.fixture.append(&self.room, Draft::redaction(&self.alice, target, None)).unwrap();
    }

    fn viewer(&self, user: &OwnedUserId) -> Viewer {
        let short = self.fixture.storage.short_user_id(user).unwrap().unwrap();
        Viewer { user: short, user_id: user.clone(), device_id: None }
    }

    fn page(
        &self,
        parent: &OwnedEventId,
        request: &RelationsRequest,
    ) -> (Vec<OwnedEventId>, Option<PaginationToken>) {
        self.fixture.storage.durable_blocking().unwrap();
        let viewer = self.viewer(&self.alice);
        let view = self.visibility.reader(&viewer, &self.room).unwrap();
        let page = self.relations.page(&view, parent, request).unwrap();
        (page.events.iter().map(|event| event.event().event_id().to_owned()).collect(), page.next)
    }

    fn threads(&self, user: &OwnedUserId, participated: bool) -> Vec<OwnedEventId> {
        self.fixture.storage.durable_blocking().unwrap();
        let viewer = self.viewer(user);
        let view = self.visibility.reader(&viewer, &self.room).unwrap();
        let page = self.relations.threads(&view, None, 10, participated).unwrap();
        page.roots.iter().map(|event| event.event().event_id().to_owned()).collect()
    }

    /// What `user` is told of an event's relations.
    fn told(&self, user: &OwnedUserId, event: &OwnedEventId) -> Value {
        self.fixture.storage.durable_blocking().unwrap();
        let viewer = self.viewer(user);
        let view = self.visibility.reader(&viewer, &self.room).unwrap();
        let short = self.fixture.storage.short_event_id(event).unwrap().unwrap();
        let seen = view.sees_short(short).unwrap().unwrap();
        let raw = self.client_events.write::<()>(&view, &seen, EventForm::TIMELINE).unwrap();
        let written: Value = serde_json::from_str(raw.json().get()).unwrap();
        written["unsigned"]["m.relations"].clone()
    }
}

#[test]
fn relations_come_in_pages_both_ways() {
    let setting = Setting::new();
    let root = setting.fixture.say(&setting.room, &setting.alice, "root");
    let replies: Vec<_> =
        (0..7).map(|_| setting.relate(&setting.bob, &root, "m.thread", json!({}))).collect();
    for order in [Order::Forward, Order::Backward] {
        let mut found = Vec::new();
        let mut request = RelationsRequest { limit: 3, order, ..RelationsRequest::default() };
        loop {
            let (events, next) = setting.page(&root, &request);
            assert!(events.len() <= 3);
            found.extend(events);
            request.from = next;
            if next.is_none() {
                break;
            }
        }
        if order == Order::Backward {
            found.reverse();
        }
        assert_eq!(found, replies);
    }
}

#[test]
fn kinds_types_and_steps_are_told_apart() {
    let setting = Setting::new();
    let root = setting.fixture.say(&setting.room, &setting.alice, "root");
    let reply = setting.relate(&setting.bob, &root, "m.thread", json!({}));
    let reaction =
        setting.relate_as(&setting.alice, "m.reaction", &reply, "m.annotation", json!({ "key": "a" }));
    let edit = setting.relate(&setting.alice, &root, "m.replace", json!({ "m.new_content": {} }));
    let ask = |request: RelationsRequest| {
        let mut found = setting.page(&root, &request).0;
        found.reverse();
        found
    };
    let of = |rel_type: &str| RelationsRequest {
        rel_type: Some(rel_type.to_owned()),
        ..RelationsRequest::default()
    };
    assert_eq!(ask(RelationsRequest::default()), [reply.clone(), edit.clone()]);
    assert_eq!(ask(of("m.thread")), std::slice::from_ref(&reply));
    let reactions = RelationsRequest { event_type: Some("m.reaction".to_owned()), ..of("m.thread") };
    assert!(ask(reactions).is_empty());
    let recursive = RelationsRequest { recurse: true, ..RelationsRequest::default() };
    assert_eq!(ask(recursive), [reply.clone(), reaction, edit.clone()]);
    // "whose only relation to the original given event is through a non-matching intermediate event"
    assert!(ask(RelationsRequest { recurse: true, ..of("m.annotation") }).is_empty());
    setting.redact(&reply);
    let recursive = RelationsRequest { recurse: true, ..RelationsRequest::default() };
    assert_eq!(ask(recursive), [edit], "with a redacted event goes what relates over it");
}

#[test]
fn the_newest_valid_edit_is_told_until_it_is_redacted() {
    let setting = Setting::new();
    let root = setting.fixture.say(&setting.room, &setting.alice, "root");
    let new = json!({ "m.new_content": { "body": "y" } });
    let first = setting.relate(&setting.alice, &root, "m.replace", new.clone());
    let second = setting.relate(&setting.alice, &root, "m.replace", new.clone());
    setting.relate(&setting.bob, &root, "m.replace", new.clone());
    setting.relate(&setting.alice, &root, "m.replace", json!({}));
    setting.relate_as(&setting.alice, "m.sticker", &root, "m.replace", new.clone());
    assert_eq!(setting.told(&setting.bob, &root)["m.replace"]["event_id"], json!(second));
    setting.redact(&second);
    assert_eq!(setting.told(&setting.bob, &root)["m.replace"]["event_id"], json!(first));
    assert_eq!(setting.told(&setting.bob, &first), Value::Null);
    setting.redact(&root);
    assert_eq!(setting.told(&setting.bob, &root), Value::Null, "an original that is redacted has no edit");
}

#[test]
fn a_threads_root_tells_its_newest_event_and_who_takes_part() {
    let setting = Setting::new();
    let root = setting.fixture.say(&setting.room, &setting.alice, "root");
    let other = setting.fixture.say(&setting.room, &setting.bob, "other");
    let reply = setting.relate(&setting.alice, &root, "m.thread", json!({}));
    setting.relate(&setting.alice, &other, "m.thread", json!({}));
    let thread = setting.told(&setting.bob, &root)["m.thread"].clone();
    assert_eq!((&thread["count"], &thread["current_user_participated"]), (&json!(1), &json!(false)));
    assert_eq!(setting.threads(&setting.bob, false), [other.clone(), root.clone()]);
    assert_eq!(setting.threads(&setting.bob, true), std::slice::from_ref(&other));

    let newest = setting.relate(&setting.bob, &root, "m.thread", json!({}));
    assert_eq!(setting.threads(&setting.alice, false), [root.clone(), other.clone()]);
    let thread = setting.told(&setting.bob, &root)["m.thread"].clone();
    assert_eq!((&thread["count"], &thread["current_user_participated"]), (&json!(2), &json!(true)));
    assert_eq!(thread["latest_event"]["event_id"], json!(newest));
    setting.redact(&newest);
    let thread = setting.told(&setting.bob, &root)["m.thread"].clone();
    assert_eq!((&thread["count"], &thread["current_user_participated"]), (&json!(1), &json!(false)));
    assert_eq!(thread["latest_event"]["event_id"], json!(reply));
    assert_eq!(setting.threads(&setting.alice, false), [other, root.clone()]);
    setting.redact(&reply);
    assert_eq!(setting.told(&setting.bob, &root), Value::Null);
    let short = setting.fixture.storage.short_event_id(&root).unwrap().unwrap();
    assert!(setting.fixture.storage.get(&RELATION_SUMMARIES, &short).unwrap().is_none());
    let left = |range| setting.fixture.storage.scan(&THREAD_PARTICIPANTS, &range, Direction::Forward).count();
    assert_eq!(left(THREAD_PARTICIPANTS.prefix(&(short,))), 0);
    assert_eq!(setting.fixture.storage.scan(&THREADS, &THREADS.all(), Direction::Forward).count(), 1);
}

#[test]
fn ignored_users_are_not_counted_in_threads() {
    let setting = Setting::new();
    let root = setting.fixture.say(&setting.room, &setting.alice, "root");
    let reply = setting.relate(&setting.alice, &root, "m.thread", json!({}));
    setting.relate(&setting.bob, &root, "m.thread", json!({}));
    let account_data = crate::users::AccountData::new(setting.fixture.storage.clone());
    let list = json!({ "ignored_users": { &setting.bob: {} } }).to_string();
    let list = serde_json::value::RawValue::from_string(list).unwrap();
    account_data.set(setting.viewer(&setting.alice).user, None, "m.ignored_user_list", &list).unwrap();
    let thread = setting.told(&setting.alice, &root)["m.thread"].clone();
    assert_eq!((&thread["count"], &thread["latest_event"]["event_id"]), (&json!(1), &json!(reply)));
}

#[test]
fn references_are_listed() {
    let setting = Setting::new();
    let root = setting.fixture.say(&setting.room, &setting.alice, "root");
    let [one, two] = [(); 2].map(|()| setting.relate(&setting.bob, &root, "m.reference", json!({})));
    let chunk = json!([{ "event_id": one }, { "event_id": two }]);
    assert_eq!(setting.told(&setting.alice, &root), json!({ "m.reference": { "chunk": chunk } }));
}

#[test]
fn an_answer_that_came_before_its_question_is_found_below_what_that_relates_to() {
    let setting = Setting::new();
    let (alice, room) = (&setting.alice, setting.fixture.short(&setting.room));
    let first = setting.fixture.say(&setting.room, alice, "root");
    let reply = setting.relate(alice, &first, "m.thread", json!({}));
    let reaction = setting.relate_as(alice, "m.reaction", &reply, "m.annotation", json!({ "key": "a" }));
    // As backfilled history gives places, newest first.
    let stored = |id: &OwnedEventId| setting.fixture.events.by_id(id).unwrap().unwrap();
    let (reply, reaction) = (stored(&reply), stored(&reaction));
    setting
        .fixture
        .storage
        .write(|rows| {
            for event in [&reply, &reaction] {
                index::remove(rows, &event.meta, event.short, event.meta.timeline.unwrap())?;
            }
            for event in [&reaction, &reply] {
                index::add(rows, room, event.short, event.meta.timeline.unwrap(), &event.event)?;
            }
            Ok::<_, StorageError>(())
        })
        .unwrap();
    let recursive = RelationsRequest { recurse: true, ..RelationsRequest::default() };
    let found = setting.page(&first, &recursive).0;
    assert_eq!(found, [reaction.event.event_id(), reply.event.event_id()]);
}
