//! Pages of history: both ways, by tokens of all kinds, filtered, bounded by what may be seen.

use ruma::api::{Direction, client::filter::RoomEventFilter};
use serde_json::json;

use super::{
    EventFilter, PageRequest, PaginationToken, ReadError, SyncToken,
    stored_room::{ALICE, BOB, CAROL, StoredRoom},
    timeline::Page,
};

fn request(order: Direction, limit: usize) -> PageRequest {
    PageRequest { from: None, to: None, order, limit, filter: EventFilter::default() }
}

fn page(room: &StoredRoom, user: &str, request: &PageRequest) -> Page {
    let viewer = room.viewer(user);
    room.timelines.page(&room.view(&viewer), request).unwrap()
}

fn bodies(page: &Page) -> Vec<String> {
    page.events.iter().filter_map(|event| event.event().content_field("body")).collect()
}

fn filter(json: serde_json::Value) -> EventFilter {
    serde_json::from_value::<RoomEventFilter>(json).unwrap().into()
}

/// Create, join, then `count` messages "0", "1", …
fn room_of(count: usize) -> StoredRoom {
    let mut room = StoredRoom::new();
    for number in 0..count {
        room.say(ALICE, &number.to_string());
    }
    room
}

/// All pages from one end to the other.
fn walk(room: &StoredRoom, user: &str, order: Direction, limit: usize) -> Vec<String> {
    let mut request = request(order, limit);
    let mut all = Vec::new();
    for _ in 0..100 {
        let page = page(room, user, &request);
        assert!(page.events.len() <= limit);
        all.extend(page.events.iter().map(|event| event.event().event_id().to_string()));
        let Some(end) = page.end else { return all };
        request.from = Some(end);
    }
    panic!("no end after 100 pages");
}

#[test]
fn pages_cover_the_history_once_both_ways() {
    let room = room_of(10);
    let expected: Vec<String> = room.draft.events.iter().map(|event| event.event_id().to_string()).collect();
    for limit in [1, 3, 6, 12, 100] {
        assert_eq!(walk(&room, ALICE, Direction::Forward, limit), expected);
        let mut backward = walk(&room, ALICE, Direction::Backward, limit);
        backward.reverse();
        assert_eq!(backward, expected);
    }
}

#[test]
fn the_last_page_has_no_end() {
    let room = room_of(2);
    assert_eq!(page(&room, ALICE, &request(Direction::Backward, 4)).end, None);
    assert!(page(&room, ALICE, &request(Direction::Backward, 3)).end.is_some());
}

#[test]
fn an_end_token_turned_around_gives_the_same_events() {
    let room = room_of(6);
    let newest = page(&room, ALICE, &request(Direction::Backward, 3));
    assert_eq!(bodies(&newest), ["5", "4", "3"]);
    let forward = PageRequest { from: newest.end, ..request(Direction::Forward, 10) };
    assert_eq!(bodies(&page(&room, ALICE, &forward)), ["3", "4", "5"]);
}

#[test]
fn a_sync_token_is_the_gap_after_what_it_told() {
    let mut room = room_of(3);
    let token = PaginationToken::Sync(SyncToken::new(room.position(), 0));
    room.say(ALICE, "3");
    room.say(ALICE, "4");
    let back = PageRequest { from: Some(token), ..request(Direction::Backward, 2) };
    assert_eq!(bodies(&page(&room, ALICE, &back)), ["2", "1"]);
    let forth = PageRequest { from: Some(token), ..request(Direction::Forward, 2) };
    assert_eq!(bodies(&page(&room, ALICE, &forth)), ["3", "4"]);
    let gap = PageRequest { to: Some(token), ..request(Direction::Backward, 10) };
    let gap = page(&room, ALICE, &gap);
    assert_eq!(bodies(&gap), ["4", "3"]);
    assert_eq!(gap.end, None);
}

#[test]
fn tokens_from_elsewhere_are_harmless() {
    let room = room_of(3);
    for token in ["t-5", "t9223372036854775807", "t-9223372036854775808", "t999", "s0_0", "s99999999999_0"] {
        for order in [Direction::Forward, Direction::Backward] {
            let from = PageRequest { from: Some(token.parse().unwrap()), ..request(order, 10) };
            let to = PageRequest { to: Some(token.parse().unwrap()), ..request(order, 10) };
            assert!(page(&room, ALICE, &from).events.len() <= 5, "{token}");
            assert!(page(&room, ALICE, &to).events.len() <= 5, "{token}");
        }
    }
}

#[test]
fn filters_drop_events_and_pages_go_on() {
    let mut room = room_of(5);
    room.send(ALICE, "m.room.message", None, json!({"body": "picture", "url": "mxc://a/b"}));
    room.member(BOB, "join");
    room.say(BOB, "hello");
    let show = |filter_json| {
        let request = PageRequest { filter: filter(filter_json), ..request(Direction::Backward, 2) };
        bodies(&page(&room, ALICE, &request))
    };
    assert_eq!(show(json!({"contains_url": true})), ["picture"]);
    assert_eq!(
        show(json!({"senders": [ALICE], "types": ["m.room.mess*"], "contains_url": false})),
        ["4", "3"]
    );
    assert_eq!(show(json!({"not_senders": [ALICE], "not_types": ["m.room.member"]})), ["hello"]);
    assert_eq!(show(json!({"limit": 1})), ["hello"]);
    assert_eq!(show(json!({"types": []})), [""; 0]);
}

#[test]
fn a_former_member_reads_up_to_their_leave() {
    let mut room = room_of(1);
    room.member(BOB, "join");
    room.say(ALICE, "seen");
    room.member(BOB, "leave");
    room.say(ALICE, "not seen");
    let newest = page(&room, BOB, &request(Direction::Backward, 2));
    assert_eq!(newest.events[0].event().event_type(), "m.room.member");
    assert_eq!(bodies(&newest), ["seen"]);
    let ahead = PageRequest { from: newest.end, ..request(Direction::Forward, 10) };
    let ahead = page(&room, BOB, &ahead);
    assert_eq!(bodies(&ahead), ["seen"]);
    assert_eq!(ahead.end, None);
    let viewer = room.viewer(CAROL);
    let refused = room.visibility.reader(&viewer, room.draft.room_id.as_ref().unwrap());
    assert!(matches!(refused, Err(ReadError::NotInRoom)));
}

#[test]
fn context_shows_both_sides() {
    let mut room = room_of(6);
    let alice = room.viewer(ALICE);
    let middle = room.say(ALICE, "middle");
    room.member(BOB, "join");
    room.say(BOB, "7");
    room.set("m.room.topic", json!({"topic": "later"}));
    let event_id = room.stored(middle).event.event_id().to_owned();
    let view = room.view(&alice);
    let lazy = filter(json!({"lazy_load_members": true, "types": ["m.room.m*", "m.room.topic"]}));
    let context = room.timelines.context(&view, &event_id, 4, &lazy).unwrap();
    let shown = |events: &[super::VisibleEvent]| -> Vec<String> {
        events.iter().filter_map(|event| event.event().content_field("body")).collect()
    };
    assert_eq!(shown(&context.before), ["5", "4"]);
    assert_eq!(shown(&context.after), ["7"]);
    // The state is that after the last event shown: the topic came later.
    let state: Vec<_> = context.state.iter().map(|event| event.event().event_type()).collect();
    assert_eq!(state, ["m.room.member", "m.room.member"]);
    let older = PageRequest { from: Some(context.start), ..request(Direction::Backward, 1) };
    assert_eq!(bodies(&page(&room, ALICE, &older)), ["3"]);
    let newer = PageRequest { from: Some(context.end), ..request(Direction::Forward, 1) };
    assert_eq!(page(&room, ALICE, &newer).events[0].event().event_type(), "m.room.topic");
}

#[test]
fn context_of_nothing_around_still_has_tokens() {
    let room = room_of(3);
    let alice = room.viewer(ALICE);
    let event_id = room.draft.events[2].event_id();
    let context = room.timelines.context(&room.view(&alice), event_id, 0, &EventFilter::default()).unwrap();
    assert!(context.before.is_empty() && context.after.is_empty());
    let older = PageRequest { from: Some(context.start), ..request(Direction::Backward, 10) };
    assert_eq!(page(&room, ALICE, &older).events.len(), 2);
    let newer = PageRequest { from: Some(context.end), ..request(Direction::Forward, 10) };
    assert_eq!(bodies(&page(&room, ALICE, &newer)), ["1", "2"]);
}

#[test]
fn an_unseen_event_is_as_absent_as_an_unknown_one() {
    let mut room = room_of(0);
    room.history("joined");
    let secret = room.say(ALICE, "secret");
    let topic = room.set("m.room.topic", json!({"topic": "current"}));
    room.member(BOB, "join");
    let bob = room.viewer(BOB);
    let view = room.view(&bob);
    let event = |short| room.timelines.event(&view, room.stored(short).event.event_id());
    assert!(matches!(event(secret), Err(ReadError::NotFound(_))));
    assert!(event(topic).is_ok(), "an entry of the current state is known to every member");
    let unknown = room.timelines.event(&view, ruma::event_id!("$nowhere"));
    assert!(matches!(unknown, Err(ReadError::NotFound(_))));
}

#[test]
fn senders_are_shown_with_their_member_events() {
    let mut room = room_of(1);
    let join = room.member(BOB, "join");
    room.say(BOB, "hello");
    let alice = room.viewer(ALICE);
    let view = room.view(&alice);
    let page = room.timelines.page(&view, &request(Direction::Backward, 1)).unwrap();
    let members = room.timelines.senders(&view, &page.events).unwrap();
    assert_eq!(members.iter().map(super::VisibleEvent::short).collect::<Vec<_>>(), [join]);
}
