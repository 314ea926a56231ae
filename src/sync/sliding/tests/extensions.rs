use std::time::Duration;

use ruma::{EventId, RoomId, UserId, events::receipt::ReceiptThread};
use serde_json::{Value, json};

use crate::{
    rooms::Mark,
    storage::records::ReceiptKind,
    sync::testing::{SlidingClient, SyncFixture, names, people},
};

fn all(extensions: Value) -> Value {
    json!({
        "lists": {"all": {"ranges": [[0, 9]], "timeline_limit": 1, "required_state": []}},
        "extensions": extensions,
    })
}

fn read(server: &SyncFixture, user: &UserId, room: &RoomId, event: &EventId, thread: ReceiptThread) {
    let mark = Mark::Receipt { kind: ReceiptKind::Read, thread, event_id: event.to_owned() };
    server.receipts.mark(&server.viewer(user), room, &[mark]).unwrap();
}

#[test]
fn account_data_is_told_whole_then_by_change() {
    let server = SyncFixture::new();
    let [alice, ..] = people();
    let room = server.rooms.public_room(&alice);
    server.set_data(&alice, None, "org.global", &json!({"n": 1}));
    server.set_data(&alice, Some(&room), "org.room", &json!({"n": 1}));
    let mut client = SlidingClient::new(&server, &alice, all(json!({"account_data": {"enabled": true}})));
    let answer = client.sync(&server);
    let data = &answer["extensions"]["account_data"];
    assert_eq!(names(&data["global"]), ["org.global", "m.push_rules"]);
    assert_eq!(names(&data["rooms"][room.as_str()]), ["org.room"]);
    assert_eq!(client.sync(&server)["extensions"], json!({}));
    server.set_data(&alice, None, "org.other", &json!({"n": 2}));
    server.set_data(&alice, Some(&room), "org.second", &json!({"n": 2}));
    let answer = client.sync(&server);
    let data = &answer["extensions"]["account_data"];
    assert_eq!(names(&data["global"]), ["org.other"]);
    assert_eq!(names(&data["rooms"][room.as_str()]), ["org.second"]);
    assert_eq!(answer["rooms"], json!({}), "nothing happened in the room itself");
}

#[test]
fn an_extension_that_is_asked_for_later_is_told_whole() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    let event = server.rooms.say(&room, &alice, "hello");
    server.set_data(&alice, Some(&room), "org.room", &json!({"n": 1}));
    read(&server, &bob, &room, &event, ReceiptThread::Unthreaded);
    let mut client = SlidingClient::new(&server, &alice, all(json!({})));
    assert_eq!(client.sync(&server)["extensions"], json!({}));
    client.body = all(json!({"account_data": {"enabled": true}, "receipts": {"enabled": true}}));
    let answer = client.sync(&server);
    let extensions = &answer["extensions"];
    assert_eq!(names(&extensions["account_data"]["rooms"][room.as_str()]), ["org.room"]);
    let receipts = &extensions["receipts"]["rooms"][room.as_str()]["content"];
    assert!(receipts[event.as_str()]["m.read"][bob.as_str()].is_object(), "{answer:#}");
}

#[test]
fn a_new_room_comes_with_receipts_of_what_is_shown_and_ones_own() {
    let server = SyncFixture::new();
    let [alice, bob, carol] = people();
    let room = server.rooms.public_room(&alice);
    for user in [&bob, &carol] {
        server.rooms.join(&room, user);
    }
    let old = server.rooms.say(&room, &bob, "old");
    let new = server.rooms.say(&room, &bob, "new");
    read(&server, &alice, &room, &old, ReceiptThread::Unthreaded);
    read(&server, &bob, &room, &new, ReceiptThread::Main);
    read(&server, &carol, &room, &old, ReceiptThread::Unthreaded);
    let mut client = SlidingClient::new(&server, &alice, all(json!({"receipts": {"enabled": true}})));
    let answer = client.sync(&server);
    let content = &answer["extensions"]["receipts"]["rooms"][room.as_str()]["content"];
    let readers = |event: &EventId| -> Vec<String> {
        content[event.as_str()]["m.read"]
            .as_object()
            .map(|it| it.keys().cloned().collect())
            .unwrap_or_default()
    };
    assert_eq!((readers(&old), readers(&new)), (vec![alice.to_string()], vec![bob.to_string()]));
    read(&server, &carol, &room, &new, ReceiptThread::Unthreaded);
    let answer = client.sync(&server);
    let content = &answer["extensions"]["receipts"]["rooms"][room.as_str()]["content"];
    assert_eq!(
        content,
        &json!({new.as_str(): {"m.read": {carol.as_str(): content[new.as_str()]["m.read"][carol.as_str()]}}})
    );
    assert_eq!(answer["rooms"], json!({}), "others' reading changes no room");
}

#[test]
fn receipts_come_only_for_the_rooms_that_are_named() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let rooms = [server.rooms.public_room(&alice), server.rooms.public_room(&alice)];
    let events = [&rooms[0], &rooms[1]].map(|room| {
        server.rooms.join(room, &bob);
        server.rooms.say(room, &alice, "hello")
    });
    let mut client = SlidingClient::new(
        &server,
        &alice,
        all(json!({"receipts": {"enabled": true, "lists": [], "rooms": ["*"]}})),
    );
    client.sync(&server);
    for (room, event) in rooms.iter().zip(&events) {
        read(&server, &bob, room, event, ReceiptThread::Unthreaded);
    }
    assert_eq!(client.sync(&server)["extensions"], json!({}));
    client.body["room_subscriptions"] =
        json!({rooms[0].as_str(): {"timeline_limit": 1, "required_state": []}});
    let answer = client.sync(&server);
    let told = answer["extensions"]["receipts"]["rooms"].as_object().unwrap();
    assert_eq!(told.keys().collect::<Vec<_>>(), [rooms[0].as_str()], "those missed too");
    assert_eq!(client.sync(&server)["extensions"], json!({}));
}

#[test]
fn typing_is_told_when_it_changes() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    let (short, bob_short) = (server.rooms.short(&room), server.short_user(&bob));
    server.typing.start(short, bob_short, Duration::from_secs(30));
    let mut client = SlidingClient::new(&server, &alice, all(json!({"typing": {"enabled": true}})));
    let typists = |answer: &Value| {
        answer["extensions"]["typing"]["rooms"][room.as_str()]["content"]["user_ids"].clone()
    };
    assert_eq!(typists(&client.sync(&server)), json!([bob]));
    assert_eq!(client.sync(&server)["extensions"], json!({}));
    server.typing.stop(short, bob_short);
    assert_eq!(typists(&client.sync(&server)), json!([]));
    assert_eq!(client.sync(&server)["extensions"], json!({}));
}

#[test]
fn threads_that_are_followed_are_told_once() {
    let server = SyncFixture::new();
    let [alice, ..] = people();
    let room = server.rooms.public_room(&alice);
    let root = server.rooms.say(&room, &alice, "root");
    let viewer = server.viewer(&alice);
    let crate::rooms::testing::RoomsFixture { storage, index, events, states, .. } = &server.rooms;
    let visibility =
        crate::rooms::Visibility::new(storage.clone(), index.clone(), events.clone(), states.clone());
    let timelines = crate::rooms::Timelines::new(storage.clone(), events.clone(), states.clone());
    let subscriptions =
        crate::rooms::ThreadSubscriptions::new(storage.clone(), events.clone(), visibility, timelines);
    let name = "io.element.msc4308.thread_subscriptions";
    let body = json!({"extensions": {name: {"enabled": true}}});
    let mut client = SlidingClient::new(&server, &alice, body);
    assert_eq!(client.sync(&server)["extensions"], json!({}));
    subscriptions.subscribe(&viewer, &room, &root, None).unwrap();
    let told = client.sync(&server)["extensions"][name].clone();
    let thread = &told["subscribed"][room.as_str()][root.as_str()];
    assert_eq!(thread["automatic"], false);
    assert!(thread["bump_stamp"].is_u64());
    assert_eq!(client.sync(&server)["extensions"], json!({}));
    subscriptions.unsubscribe(&viewer, &room, &root).unwrap();
    let told = client.sync(&server)["extensions"][name].clone();
    assert!(told["unsubscribed"][room.as_str()][root.as_str()]["bump_stamp"].is_u64());
    assert!(told.get("subscribed").is_none());
}
