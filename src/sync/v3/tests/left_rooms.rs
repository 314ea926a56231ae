use ruma::RoomId;
use serde_json::{Value, json};

use crate::{
    rooms::creation::{NewRoom, Preset},
    sync::testing::{SyncFixture, people, shown},
};

fn left(answer: &Value, room: &RoomId) -> Value {
    answer["rooms"]["leave"][room.as_str()].clone()
}

/// A room with `alice` in it that only the invited may join.
fn private_room(server: &SyncFixture, alice: &ruma::UserId) -> ruma::OwnedRoomId {
    server.rooms.create(NewRoom { preset: Some(Preset::PrivateChat), ..NewRoom::by(alice.to_owned()) })
}

#[test]
fn an_invite_is_told_with_stripped_state_and_once() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = private_room(&server, &alice);
    let (_, token) = server.sync(&bob, None);
    server.rooms.set_membership(&room, &alice, &bob, "invite").unwrap();
    server.rooms.say(&room, &alice, "not for those who are only invited");
    let (initial, _) = server.sync(&bob, None);
    let (answer, token) = server.sync(&bob, Some(token));
    for answer in [initial, answer] {
        let rooms = answer["rooms"].as_object().unwrap();
        assert_eq!(rooms.keys().collect::<Vec<_>>(), ["invite"]);
        let state = &rooms["invite"][room.as_str()]["invite_state"];
        let types = shown(state);
        assert!(types.contains(&"m.room.create".to_owned()) && types.contains(&"m.room.member".to_owned()));
        assert!(state["events"][0]["event_id"].is_null(), "stripped");
    }
    assert_eq!(server.sync(&bob, Some(token)).0["rooms"], Value::Null);
}

#[test]
fn a_declined_invite_is_told_and_nothing_else_of_the_room() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = private_room(&server, &alice);
    server.rooms.set_membership(&room, &alice, &bob, "invite").unwrap();
    let (_, token) = server.sync(&bob, None);
    server.rooms.say(&room, &alice, "secret");
    server.rooms.set_membership(&room, &bob, &bob, "leave").unwrap();
    server.rooms.say(&room, &alice, "secret");
    let (answer, token) = server.sync(&bob, Some(token));
    let left = left(&answer, &room);
    assert_eq!(shown(&left["timeline"]), ["m.room.member"]);
    assert_eq!(left["state"], json!({"events": []}));
    assert_eq!(server.sync(&bob, Some(token)).0["rooms"], Value::Null);
}

#[test]
fn a_left_room_is_told_up_to_the_leaving() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    let (_, token) = server.sync(&bob, None);
    server.rooms.set_state(&room, &alice, "m.room.topic", "", json!({"topic": "seen"})).unwrap();
    server.rooms.say(&room, &alice, "seen");
    server.rooms.set_membership(&room, &alice, &bob, "leave").unwrap();
    server.rooms.set_state(&room, &alice, "m.room.topic", "", json!({"topic": "secret"})).unwrap();
    server.rooms.say(&room, &alice, "secret");
    let (answer, later) = server.sync(&bob, Some(token));
    assert_eq!(answer["rooms"]["join"], Value::Null);
    assert_eq!(shown(&left(&answer, &room)["timeline"]), ["m.room.topic", "seen", "m.room.member"]);
    let mut request = server.request(&bob, Some(token), json!({}));
    request.state_up_to = crate::sync::v3::response::StateUpTo::TimelineEnd;
    let (answer, _) = server.answer(&request);
    let state = left(&answer, &room)["state_after"]["events"].as_array().cloned().unwrap();
    let topics: Vec<_> = state.iter().filter_map(|event| event["content"]["topic"].as_str()).collect();
    assert_eq!(topics, ["seen"]);
    assert_eq!(server.sync(&bob, Some(later)).0["rooms"], Value::Null);
}

#[test]
fn left_rooms_are_in_the_first_answer_only_if_asked_for() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    server.rooms.set_membership(&room, &bob, &bob, "leave").unwrap();
    server.rooms.say(&room, &alice, "secret");
    assert_eq!(server.sync(&bob, None).0["rooms"], Value::Null);
    let (answer, _) = server.filtered(&bob, None, json!({"room": {"include_leave": true}}));
    let timeline = shown(&left(&answer, &room)["timeline"]);
    assert_eq!(timeline.last().map(String::as_str), Some("m.room.member"));
    assert!(!timeline.contains(&"secret".to_owned()));
}

#[test]
fn who_left_and_is_invited_again_sees_the_invite() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = private_room(&server, &alice);
    server.rooms.set_membership(&room, &alice, &bob, "invite").unwrap();
    server.rooms.join(&room, &bob);
    let (_, token) = server.sync(&bob, None);
    server.rooms.set_membership(&room, &bob, &bob, "leave").unwrap();
    server.rooms.set_membership(&room, &alice, &bob, "invite").unwrap();
    let (answer, _) = server.sync(&bob, Some(token));
    assert_eq!(answer["rooms"].as_object().unwrap().keys().collect::<Vec<_>>(), ["invite"]);
}

#[test]
fn who_left_and_came_back_gets_the_room_afresh() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    let (_, token) = server.sync(&bob, None);
    server.rooms.set_membership(&room, &bob, &bob, "leave").unwrap();
    server.rooms.join(&room, &bob);
    let (answer, _) = server.filtered(&bob, Some(token), json!({"room": {"timeline": {"limit": 1}}}));
    let joined = &answer["rooms"]["join"][room.as_str()];
    assert!(shown(&joined["state"]).contains(&"m.room.create".to_owned()));
    assert_eq!(answer["rooms"]["leave"], Value::Null);
}

#[test]
fn a_ban_after_leaving_is_told() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    let (_, token) = server.sync(&bob, None);
    server.rooms.say(&room, &alice, "seen");
    server.rooms.set_membership(&room, &bob, &bob, "leave").unwrap();
    server.rooms.say(&room, &alice, "secret");
    server.rooms.set_membership(&room, &alice, &bob, "ban").unwrap();
    let (answer, _) = server.sync(&bob, Some(token));
    let timeline = &left(&answer, &room)["timeline"];
    assert_eq!(shown(timeline), ["seen", "m.room.member", "m.room.member"]);
    assert_eq!(timeline["events"][2]["content"]["membership"], "ban");
}

#[test]
fn what_came_between_two_answers_is_not_lost_when_the_user_leaves_during_one() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    let (_, token) = server.sync(&bob, None);
    server.rooms.say(&room, &alice, "seen");
    server.storage.durable_blocking().unwrap();
    let until = server.storage.position();
    server.rooms.set_membership(&room, &bob, &bob, "leave").unwrap();
    let changed = server.sync.changed_rooms();
    let user = server.short_user(&bob);
    let rooms = changed.on_server(token.position).unwrap();
    let joined = changed.joined(user, rooms, until).unwrap();
    assert_eq!(joined, [server.rooms.short(&room)], "joined as of the answer's position");
}

#[test]
fn what_came_long_after_the_leaving_is_passed_over() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    server.rooms.say(&room, &alice, "seen");
    let (_, token) = server.sync(&bob, None);
    server.rooms.say(&room, &alice, "news");
    server.rooms.set_membership(&room, &bob, &bob, "leave").unwrap();
    let (at_once, _) = server.sync(&bob, Some(token));
    // More than are passed one by one, with changes of the state among them.
    for number in 0..crate::sync::limits::TIMELINE_ROWS_PASSED_MAX * 3 {
        server.rooms.say(&room, &alice, "later");
        server.rooms.set_state(&room, &alice, "m.room.topic", "", json!({ "topic": number })).unwrap();
    }
    let (later, _) = server.sync(&bob, Some(token));
    assert_eq!(left(&later, &room), left(&at_once, &room));
    let filter = json!({ "room": { "include_leave": true, "timeline": { "limit": 2 } } });
    let (initial, _) = server.filtered(&bob, None, filter);
    let left = left(&initial, &room);
    assert_eq!(shown(&left["timeline"]), ["news", "m.room.member"]);
    assert!(!shown(&left["state"]).contains(&"m.room.topic".to_owned()), "{left}");
}

#[test]
fn a_left_room_whose_events_are_not_wanted_is_told_with_its_state() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    server.rooms.set_membership(&room, &bob, &bob, "leave").unwrap();
    server.rooms.set_state(&room, &alice, "m.room.topic", "", json!({"topic": "secret"})).unwrap();
    let filter = json!({"room": {"include_leave": true, "timeline": {"limit": 0}}});
    let (answer, _) = server.filtered(&bob, None, filter);
    let left = left(&answer, &room);
    assert_eq!(left["timeline"]["events"], json!([]));
    let state = left["state"]["events"].as_array().unwrap();
    let own = state.iter().find(|event| event["state_key"] == bob.as_str()).unwrap();
    assert_eq!(own["content"]["membership"], "leave");
    assert!(!state.iter().any(|event| event["type"] == "m.room.topic"));
}
