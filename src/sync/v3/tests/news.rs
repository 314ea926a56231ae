use ruma::{EventId, UserId, events::receipt::ReceiptThread};
use serde_json::{Value, json};

use crate::{
    rooms::{Mark, appender::Draft, testing::content},
    storage::records::ReceiptKind,
    sync::testing::{SyncFixture, nothing_new, people, shown},
};

fn read(server: &SyncFixture, user: &UserId, room: &ruma::RoomId, event: &EventId, kind: ReceiptKind) {
    let mark = Mark::Receipt { kind, thread: ReceiptThread::Unthreaded, event_id: event.to_owned() };
    server.receipts.mark(&server.viewer(user), room, &[mark]).unwrap();
}

#[test]
fn the_first_answer_holds_rooms_account_data_and_push_rules() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    let event = server.rooms.say(&room, &bob, "hello");
    server.set_data(&alice, None, "org.global", &json!({"n": 1}));
    server.set_data(&alice, Some(&room), "m.tag", &json!({"tags": {}}));
    let (answer, token) = server.sync(&alice, None);
    assert_eq!(answer["next_batch"], token.to_string());
    let joined = &answer["rooms"]["join"][room.as_str()];
    let newest = joined["timeline"]["events"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (newest["event_id"].as_str(), &newest["content"]["body"]),
        (Some(event.as_str()), &json!("hello"))
    );
    assert_eq!(newest["room_id"], Value::Null, "rooms are keyed by id");
    assert_eq!(joined["summary"]["m.joined_member_count"], 2);
    assert_eq!(joined["summary"]["m.heroes"], json!([bob]));
    assert_eq!(shown(&joined["account_data"]), ["m.tag"]);
    assert_eq!(shown(&answer["account_data"]), ["org.global", "m.push_rules"]);
}

#[test]
fn an_answer_holds_only_what_changed() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let (quiet, busy) = (server.rooms.public_room(&alice), server.rooms.public_room(&alice));
    server.rooms.join(&busy, &bob);
    server.rooms.say(&quiet, &alice, "before");
    let (_, token) = server.sync(&alice, None);
    let (nothing, token) = server.sync(&alice, Some(token));
    assert_eq!(nothing, nothing_new(&token));
    server.rooms.say(&busy, &bob, "news");
    let (answer, token) = server.sync(&alice, Some(token));
    let rooms = answer["rooms"]["join"].as_object().unwrap();
    assert_eq!(rooms.keys().collect::<Vec<_>>(), [busy.as_str()]);
    let joined = &rooms[busy.as_str()];
    assert_eq!(shown(&joined["timeline"]), ["news"]);
    assert_eq!((&joined["timeline"]["limited"], &joined["state"]), (&json!(false), &json!({"events": []})));
    assert_eq!(joined["summary"], Value::Null);
    assert_eq!(server.sync(&alice, Some(token)).0["rooms"], Value::Null);
}

#[test]
fn rooms_of_others_are_not_told_of() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    server.rooms.public_room(&alice);
    let (_, token) = server.sync(&alice, None);
    let other = server.rooms.public_room(&bob);
    server.rooms.say(&other, &bob, "secret");
    assert_eq!(server.sync(&alice, Some(token)).0["rooms"], Value::Null);
}

#[test]
fn receipts_and_private_ones() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    let event = server.rooms.say(&room, &alice, "hello");
    let (_, of_alice) = server.sync(&alice, None);
    let (_, of_bob) = server.sync(&bob, None);
    read(&server, &bob, &room, &event, ReceiptKind::ReadPrivate);
    let (answer, of_alice) = server.sync(&alice, Some(of_alice));
    assert_eq!(answer["rooms"], Value::Null, "a private receipt is nobody else's business");
    let (answer, _) = server.sync(&bob, Some(of_bob));
    let ephemeral = &answer["rooms"]["join"][room.as_str()]["ephemeral"]["events"];
    assert!(ephemeral[0]["content"][event.as_str()]["m.read.private"][bob.as_str()].is_object());
    let event = server.rooms.say(&room, &alice, "again");
    read(&server, &bob, &room, &event, ReceiptKind::Read);
    let (answer, _) = server.sync(&alice, Some(of_alice));
    let ephemeral = &answer["rooms"]["join"][room.as_str()]["ephemeral"]["events"];
    assert!(ephemeral[0]["content"][event.as_str()]["m.read"][bob.as_str()].is_object());
}

#[test]
fn typing_is_told_once_and_so_is_its_end() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    let (_, token) = server.sync(&alice, None);
    let typing = |answer: &Value| answer["rooms"]["join"][room.as_str()]["ephemeral"]["events"][0].clone();
    let (short, user) = (server.rooms.short(&room), server.short_user(&bob));
    server.typing.start(short, user, std::time::Duration::from_secs(30));
    let (answer, token) = server.sync(&alice, Some(token));
    assert_eq!(typing(&answer), json!({"type": "m.typing", "content": {"user_ids": [bob]}}));
    assert_eq!(server.sync(&alice, Some(token)).0["rooms"], Value::Null);
    server.typing.stop(short, user);
    let (answer, _) = server.sync(&alice, Some(token));
    assert_eq!(typing(&answer)["content"]["user_ids"], json!([]));
}

#[test]
fn account_data_is_told_when_it_changes() {
    let server = SyncFixture::new();
    let [alice, ..] = people();
    let room = server.rooms.public_room(&alice);
    let (_, token) = server.sync(&alice, None);
    server.set_data(&alice, Some(&room), "m.tag", &json!({"tags": {"u.a": {}}}));
    server.set_data(&alice, None, "m.direct", &json!({}));
    let (answer, token) = server.sync(&alice, Some(token));
    assert_eq!(shown(&answer["account_data"]), ["m.direct"]);
    assert_eq!(shown(&answer["rooms"]["join"][room.as_str()]["account_data"]), ["m.tag"]);
    let (answer, _) = server.sync(&alice, Some(token));
    assert_eq!(answer, nothing_new(&token));
}

#[test]
fn ignored_users_are_not_heard_but_their_state_is() {
    let server = SyncFixture::new();
    let [alice, bob, carol] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    server.ignore(&alice, &[&bob]);
    let (_, token) = server.sync(&alice, None);
    server.rooms.say(&room, &bob, "noise");
    server.rooms.join(&room, &carol);
    server.rooms.set_membership(&room, &bob, &bob, "leave").unwrap();
    let other = server.rooms.public_room(&bob);
    server.rooms.set_membership(&other, &bob, &alice, "invite").unwrap();
    let (answer, token) = server.sync(&alice, Some(token));
    let joined = &answer["rooms"]["join"][room.as_str()];
    assert_eq!(shown(&joined["timeline"]), ["m.room.member", "m.room.member"]);
    assert_eq!(answer["rooms"]["invite"], Value::Null);
    server.ignore(&alice, &[]);
    server.rooms.join(&room, &bob);
    server.rooms.say(&room, &bob, "friend again");
    let (answer, _) = server.sync(&alice, Some(token));
    let timeline = shown(&answer["rooms"]["join"][room.as_str()]["timeline"]);
    assert_eq!(timeline, ["m.room.member", "friend again"]);
}

#[test]
fn filters_choose_rooms_types_senders_and_fields() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let (one, two) = (server.rooms.public_room(&alice), server.rooms.public_room(&alice));
    server.rooms.join(&one, &bob);
    let (_, token) = server.sync(&alice, None);
    server.rooms.say(&one, &alice, "of alice");
    server.rooms.say(&one, &bob, "of bob");
    let image = content(json!({"msgtype": "m.image", "body": "an image", "url": "mxc://x/y"}));
    server.rooms.append(&one, Draft::message(&bob, "m.room.message", image)).unwrap();
    server.rooms.say(&two, &alice, "in two");
    let timeline = |filter: Value| {
        let (answer, _) = server.filtered(&alice, Some(token), filter);
        shown(&answer["rooms"]["join"][one.as_str()]["timeline"])
    };
    assert_eq!(timeline(json!({"room": {"timeline": {"senders": [bob]}}})), ["of bob", "an image"]);
    assert_eq!(timeline(json!({"room": {"timeline": {"contains_url": true}}})), ["an image"]);
    assert_eq!(timeline(json!({"room": {"timeline": {"contains_url": false}}})), ["of alice", "of bob"]);
    assert!(timeline(json!({"room": {"timeline": {"not_types": ["m.room.*"]}}})).is_empty());
    let (answer, _) = server.filtered(&alice, Some(token), json!({"room": {"not_rooms": [one]}}));
    assert_eq!(answer["rooms"]["join"].as_object().unwrap().keys().collect::<Vec<_>>(), [two.as_str()]);
    let (answer, _) = server.filtered(&alice, Some(token), json!({"event_fields": ["content.body"]}));
    let event = &answer["rooms"]["join"][two.as_str()]["timeline"]["events"][0];
    assert_eq!(*event, json!({"content": {"body": "in two"}}));
    let (answer, _) = server.filtered(&alice, Some(token), json!({"event_format": "federation"}));
    let event = &answer["rooms"]["join"][two.as_str()]["timeline"]["events"][0];
    assert!(event["signatures"].is_object() && event["prev_events"].is_array());
}

#[test]
fn a_gap_is_told_and_can_be_closed() {
    let server = SyncFixture::new();
    let [alice, ..] = people();
    let room = server.rooms.public_room(&alice);
    let (_, token) = server.sync(&alice, None);
    (0..5).for_each(|n| drop(server.rooms.say(&room, &alice, &n.to_string())));
    let limit = |limit: u64| json!({"room": {"timeline": {"limit": limit}}});
    let timeline = |filter| {
        let (answer, _) = server.filtered(&alice, Some(token), filter);
        answer["rooms"]["join"][room.as_str()]["timeline"].clone()
    };
    let two = timeline(limit(2));
    assert_eq!((shown(&two), &two["limited"]), (vec!["3".to_owned(), "4".to_owned()], &json!(true)));
    let newest = server.rooms.index.head(server.rooms.short(&room)).unwrap().unwrap().newest;
    assert_eq!(two["prev_batch"], format!("t{}", newest.0 - 1), "older ones are before the first shown");
    let five = timeline(limit(5));
    assert_eq!((shown(&five).len(), &five["limited"]), (5, &json!(false)));
    let none = timeline(limit(0));
    assert_eq!((shown(&none).len(), &none["limited"]), (0, &json!(true)));
    assert_eq!(none["prev_batch"], format!("t{}", newest.0 + 1));
}

#[test]
fn a_token_from_the_future_is_taken_as_now() {
    let server = SyncFixture::new();
    let [alice, ..] = people();
    let room = server.rooms.public_room(&alice);
    let (_, mut token) = server.sync(&alice, None);
    token.position.0 += 1_000;
    assert_eq!(server.sync(&alice, Some(token)).0["rooms"], Value::Null);
    let (_, token) = server.sync(&alice, Some(token));
    server.rooms.say(&room, &alice, "news");
    assert!(server.sync(&alice, Some(token)).0["rooms"]["join"][room.as_str()].is_object());
}
