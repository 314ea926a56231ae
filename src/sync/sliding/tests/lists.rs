use ruma::OwnedRoomId;
use serde_json::{Value, json};

use crate::sync::testing::{SlidingClient, SyncFixture, names, people};

fn list(ranges: Value) -> Value {
    json!({"lists": {"all": {"ranges": ranges, "timeline_limit": 1, "required_state": []}}})
}

fn rooms(answer: &Value) -> Vec<String> {
    answer["rooms"].as_object().unwrap().keys().cloned().collect()
}

fn sorted<'a>(rooms: impl IntoIterator<Item = &'a OwnedRoomId>) -> Vec<String> {
    let mut rooms: Vec<_> = rooms.into_iter().map(ToString::to_string).collect();
    rooms.sort();
    rooms
}

#[test]
fn ranges_take_the_rooms_with_the_newest_events() {
    let server = SyncFixture::new();
    let [alice, ..] = people();
    let made: Vec<_> = (0..5).map(|_| server.rooms.public_room(&alice)).collect();
    server.rooms.say(&made[0], &alice, "newest");
    let mut client = SlidingClient::new(&server, &alice, list(json!([[0, 1]])));
    let answer = client.sync(&server);
    assert_eq!(answer["lists"], json!({"all": {"count": 5}}));
    assert_eq!(rooms(&answer), sorted([&made[0], &made[4]]));
    let stamp = |room: &OwnedRoomId| answer["rooms"][room.as_str()]["bump_stamp"].as_u64().unwrap();
    assert!(stamp(&made[0]) > stamp(&made[4]));

    client.body = list(json!([[0, 2], [4, 9]]));
    assert_eq!(rooms(&client.sync(&server)), sorted([&made[1], &made[3]]), "only what came into the ranges");
    client.body = list(Value::Null);
    assert_eq!(rooms(&client.sync(&server)), sorted([&made[2]]));
    assert_eq!(rooms(&client.sync(&server)), [""; 0]);
}

#[test]
fn a_room_that_was_outside_comes_with_what_was_missed() {
    let server = SyncFixture::new();
    let [alice, ..] = people();
    let made: Vec<_> = (0..3).map(|_| server.rooms.public_room(&alice)).collect();
    let mut client = SlidingClient::new(&server, &alice, list(json!([[0, 5]])));
    client.body["lists"]["all"]["timeline_limit"] = json!(5);
    assert_eq!(rooms(&client.sync(&server)), sorted(&made));
    client.body["lists"]["all"]["ranges"] = json!([[0, 0]]);
    server.rooms.say(&made[0], &alice, "missed");
    server.rooms.say(&made[1], &alice, "told");
    let answer = client.sync(&server);
    assert_eq!(rooms(&answer), sorted([&made[1]]));
    assert_eq!(rooms(&client.sync(&server)), [""; 0]);
    server.rooms.say(&made[0], &alice, "more");
    let answer = client.sync(&server);
    let room = &answer["rooms"][made[0].as_str()];
    assert_eq!(names(&room["timeline"]), ["missed", "more"]);
    assert_eq!(
        (&room["num_live"], &room["initial"], &room["limited"]),
        (&json!(1), &Value::Null, &Value::Null)
    );
}

#[test]
fn a_middle_range_tells_of_rooms_that_sink_into_it() {
    let server = SyncFixture::new();
    let [alice, ..] = people();
    let made: Vec<_> = (0..4).map(|_| server.rooms.public_room(&alice)).collect();
    let mut client = SlidingClient::new(&server, &alice, list(json!([[1, 1]])));
    assert_eq!(rooms(&client.sync(&server)), sorted([&made[2]]));
    server.rooms.say(&made[0], &alice, "to the top");
    assert_eq!(rooms(&client.sync(&server)), sorted([&made[3]]));
}

#[test]
fn rooms_joined_and_left_change_the_count() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let old = server.rooms.public_room(&alice);
    let mut client = SlidingClient::new(&server, &alice, list(json!([[0, 0]])));
    client.sync(&server);
    let new = server.rooms.public_room(&bob);
    server.rooms.join(&new, &alice);
    let answer = client.sync(&server);
    assert_eq!((&answer["lists"]["all"]["count"], rooms(&answer)), (&json!(2), sorted([&new])));
    assert_eq!(answer["rooms"][new.as_str()]["initial"], true);
    server.rooms.set_membership(&new, &alice, &alice, "leave").unwrap();
    let answer = client.sync(&server);
    assert_eq!((&answer["lists"]["all"]["count"], rooms(&answer)), (&json!(1), sorted([&new])));
    server.rooms.say(&old, &alice, "still there");
    assert_eq!(rooms(&client.sync(&server)), sorted([&old]));
}

#[test]
fn subscriptions_are_told_of_whatever_the_lists_say() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let made: Vec<_> = (0..3).map(|_| server.rooms.public_room(&alice)).collect();
    let foreign = server.rooms.public_room(&bob);
    let mut body = list(json!([[0, 0]]));
    let wanted = json!({"timeline_limit": 5, "required_state": [["m.room.create", ""]]});
    body["room_subscriptions"] =
        json!({made[0].as_str(): wanted, foreign.as_str(): wanted, "!unknown:example.org": wanted});
    let mut client = SlidingClient::new(&server, &alice, body);
    let answer = client.sync(&server);
    assert_eq!(rooms(&answer), sorted([&made[0], &made[2]]), "rooms of others are not told of");
    assert_eq!(names(&answer["rooms"][made[0].as_str()]["required_state"]), ["m.room.create"]);
    assert_eq!(answer["rooms"][made[2].as_str()]["required_state"], Value::Null);
    server.rooms.say(&made[1], &alice, "to the top");
    server.rooms.say(&made[0], &alice, "subscribed");
    server.rooms.say(&made[1], &alice, "to the top again");
    assert_eq!(rooms(&client.sync(&server)), sorted([&made[0], &made[1]]));
}

#[test]
fn what_several_rules_want_of_a_room_is_put_together() {
    let server = SyncFixture::new();
    let [alice, ..] = people();
    let room = server.rooms.public_room(&alice);
    (0..4).for_each(|n| drop(server.rooms.say(&room, &alice, &n.to_string())));
    let body = json!({
        "lists": {
            "a": {"timeline_limit": 3, "required_state": [["m.room.create", ""]]},
            "b": {"timeline_limit": 1, "required_state": [["m.room.member", "$ME"]]},
            "not": {"timeline_limit": 9, "required_state": [["*", "*"]], "filters": {"is_invite": true}},
        },
        "room_subscriptions": {room.as_str(): {"timeline_limit": 2, "required_state": [["m.room.join_rules", "*"]]}},
    });
    let mut client = SlidingClient::new(&server, &alice, body);
    let answer = client.sync(&server);
    let told = &answer["rooms"][room.as_str()];
    assert_eq!(names(&told["timeline"]), ["1", "2", "3"]);
    let mut state = names(&told["required_state"]);
    state.sort();
    assert_eq!(state, ["m.room.create", "m.room.join_rules", "m.room.member"]);
    assert_eq!(answer["lists"]["not"]["count"], 0);
}
