use serde_json::{Value, json};

use crate::sync::{
    SyncError,
    testing::{SlidingClient, SyncFixture, names, people},
};

fn all_rooms() -> Value {
    json!({"lists": {"all": {"timeline_limit": 10, "required_state": []}}})
}

#[test]
fn a_repeated_request_gets_the_lost_answer_again_with_what_came_since() {
    let server = SyncFixture::new();
    let [alice, ..] = people();
    let room = server.rooms.public_room(&alice);
    let mut client = SlidingClient::new(&server, &alice, all_rooms());
    client.sync(&server);
    server.rooms.say(&room, &alice, "one");
    let lost = client.try_sync(&server).unwrap();
    assert_eq!(names(&lost["rooms"][room.as_str()]["timeline"]), ["one"]);
    server.rooms.say(&room, &alice, "two");
    let again = client.sync(&server);
    assert_eq!(names(&again["rooms"][room.as_str()]["timeline"]), ["one", "two"]);
    assert_eq!(again["rooms"][room.as_str()]["num_live"], 2);
    assert_eq!(client.sync(&server)["rooms"], json!({}));
}

#[test]
fn positions_of_forgotten_answers_are_unknown() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    let mut client = SlidingClient::new(&server, &alice, all_rooms());
    client.sync(&server);
    let first = client.pos;
    server.rooms.say(&room, &alice, "one");
    client.sync(&server);
    let second = client.pos;
    server.rooms.say(&room, &alice, "two");
    client.sync(&server);
    client.pos = first;
    assert!(matches!(client.try_sync(&server), Err(SyncError::UnknownPosition)), "long acknowledged");
    client.pos = second;
    client.try_sync(&server).unwrap();
    let mut other = SlidingClient::new(&server, &bob, all_rooms());
    other.pos = second;
    assert!(matches!(other.try_sync(&server), Err(SyncError::UnknownPosition)), "another user's");
}

#[test]
fn an_empty_answer_keeps_the_position_valid() {
    let server = SyncFixture::new();
    let [alice, ..] = people();
    let room = server.rooms.public_room(&alice);
    let mut client = SlidingClient::new(&server, &alice, all_rooms());
    client.sync(&server);
    for _ in 0..3 {
        assert_eq!(client.sync(&server)["rooms"], json!({}));
        client.try_sync(&server).unwrap();
    }
    server.rooms.say(&room, &alice, "news");
    assert_eq!(names(&client.sync(&server)["rooms"][room.as_str()]["timeline"]), ["news"]);
}

#[test]
fn connections_of_a_device_are_told_apart_and_a_new_one_begins_anew() {
    let server = SyncFixture::new();
    let [alice, ..] = people();
    let room = server.rooms.public_room(&alice);
    let named = |name: &str| {
        let mut body = all_rooms();
        body["conn_id"] = json!(name);
        SlidingClient::new(&server, &alice, body)
    };
    let (mut one, mut two) = (named("one"), named("two"));
    assert_eq!(one.sync(&server)["rooms"][room.as_str()]["initial"], true);
    assert_eq!(two.sync(&server)["rooms"][room.as_str()]["initial"], true);
    server.rooms.say(&room, &alice, "news");
    for client in [&mut one, &mut two] {
        let answer = client.sync(&server);
        assert_eq!(names(&answer["rooms"][room.as_str()]["timeline"]), ["news"]);
        assert_eq!(answer["rooms"][room.as_str()]["initial"], Value::Null);
    }
    let mut again = named("one");
    assert_eq!(again.sync(&server)["rooms"][room.as_str()]["initial"], true);
    assert!(matches!(one.try_sync(&server), Err(SyncError::UnknownPosition)), "it was replaced");
    two.sync(&server);
}

#[test]
fn what_a_forgotten_request_finds_is_not_taken_for_told() {
    let server = SyncFixture::new();
    let [alice, ..] = people();
    let room = server.rooms.public_room(&alice);
    let mut client = SlidingClient::new(&server, &alice, all_rooms());
    client.sync(&server);
    let request = |body| crate::sync::sliding::SlidingRequest {
        viewer: server.viewer(&alice),
        pos: client.pos,
        body: serde_json::from_value(body).unwrap(),
    };
    let waiting = server.sliding.begin(request(all_rooms())).unwrap();
    assert!(!server.sliding.answer(&waiting).unwrap().is_news);
    let newer = server.sliding.begin(request(all_rooms())).unwrap();
    server.rooms.say(&room, &alice, "news");
    server.storage.durable_blocking().unwrap();
    let answer = server.sliding.answer(&newer).unwrap();
    assert!(matches!(server.sliding.answer(&waiting), Err(SyncError::UnknownPosition)));
    client.pos = Some(answer.response.pos.parse().unwrap());
    assert_eq!(client.sync(&server)["rooms"], json!({}), "the newer answer stands");
}

#[test]
fn the_position_is_a_place_in_a_rooms_history() {
    let server = SyncFixture::new();
    let [alice, ..] = people();
    server.rooms.public_room(&alice);
    let mut client = SlidingClient::new(&server, &alice, all_rooms());
    let pos = client.sync(&server)["pos"].as_str().unwrap().to_owned();
    let position = server.storage.position();
    let Ok(crate::rooms::PaginationToken::Sync(token)) = pos.parse() else { panic!("{pos}") };
    assert_eq!(token.position, position);
}
