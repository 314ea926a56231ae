use std::collections::BTreeSet;

use ruma::{RoomId, UserId};
use serde_json::{Value, json};

use crate::{
    rooms::{
        SyncToken,
        creation::{NewRoom, Preset},
    },
    sync::{
        testing::{SyncFixture, people, shown},
        v3::response::StateUpTo,
    },
};

fn lazy() -> Value {
    json!({"room": {"state": {"lazy_load_members": true}, "timeline": {"limit": 2}}})
}

/// The state keys of the members in a room's `state`.
fn members(answer: &Value, room: &RoomId) -> BTreeSet<String> {
    let state =
        answer["rooms"]["join"][room.as_str()]["state"]["events"].as_array().cloned().unwrap_or_default();
    let members = state.iter().filter(|event| event["type"] == "m.room.member");
    members.map(|event| event["state_key"].as_str().unwrap().to_owned()).collect()
}

fn set(users: &[&UserId]) -> BTreeSet<String> {
    users.iter().map(ToString::to_string).collect()
}

#[test]
fn state_is_told_up_to_the_start_or_the_end_of_the_timeline() {
    let server = SyncFixture::new();
    let [alice, ..] = people();
    let room = server.rooms.public_room(&alice);
    let (_, token) = server.sync(&alice, None);
    server.rooms.set_state(&room, &alice, "m.room.topic", "", json!({"topic": "in the gap"})).unwrap();
    server.rooms.set_state(&room, &alice, "m.room.name", "", json!({"name": "in the timeline"})).unwrap();
    let mut request = server.request(&alice, Some(token), json!({"room": {"timeline": {"limit": 1}}}));
    let (answer, _) = server.answer(&request);
    let joined = &answer["rooms"]["join"][room.as_str()];
    assert_eq!(
        (shown(&joined["state"]), shown(&joined["timeline"])),
        (vec!["m.room.topic".to_owned()], vec!["m.room.name".to_owned()])
    );
    assert_eq!(joined["state_after"], Value::Null);
    for (up_to, name) in [
        (StateUpTo::TimelineEnd, "state_after"),
        (StateUpTo::TimelineEndUnstable, "org.matrix.msc4222.state_after"),
    ] {
        request.state_up_to = up_to;
        let (answer, _) = server.answer(&request);
        let joined = &answer["rooms"]["join"][room.as_str()];
        let mut state = shown(&joined[name]);
        state.sort();
        assert_eq!(state, ["m.room.name", "m.room.topic"]);
        assert_eq!(joined["state"], Value::Null);
    }
}

#[test]
fn what_a_filter_takes_from_the_timeline_is_told_as_state() {
    let server = SyncFixture::new();
    let [alice, ..] = people();
    let room = server.rooms.public_room(&alice);
    let (_, token) = server.sync(&alice, None);
    server.rooms.say(&room, &alice, "hello");
    server.rooms.set_state(&room, &alice, "m.room.topic", "", json!({"topic": "new"})).unwrap();
    let filter = json!({"room": {"timeline": {"types": ["m.room.message"]}}});
    let (answer, _) = server.filtered(&alice, Some(token), filter);
    let joined = &answer["rooms"]["join"][room.as_str()];
    assert_eq!(
        (shown(&joined["state"]), shown(&joined["timeline"])),
        (vec!["m.room.topic".to_owned()], vec!["hello".to_owned()])
    );
}

#[test]
fn a_room_joined_since_is_told_whole() {
    let server = SyncFixture::new();
    let [alice, bob, carol] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &carol);
    server.rooms.say(&room, &alice, "before");
    server.sync(&bob, None);
    let (_, token) = server.sync(&bob, None);
    server.rooms.join(&room, &bob);
    let (answer, _) = server.filtered(&bob, Some(token), json!({"room": {"timeline": {"limit": 1}}}));
    let joined = &answer["rooms"]["join"][room.as_str()];
    assert_eq!(shown(&joined["timeline"]), ["m.room.member"]);
    let state = shown(&joined["state"]);
    for expected in ["m.room.create", "m.room.power_levels", "m.room.join_rules"] {
        assert!(state.iter().any(|found| found == expected), "{expected} of {state:?}");
    }
    assert_eq!(members(&answer, &room), set(&[&alice, &carol]), "the own join is in the timeline");
    assert_eq!(joined["summary"]["m.joined_member_count"], 3);
}

#[test]
fn full_state_is_told_of_all_rooms() {
    let server = SyncFixture::new();
    let [alice, ..] = people();
    let (one, two) = (server.rooms.public_room(&alice), server.rooms.public_room(&alice));
    let (_, token) = server.sync(&alice, None);
    server.rooms.say(&two, &alice, "news");
    let mut request = server.request(&alice, Some(token), json!({}));
    request.full_state = true;
    let (answer, _) = server.answer(&request);
    for (room, timeline) in [(&one, vec![]), (&two, vec!["news".to_owned()])] {
        let joined = &answer["rooms"]["join"][room.as_str()];
        assert_eq!(shown(&joined["timeline"]), timeline);
        assert!(shown(&joined["state"]).iter().any(|it| it == "m.room.create"));
    }
}

#[test]
fn lazily_loaded_members_are_those_needed_and_told_once() {
    let server = SyncFixture::new();
    let [alice, bob, carol] = people();
    let room = server.rooms.create(NewRoom {
        preset: Some(Preset::PublicChat),
        name: Some("named, so without heroes".to_owned()),
        ..NewRoom::by(alice.clone())
    });
    server.rooms.join(&room, &bob);
    server.rooms.join(&room, &carol);
    server.rooms.say(&room, &carol, "one");
    server.rooms.say(&room, &carol, "two");
    let sync = |since: Option<SyncToken>, filter| server.filtered(&alice, since, filter);
    let (answer, token) = sync(None, lazy());
    assert_eq!(members(&answer, &room), set(&[&alice, &carol]), "the sender's and one's own");
    server.rooms.say(&room, &carol, "three");
    let (answer, token) = sync(Some(token), lazy());
    assert_eq!(members(&answer, &room), set(&[]), "told already");
    server.rooms.say(&room, &bob, "four");
    let (lost, _) = sync(Some(token), lazy());
    assert_eq!(members(&lost, &room), set(&[&bob]));
    let (again, token) = sync(Some(token), lazy());
    assert_eq!(members(&again, &room), set(&[&bob]), "the answer before may have been lost");
    server.rooms.say(&room, &bob, "five");
    let mut redundant = lazy();
    redundant["room"]["state"]["include_redundant_members"] = json!(true);
    assert_eq!(members(&sync(Some(token), lazy()).0, &room), set(&[]));
    assert_eq!(members(&sync(Some(token), redundant).0, &room), set(&[&bob]));
}

#[test]
fn members_that_changed_in_a_gap_are_told_in_any_case() {
    let server = SyncFixture::new();
    let [alice, bob, carol] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    let (_, token) = server.filtered(&alice, None, lazy());
    server.rooms.set_membership(&room, &bob, &bob, "leave").unwrap();
    server.rooms.join(&room, &carol);
    (0..3).for_each(|n| drop(server.rooms.say(&room, &alice, &n.to_string())));
    let (answer, _) = server.filtered(&alice, Some(token), lazy());
    assert!(members(&answer, &room).is_superset(&set(&[&bob, &carol])));
}

#[test]
fn heroes_are_told_with_their_member_events() {
    let server = SyncFixture::new();
    let [alice, bob, carol] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    server.rooms.set_membership(&room, &alice, &carol, "invite").unwrap();
    (0..3).for_each(|n| drop(server.rooms.say(&room, &alice, &n.to_string())));
    let (answer, token) = server.filtered(&alice, None, lazy());
    let joined = &answer["rooms"]["join"][room.as_str()];
    assert_eq!(joined["summary"]["m.heroes"], json!([bob, carol]));
    assert_eq!(joined["summary"]["m.invited_member_count"], 1);
    assert_eq!(members(&answer, &room), set(&[&alice, &bob, &carol]));
    server.rooms.set_state(&room, &alice, "m.room.name", "", json!({"name": "Named"})).unwrap();
    let (answer, _) = server.filtered(&alice, Some(token), lazy());
    let summary = &answer["rooms"]["join"][room.as_str()]["summary"];
    assert_eq!((&summary["m.heroes"], &summary["m.joined_member_count"]), (&Value::Null, &json!(2)));
}

#[test]
fn history_from_before_the_join_is_hidden_where_the_room_says_so() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    server
        .rooms
        .set_state(&room, &alice, "m.room.history_visibility", "", json!({"history_visibility": "joined"}))
        .unwrap();
    server.rooms.say(&room, &alice, "secret");
    let (_, token) = server.sync(&bob, None);
    server.rooms.join(&room, &bob);
    server.rooms.say(&room, &alice, "welcome");
    for since in [None, Some(token)] {
        let (answer, _) = server.sync(&bob, since);
        let timeline = shown(&answer["rooms"]["join"][room.as_str()]["timeline"]);
        assert_eq!(timeline.last().map(String::as_str), Some("welcome"));
        assert!(!timeline.contains(&"secret".to_owned()));
    }
}
