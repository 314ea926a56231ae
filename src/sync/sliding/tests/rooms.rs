use ruma::OwnedRoomId;
use serde_json::{Value, json};

use crate::{
    rooms::{Mark, Memberships, appender::Draft, testing::content},
    storage::records::ReceiptKind,
    sync::testing::{SlidingClient, SyncFixture, names, people},
};

const LAZY: [[&str; 2]; 1] = [["m.room.member", "$LAZY"]];

fn all(limit: u64, required: impl serde::Serialize) -> Value {
    json!({"lists": {"all": {"timeline_limit": limit, "required_state": required}}})
}

fn senders(events: &Value) -> Vec<&str> {
    let mut keys: Vec<_> =
        events.as_array().into_iter().flatten().map(|event| event["state_key"].as_str().unwrap()).collect();
    keys.sort_unstable();
    keys
}

/// Alice's room, with Bob and Carol in it.
fn shared() -> (SyncFixture, OwnedRoomId) {
    let server = SyncFixture::new();
    let [alice, bob, carol] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    server.rooms.join(&room, &carol);
    (server, room)
}

#[test]
fn the_first_result_holds_what_a_client_shows() {
    let (server, room) = shared();
    let [alice, bob, carol] = people();
    server.rooms.say(&room, &bob, "one");
    server.rooms.say(&room, &bob, "two");
    let mut client = SlidingClient::new(&server, &alice, all(1, [["m.room.create", ""]]));
    let answer = client.sync(&server);
    let told = &answer["rooms"][room.as_str()];
    assert_eq!((names(&told["timeline"]), &told["limited"]), (vec!["two".to_owned()], &json!(true)));
    assert_eq!(
        (&told["initial"], &told["num_live"], &told["is_dm"]),
        (&json!(true), &json!(0), &json!(false))
    );
    assert_eq!((&told["joined_count"], &told["invited_count"]), (&json!(3), &json!(0)));
    assert_eq!(
        told["heroes"],
        json!([
            {"user_id": bob}, {"user_id": carol},
        ])
    );
    assert_eq!((&told["notification_count"], &told["highlight_count"]), (&json!(2), &json!(0)));
    assert_eq!(names(&told["required_state"]), ["m.room.create"]);
    assert!(told["prev_batch"].is_string() && told["timeline"][0]["room_id"].is_null());
    assert!(told.get("name").is_none() && told.get("avatar").is_none());
}

#[test]
fn names_and_pictures_are_told_when_they_change() {
    let (server, room) = shared();
    let [alice, ..] = people();
    let set = |event_type: &str, json: Value| {
        server.rooms.set_state(&room, &alice, event_type, "", json).unwrap();
    };
    set("m.room.name", json!({"name": "One"}));
    set("m.room.avatar", json!({"url": "mxc://x/a"}));
    let mut client = SlidingClient::new(&server, &alice, all(0, [""; 0]));
    let answer = client.sync(&server);
    let told = &answer["rooms"][room.as_str()];
    assert_eq!((&told["name"], &told["avatar"]), (&json!("One"), &json!("mxc://x/a")));
    assert!(told.get("heroes").is_none(), "a room with a name needs none");
    set("m.room.name", json!({"name": "Two"}));
    let answer = client.sync(&server);
    let told = &answer["rooms"][room.as_str()];
    assert_eq!(told["name"], "Two");
    assert!(told.get("avatar").is_none() && told.get("joined_count").is_none());
    set("m.room.name", json!({}));
    set("m.room.avatar", json!({}));
    let answer = client.sync(&server);
    let told = answer["rooms"][room.as_str()].as_object().unwrap();
    assert_eq!((told.get("name"), told.get("avatar")), (Some(&Value::Null), Some(&Value::Null)));
    assert_eq!(told["heroes"].as_array().unwrap().len(), 2);
}

#[test]
fn gaps_are_limited_and_quiet_rooms_silent() {
    let (server, room) = shared();
    let [alice, bob, _] = people();
    let mut client = SlidingClient::new(&server, &alice, all(2, [["m.room.topic", ""]]));
    client.sync(&server);
    (0..3).for_each(|n| drop(server.rooms.say(&room, &bob, &n.to_string())));
    server.rooms.set_state(&room, &alice, "m.room.topic", "", json!({"topic": "t"})).unwrap();
    (3..5).for_each(|n| drop(server.rooms.say(&room, &bob, &n.to_string())));
    let answer = client.sync(&server);
    let told = &answer["rooms"][room.as_str()];
    assert_eq!(names(&told["timeline"]), ["3", "4"]);
    assert_eq!((&told["limited"], &told["num_live"]), (&json!(true), &json!(2)));
    assert_eq!(names(&told["required_state"]), ["m.room.topic"], "the state is told across the gap");
    server.rooms.say(&room, &bob, "5");
    let answer = client.sync(&server);
    let told = &answer["rooms"][room.as_str()];
    assert_eq!((names(&told["timeline"]), told.get("limited")), (vec!["5".to_owned()], None));
}

#[test]
fn a_larger_limit_brings_older_events_at_once() {
    let (server, room) = shared();
    let [alice, bob, _] = people();
    (0..6).for_each(|n| drop(server.rooms.say(&room, &bob, &n.to_string())));
    let mut client = SlidingClient::new(&server, &alice, all(1, [""; 0]));
    client.sync(&server);
    server.rooms.say(&room, &bob, "6");
    client.sync(&server);
    client.body = all(2, [""; 0]);
    assert_eq!(client.sync(&server)["rooms"], json!({}), "the client knows the newest two");
    client.body = all(4, [""; 0]);
    let answer = client.sync(&server);
    let told = &answer["rooms"][room.as_str()];
    assert_eq!(names(&told["timeline"]), ["3", "4", "5", "6"]);
    assert_eq!((&told["unstable_expanded_timeline"], &told["num_live"]), (&json!(true), &json!(0)));
    assert_eq!((&told["limited"], told.get("initial")), (&json!(true), None));
    client.body = all(1, [""; 0]);
    assert_eq!(client.sync(&server)["rooms"], json!({}));
    client.body = all(4, [""; 0]);
    assert_eq!(client.sync(&server)["rooms"], json!({}), "they are known already");
    server.rooms.say(&room, &bob, "7");
    let answer = client.sync(&server);
    assert_eq!(names(&answer["rooms"][room.as_str()]["timeline"]), ["7"]);
}

#[test]
fn more_required_state_is_told_at_once() {
    let (server, room) = shared();
    let [alice, ..] = people();
    let mut client = SlidingClient::new(&server, &alice, all(0, [["m.room.create", ""]]));
    client.sync(&server);
    client.body = all(0, [["m.room.create", ""], ["m.room.join_rules", ""]]);
    let answer = client.sync(&server);
    assert_eq!(names(&answer["rooms"][room.as_str()]["required_state"]), ["m.room.join_rules"]);
    client.body = all(0, [["m.room.join_rules", ""]]);
    assert_eq!(client.sync(&server)["rooms"], json!({}));
    client.body = all(0, [["*", "*"]]);
    let answer = client.sync(&server);
    let state = names(&answer["rooms"][room.as_str()]["required_state"]);
    assert!(state.contains(&"m.room.power_levels".to_owned()));
    let known = ["m.room.create", "m.room.join_rules"];
    assert!(!state.iter().any(|name| known.contains(&name.as_str())), "nothing twice: {state:?}");
    assert_eq!(state.iter().filter(|name| *name == "m.room.member").count(), 3);
}

#[test]
fn members_are_loaded_lazily_and_told_once() {
    let (server, room) = shared();
    let [alice, bob, carol] = people();
    server.rooms.say(&room, &bob, "hello");
    let mut client = SlidingClient::new(&server, &alice, all(1, LAZY));
    let told = |answer: &Value| {
        let state = &answer["rooms"][room.as_str()]["required_state"];
        senders(state).into_iter().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(told(&client.sync(&server)), [bob.as_str()]);
    server.rooms.say(&room, &bob, "again");
    assert_eq!(told(&client.sync(&server)), [""; 0]);
    server.rooms.say(&room, &carol, "me too");
    let lost = client.try_sync(&server).unwrap();
    assert_eq!(told(&lost), [carol.as_str()]);
    assert_eq!(told(&client.sync(&server)), [carol.as_str()], "the lost answer is made again");
    let profile = content(json!({"membership": "join", "displayname": "B"}));
    server.rooms.append(&room, Draft::state(&bob, "m.room.member", bob.as_str(), profile)).unwrap();
    assert_eq!(told(&client.sync(&server)), [bob.as_str()], "a new profile");
    for body in ["1", "2", "3"] {
        server.rooms.say(&room, &carol, body);
    }
    assert_eq!(told(&client.sync(&server)), [carol.as_str()], "after a gap the client knows nobody");
}

#[test]
fn membership_changes_are_told_with_lazy_members_even_outside_the_timeline() {
    let (server, room) = shared();
    let [alice, bob, carol] = people();
    let mut client = SlidingClient::new(&server, &alice, all(5, LAZY));
    client.sync(&server);
    server.rooms.set_membership(&room, &bob, &bob, "leave").unwrap();
    server.rooms.set_membership(&room, &alice, &carol, "ban").unwrap();
    let answer = client.sync(&server);
    let told = &answer["rooms"][room.as_str()];
    assert!([&bob, &carol].iter().all(|user| senders(&told["required_state"]).contains(&user.as_str())));
    assert_eq!((&told["joined_count"], &told["invited_count"]), (&json!(1), &json!(0)));
}

#[test]
fn own_membership_is_asked_for_by_me() {
    let (server, room) = shared();
    let [alice, bob, _] = people();
    let body = all(0, [["m.room.member", "$ME"]]);
    for user in [&alice, &bob] {
        let answer = SlidingClient::new(&server, user, body.clone()).sync(&server);
        assert_eq!(senders(&answer["rooms"][room.as_str()]["required_state"]), [user.as_str()]);
    }
}

#[test]
fn an_invite_is_told_stripped_then_joined_then_left() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    let mut client = SlidingClient::new(&server, &bob, all(5, [["m.room.member", "$ME"]]));
    client.sync(&server);
    server.rooms.set_membership(&room, &alice, &bob, "invite").unwrap();
    let answer = client.sync(&server);
    let told = &answer["rooms"][room.as_str()];
    assert_eq!(
        (&told["initial"], told.get("timeline"), told.get("required_state")),
        (&json!(true), None, None)
    );
    assert!(names(&told["invite_state"]).contains(&"m.room.create".to_owned()));
    assert!(names(&told["invite_state"]).contains(&"m.room.member".to_owned()));
    server.rooms.say(&room, &alice, "not for Bob to know of yet");
    assert_eq!(client.sync(&server)["rooms"], json!({}));
    server.rooms.join(&room, &bob);
    let answer = client.sync(&server);
    let told = &answer["rooms"][room.as_str()];
    assert_eq!((&told["initial"], told.get("invite_state")), (&json!(true), None));
    assert_eq!(told["required_state"][0]["content"]["membership"], "join");
    server.rooms.set_membership(&room, &bob, &bob, "leave").unwrap();
    server.rooms.say(&room, &alice, "Bob has gone");
    let answer = client.sync(&server);
    let told = &answer["rooms"][room.as_str()];
    assert_eq!(names(&told["timeline"]), ["m.room.member"]);
    assert_eq!(told["required_state"][0]["content"]["membership"], "leave");
    assert_eq!(answer["lists"]["all"]["count"], 0);
    assert_eq!(client.sync(&server)["rooms"], json!({}));
    server.rooms.join(&room, &bob);
    let answer = client.sync(&server);
    assert_eq!(answer["rooms"][room.as_str()]["initial"], true, "who comes back gets the room anew");
}

#[test]
fn a_declined_and_a_withdrawn_invite_are_told_to_be_gone() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    for (sender, target) in [(&bob, &bob), (&alice, &bob)] {
        let room = server.rooms.public_room(&alice);
        server.rooms.set_membership(&room, &alice, &bob, "invite").unwrap();
        let mut client = SlidingClient::new(&server, &bob, all(5, [""; 0]));
        client.sync(&server);
        server.rooms.set_membership(&room, sender, target, "leave").unwrap();
        let answer = client.sync(&server);
        let told = &answer["rooms"][room.as_str()];
        assert_eq!(told["required_state"][0]["content"]["membership"], "leave");
        assert!(told.get("timeline").is_none());
        assert_eq!(client.sync(&server)["rooms"], json!({}));
        let fresh = SlidingClient::new(&server, &bob, all(5, [""; 0])).sync(&server);
        assert_eq!(fresh["rooms"].get(room.as_str()), None);
    }
}

#[test]
fn who_was_banned_is_told_once_on_each_connection() {
    let (server, room) = shared();
    let [alice, bob, _] = people();
    let mut client = SlidingClient::new(&server, &bob, all(1, [["m.room.create", ""]]));
    client.sync(&server);
    server.rooms.set_membership(&room, &alice, &bob, "ban").unwrap();
    server.rooms.say(&room, &alice, "good riddance");
    let mut fresh = SlidingClient::new(&server, &bob, all(1, [["m.room.create", ""]]));
    fresh.body["conn_id"] = json!("fresh");
    for (client, initial) in [(&mut client, Value::Null), (&mut fresh, json!(true))] {
        let answer = client.sync(&server);
        let told = &answer["rooms"][room.as_str()];
        assert_eq!(
            (names(&told["timeline"]), &told["initial"]),
            (vec!["m.room.member".to_owned()], &initial)
        );
        let own = told["required_state"].as_array().unwrap().last().unwrap();
        assert_eq!(own["content"]["membership"], "ban");
        assert_eq!(answer["lists"]["all"]["count"], 1);
        assert_eq!(client.sync(&server)["rooms"], json!({}));
    }
}

#[test]
fn rooms_left_long_ago_are_told_only_to_subscribers() {
    let (server, room) = shared();
    let [_, bob, _] = people();
    server.rooms.set_membership(&room, &bob, &bob, "leave").unwrap();
    let mut client = SlidingClient::new(&server, &bob, all(1, [""; 0]));
    let answer = client.sync(&server);
    assert_eq!((&answer["rooms"], &answer["lists"]["all"]["count"]), (&json!({}), &json!(0)));
    client.body["room_subscriptions"] = json!({room.as_str(): {"timeline_limit": 1, "required_state": []}});
    let answer = client.sync(&server);
    assert_eq!(names(&answer["rooms"][room.as_str()]["timeline"]), ["m.room.member"]);
    assert_eq!(client.sync(&server)["rooms"], json!({}));
}

#[test]
fn knocks_are_told_stripped() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.set_state(&room, &alice, "m.room.join_rules", "", json!({"join_rule": "knock"})).unwrap();
    server.rooms.set_membership(&room, &bob, &bob, "knock").unwrap();
    let mut client = SlidingClient::new(&server, &bob, all(1, [""; 0]));
    let answer = client.sync(&server);
    let told = &answer["rooms"][room.as_str()];
    let own = told["invite_state"].as_array().unwrap().iter().find(|it| it["state_key"] == bob.as_str());
    assert_eq!(own.unwrap()["content"]["membership"], "knock");
    assert_eq!(client.sync(&server)["rooms"], json!({}));
}

#[test]
fn reading_moves_the_counts_of_other_devices() {
    let (server, room) = shared();
    let [alice, bob, _] = people();
    let event = server.rooms.say(&room, &bob, "hello");
    let mut client = SlidingClient::new(&server, &alice, all(1, [""; 0]));
    assert_eq!(client.sync(&server)["rooms"][room.as_str()]["notification_count"], 1);
    let thread = ruma::events::receipt::ReceiptThread::Unthreaded;
    let mark = Mark::Receipt { kind: ReceiptKind::ReadPrivate, thread, event_id: event };
    server.receipts.mark(&server.viewer(&alice), &room, &[mark]).unwrap();
    let answer = client.sync(&server);
    let told = &answer["rooms"][room.as_str()];
    assert_eq!((&told["notification_count"], told.get("timeline")), (&json!(0), None));
}

#[test]
fn ignored_users_are_not_shown() {
    let (server, room) = shared();
    let [alice, bob, carol] = people();
    server.ignore(&alice, &[&bob]);
    server.rooms.say(&room, &bob, "ignored");
    server.rooms.say(&room, &carol, "seen");
    let invited = server.rooms.public_room(&bob);
    server.rooms.set_membership(&invited, &bob, &alice, "invite").unwrap();
    let mut client = SlidingClient::new(&server, &alice, all(1, [""; 0]));
    let answer = client.sync(&server);
    assert_eq!(names(&answer["rooms"][room.as_str()]["timeline"]), ["seen"]);
    assert_eq!((answer["rooms"].get(invited.as_str()), &answer["lists"]["all"]["count"]), (None, &json!(1)));
    server.ignore(&alice, &[]);
    let answer = client.sync(&server);
    assert!(answer["rooms"].get(invited.as_str()).is_some(), "the invite is there once Bob is not ignored");
}

#[test]
fn a_room_that_was_left_and_forgotten_meanwhile_is_told_as_left() {
    let (server, room) = shared();
    let [_, bob, _] = people();
    let mut client = SlidingClient::new(&server, &bob, all(1, [["m.room.member", "$ME"]]));
    assert!(client.sync(&server)["rooms"][room.as_str()].is_object());
    server.rooms.set_membership(&room, &bob, &bob, "leave").unwrap();
    let memberships = Memberships::new(server.rooms.appender.clone(), server.rooms.profiles.clone());
    memberships.forget(&bob, &room).unwrap();
    let answer = client.sync(&server);
    let told = &answer["rooms"][room.as_str()];
    assert_eq!(told["required_state"][0]["content"]["membership"], "leave", "{answer}");
    assert!(told["timeline"].as_array().is_none_or(Vec::is_empty), "nothing else of it is told");
    assert!(client.sync(&server)["rooms"].as_object().unwrap().is_empty());
}
