use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, api::client::filter::RoomEventFilter};
use serde_json::{Value, json};

use super::*;
use crate::{
    rooms::{
        appender::Draft,
        creation::NewRoom,
        testing::{RoomsFixture, content},
    },
    storage::{
        Direction, StorageError,
        tables::{SEARCH_INDEXED, SEARCH_POSTINGS},
    },
    users::AccountData,
};

struct Setting {
    fixture: RoomsFixture,
    room: OwnedRoomId,
    alice: OwnedUserId,
    bob: OwnedUserId,
    search: EventSearch,
}

fn request(term: &str, order: SearchOrder) -> SearchRequest {
    SearchRequest {
        term: term.to_owned(),
        keys: vec![SearchKey::Body, SearchKey::Name, SearchKey::Topic],
        filter: EventFilter::default(),
        order,
        from: None,
    }
}

fn filter(json: Value) -> EventFilter {
    serde_json::from_value::<RoomEventFilter>(json).unwrap().into()
}

impl Setting {
    fn new() -> Self {
        let fixture = RoomsFixture::new();
        let (alice, bob) = (RoomsFixture::user("alice"), RoomsFixture::user("bob"));
        let room = fixture.public_room(&alice);
        fixture.join(&room, &bob);
        let RoomsFixture { storage, index, events, states, .. } = &fixture;
        let visibility = Visibility::new(storage.clone(), index.clone(), events.clone(), states.clone());
        let search =
            EventSearch::new(storage.clone(), index.clone(), events.clone(), states.clone(), visibility);
        Self { fixture, room, alice, bob, search }
    }

    fn say(&self, text: &str) -> OwnedEventId {
        self.fixture.clock.advance_ms(1);
        self.fixture.say(&self.room, &self.alice, text)
    }

    fn edit(&self, sender: &OwnedUserId, of: &OwnedEventId, text: &str) -> OwnedEventId {
        self.fixture.clock.advance_ms(1);
        let json = json!({"msgtype": "m.text", "body": format!("* {text}"),
            "m.new_content": {"msgtype": "m.text", "body": text},
            "m.relates_to": {"rel_type": "m.replace", "event_id": of}});
        self.fixture.append(&self.room, Draft::message(sender, "m.room.message", content(json))).unwrap()
    }

    fn redact(&self, target: &OwnedEventId) {
        self.fixture.append(&self.room, Draft::redaction(&self.alice, target, None)).unwrap();
    }

    fn page(&self, user: &OwnedUserId, request: &SearchRequest) -> SearchPage {
        let storage = &self.fixture.storage;
        storage.durable_blocking().unwrap();
        let user_id = user.clone();
        let viewer = Viewer { user: storage.short_user_id(user).unwrap().unwrap(), user_id, device_id: None };
        self.search.search(&viewer, request).unwrap()
    }

    fn found(&self, user: &OwnedUserId, term: &str) -> Vec<OwnedEventId> {
        let page = self.page(user, &request(term, SearchOrder::Recent));
        assert_eq!(page.count, page.results.len());
        ids(&page)
    }
}

fn ids(page: &SearchPage) -> Vec<OwnedEventId> {
    page.results.iter().map(|found| found.event.event().event_id().to_owned()).collect()
}

#[test]
fn messages_names_and_topics_are_found() {
    let it = Setting::new();
    let first = it.say("Grüße aus Köln");
    let second = it.say("koln again");
    let set = |event_type: &str, json: Value| {
        it.fixture.set_state(&it.room, &it.alice, event_type, "", json).unwrap()
    };
    let name = set("m.room.name", json!({"name": "The Cathedral"}));
    let topic = set("m.room.topic", json!({"topic": "All about Köln"}));
    assert_eq!(it.found(&it.bob, "köln"), [topic.clone(), second.clone(), first.clone()]);
    assert_eq!(it.found(&it.bob, "KOLN gruss"), [first.clone()], "a word may go on");
    assert_eq!(it.found(&it.bob, "koln russe"), Vec::<OwnedEventId>::new());
    assert_eq!(it.found(&it.bob, "grusse koln"), [first.clone()]);
    assert_eq!(it.found(&it.bob, "cathedral"), [name]);
    for nothing in ["", "…", "berlin"] {
        assert!(it.found(&it.bob, nothing).is_empty(), "{nothing}");
    }
    let only = SearchRequest { keys: vec![SearchKey::Topic], ..request("köln", SearchOrder::Recent) };
    assert_eq!(ids(&it.page(&it.bob, &only)), [topic]);
    let page = it.page(&it.bob, &request("köln", SearchOrder::Recent));
    assert_eq!(page.highlights, ["köln", "koln"]);
}

#[test]
fn edited_messages_are_found_by_what_they_say_now() {
    let it = Setting::new();
    let message = it.say("wrong words");
    let edit = it.edit(&it.alice, &message, "right answer");
    assert!(it.found(&it.bob, "wrong").is_empty());
    assert_eq!(it.found(&it.bob, "right"), [message.clone()]);
    it.edit(&it.bob, &message, "forged answer");
    assert!(it.found(&it.bob, "forged").is_empty(), "somebody else's edit is none");
    let newer = it.edit(&it.alice, &message, "better answer");
    assert_eq!(it.found(&it.bob, "answer"), [message.clone()]);
    assert!(it.found(&it.bob, "right").is_empty());
    it.redact(&newer);
    assert_eq!(it.found(&it.bob, "right"), [message.clone()]);
    it.redact(&edit);
    assert_eq!(it.found(&it.bob, "wrong"), [message.clone()]);
    it.redact(&message);
    assert!(it.found(&it.bob, "wrong").is_empty());
    let postings = SEARCH_POSTINGS.prefix(&(it.fixture.short(&it.room),));
    let rows = it.fixture.storage.scan(&SEARCH_POSTINGS, &postings, Direction::Forward);
    let terms: Vec<_> = rows.map(|row| row.unwrap().0.1).collect();
    assert!(
        !terms.iter().any(|term| ["wrong", "words", "right", "answer"].contains(&term.as_str())),
        "{terms:?}"
    );
}

#[test]
fn neither_results_nor_counts_tell_of_what_is_hidden() {
    let it = Setting::new();
    let carol = RoomsFixture::user("carol");
    it.fixture
        .set_state(
            &it.room,
            &it.alice,
            "m.room.history_visibility",
            "",
            json!({"history_visibility": "joined"}),
        )
        .unwrap();
    it.say("secret before");
    it.fixture.join(&it.room, &carol);
    let between = it.say("secret between");
    it.fixture.set_membership(&it.room, &carol, &carol, "leave").unwrap();
    it.say("secret after");
    it.edit(&it.alice, &between, "another text");
    assert_eq!(it.found(&it.alice, "secret").len(), 2);
    // The edit came after carol left: what the message says now is not hers to find, and what it said is not found
    // by the index any more.
    assert!(it.found(&carol, "secret").is_empty());
    assert!(it.found(&carol, "another").is_empty());
    let stranger = RoomsFixture::user("dave");
    it.fixture.public_room(&stranger);
    assert!(it.found(&stranger, "secret").is_empty());
}

#[test]
fn pages_follow_each_other_and_new_messages_do_not_shift_them() {
    let it = Setting::new();
    let sent: Vec<_> = (0..25).map(|number| it.say(&format!("Message {number}"))).collect();
    let mut from = None;
    let mut all = Vec::new();
    for _ in 0..4 {
        let next = SearchRequest { from: from.take(), ..request("message", SearchOrder::Recent) };
        let page = it.page(&it.bob, &next);
        assert_eq!(page.count, 25);
        all.extend(ids(&page));
        from = page.next;
        it.say("one more message");
        if from.is_none() {
            break;
        }
    }
    let newest_first: Vec<_> = sent.into_iter().rev().collect();
    assert_eq!(all, newest_first);
    assert!(from.is_none());
}

#[test]
fn the_best_come_first_where_rank_orders() {
    let it = Setting::new();
    let whole = it.say("apple pie");
    let longer = it.say("applesauce, and so much more to say about it, and again, in so many words");
    let page = it.page(&it.bob, &request("apple", SearchOrder::Rank));
    assert_eq!(ids(&page), [whole, longer]);
    assert!(page.results[0].rank > page.results[1].rank);
}

#[test]
fn filters_groups_and_ignored_users() {
    let it = Setting::new();
    let other = it.fixture.public_room(&it.bob);
    it.fixture.join(&other, &it.alice);
    for number in 0..3 {
        it.say(&format!("apple {number}"));
        it.fixture.clock.advance_ms(1);
        it.fixture.say(&other, &it.bob, &format!("apple {number}"));
    }
    let page = |json: Value| {
        let request = SearchRequest { filter: filter(json), ..request("apple", SearchOrder::Recent) };
        it.page(&it.alice, &request)
    };
    assert_eq!(page(json!({})).count, 6);
    assert_eq!(page(json!({"rooms": [other]})).count, 3);
    assert_eq!(page(json!({"not_rooms": [other]})).count, 3);
    assert_eq!(page(json!({"senders": [it.bob]})).count, 3);
    assert_eq!(page(json!({"not_senders": [it.bob]})).count, 3);
    assert_eq!(page(json!({"types": ["m.room.name"]})).count, 0);
    assert_eq!(page(json!({"contains_url": true})).count, 0);
    assert_eq!(page(json!({"rooms": ["!nowhere:example.org"]})).count, 0);

    let two = page(json!({"limit": 2}));
    assert_eq!(two.results.len(), 2);
    assert_eq!((two.rooms.len(), two.senders.len()), (2, 2));
    let group = &two.rooms[&other];
    assert_eq!(group.results, [0]);
    let rest = SearchRequest { from: group.next.clone(), ..request("apple", SearchOrder::Recent) };
    let rest = it.page(&it.alice, &rest);
    assert_eq!(rest.results.len(), 2);
    assert!(rest.results.iter().all(|found| found.event.event().room_id() == other));

    let storage = &it.fixture.storage;
    let ignored = json!({"ignored_users": {(it.bob.as_str()): {}}}).to_string();
    let ignored = serde_json::value::RawValue::from_string(ignored).unwrap();
    storage
        .write(|tx| {
            let alice = tx.intern_user(&it.alice)?;
            AccountData::put(tx, alice, None, "m.ignored_user_list", &ignored)
        })
        .unwrap();
    assert_eq!(page(json!({})).count, 3);
}

#[test]
fn the_room_that_a_room_replaced_is_searched_with_it() {
    let it = Setting::new();
    let before = it.say("apple of old");
    let creation_content = content(json!({"predecessor": {"room_id": it.room, "event_id": before}}));
    let next = it.fixture.create(NewRoom { creation_content, ..NewRoom::by(it.alice.clone()) });
    it.fixture.clock.advance_ms(1);
    let after = it.fixture.say(&next, &it.alice, "new apple");
    let both =
        SearchRequest { filter: filter(json!({"rooms": [next]})), ..request("apple", SearchOrder::Recent) };
    assert_eq!(ids(&it.page(&it.alice, &both)), [after.clone(), before]);
    let one = json!({"rooms": [next], "not_rooms": [it.room]});
    let one = SearchRequest { filter: filter(one), ..request("apple", SearchOrder::Recent) };
    assert_eq!(ids(&it.page(&it.alice, &one)), [after]);
}

#[test]
fn what_is_older_than_the_index_is_added() {
    let it = Setting::new();
    let total = limits::SEARCH_BACKLOG_EVENTS + 20;
    let sent: Vec<_> = (0..total).map(|number| it.say(&format!("old message {number}"))).collect();
    it.edit(&it.alice, &sent[3], "changed");
    it.redact(&sent[4]);
    let storage = &it.fixture.storage;
    let rows = storage.scan(&SEARCH_POSTINGS, &SEARCH_POSTINGS.all(), Direction::Forward);
    let before: Vec<_> = rows.collect::<Result<_, StorageError>>().unwrap();
    storage
        .write(|tx| {
            before.iter().for_each(|(key, _)| tx.delete(&SEARCH_POSTINGS, key));
            tx.delete(&SEARCH_INDEXED, &it.fixture.short(&it.room));
            Ok::<_, StorageError>(())
        })
        .unwrap();
    assert!(it.found(&it.bob, "old").is_empty());
    let backlog = SearchBacklog::new(storage.clone(), it.fixture.events.clone());
    let (mut from, mut steps) = (ShortRoomId(0), 0);
    while let Some(room) = backlog.step(from).unwrap() {
        (from, steps) = (room, steps + 1);
    }
    assert_eq!(steps, 2);
    let rows = storage.scan(&SEARCH_POSTINGS, &SEARCH_POSTINGS.all(), Direction::Forward);
    let after: Vec<_> = rows.collect::<Result<_, StorageError>>().unwrap();
    assert_eq!(after, before);
}
