//! The list of what a user was notified of.

use serde_json::{Value, json};

use crate::harness::{Client, Server};

const PATH: &str = "/_matrix/client/v3/notifications";

fn bodies(answer: &Value) -> Vec<&str> {
    let list = answer["notifications"].as_array().unwrap();
    list.iter().map(|found| found["event"]["content"]["body"].as_str().unwrap()).collect()
}

#[test]
fn notifications_are_listed_in_pages_with_whether_they_were_read() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let rooms = [alice.create_room_with(&[&bob]), alice.create_room_with(&[&bob])];
    let read = alice.send_text(&rooms[0], "one");
    alice.send_text(&rooms[1], "two");
    alice.send_text(&rooms[0], "three");
    bob.post(&Client::room_path(&rooms[0], &format!("receipt/m.read/{read}")), json!({})).ok();

    let first = bob.get(&format!("{PATH}?limit=2")).ok();
    assert_eq!(bodies(&first), ["three", "two"]);
    let token = first["next_token"].as_str().unwrap();
    let second = bob.get(&format!("{PATH}?limit=2&from={token}")).ok();
    assert_eq!(bodies(&second), ["one"]);
    assert!(second.get("next_token").is_none(), "{second}");
    let one = &second["notifications"][0];
    assert_eq!(
        (&one["room_id"], &one["read"], &one["event"]["event_id"]),
        (&json!(rooms[0]), &json!(true), &json!(read))
    );
    assert_eq!(one["actions"][0], "notify");
    assert_eq!(one["ts"], one["event"]["origin_server_ts"]);
    assert_eq!(first["notifications"][0]["read"], false);
    assert_eq!(bodies(&bob.get(&format!("{PATH}?only=highlight")).ok()), Vec::<&str>::new());
    assert_eq!(bodies(&alice.get(PATH).ok()), Vec::<&str>::new(), "one's own events notify nobody");
}

#[test]
fn a_list_of_notifications_is_ones_own_and_its_tokens_are_checked() {
    let server = Server::start();
    let alice = server.register("alice");
    alice.get(&format!("{PATH}?from=nonsense")).error(400, "M_INVALID_PARAM");
    alice.get(&format!("{PATH}?limit=-1")).error(400, "M_INVALID_PARAM");
    alice.get(&format!("{PATH}?limit=99999999999")).ok();
    server.anonymous().get(PATH).error(401, "M_MISSING_TOKEN");
}
