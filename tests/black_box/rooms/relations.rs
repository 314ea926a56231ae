//! Events that relate to others, as clients see it.

use serde_json::{Value, json};

use crate::harness::{Answer, Client, Server, path_segment, unique};

fn relate(client: &Client, room: &str, event_type: &str, content: Value, relation: Value) -> Answer {
    let mut content = content;
    content["m.relates_to"] = relation;
    client.send(room, event_type, &unique("txn"), content)
}

fn relations(client: &Client, room: &str, event: &str, rest: &str) -> Answer {
    let (room, event) = (path_segment(room), path_segment(event));
    client.get(&format!("/_matrix/client/v1/rooms/{room}/relations/{event}{rest}"))
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["chunk"].as_array().unwrap().iter().map(|event| event["event_id"].as_str().unwrap()).collect()
}

#[test]
fn relations_are_told_with_the_event_and_listed() {
    let mut server = Server::start();
    let (alice, bob, carol) = (server.register("alice"), server.register("bob"), server.register("carol"));
    let room = alice.create_room_with(&[&bob]);
    let first = alice.send_text(&room, "root");
    let text = json!({ "msgtype": "m.text", "body": "reply" });
    let in_thread = json!({ "rel_type": "m.thread", "event_id": first });
    let reply = relate(&bob, &room, "m.room.message", text.clone(), in_thread.clone()).ok();
    let reply = reply["event_id"].as_str().unwrap();
    let mut edited = json!({ "msgtype": "m.text", "body": "* edited" });
    edited["m.new_content"] = json!({ "msgtype": "m.text", "body": "edited" });
    let replaces = json!({ "rel_type": "m.replace", "event_id": first });
    let edit = relate(&alice, &room, "m.room.message", edited, replaces).ok();

    let told = bob.event(&room, &first).ok()["unsigned"]["m.relations"].clone();
    assert_eq!(told["m.replace"]["event_id"], edit["event_id"]);
    assert_eq!(told["m.thread"]["latest_event"]["event_id"], reply);
    assert_eq!(told["m.thread"]["current_user_participated"], true);
    let listed = relations(&bob, &room, &first, "?limit=1").ok();
    assert_eq!(ids(&listed), [edit["event_id"].as_str().unwrap()]);
    let next = listed["next_batch"].as_str().unwrap();
    assert_eq!(ids(&relations(&bob, &room, &first, &format!("?from={next}")).ok()), [reply]);
    assert_eq!(ids(&relations(&bob, &room, &first, "/m.thread/m.room.message?recurse=true").ok()), [reply]);
    assert_eq!(relations(&bob, &room, &first, "/m.nothing").ok()["chunk"], json!([]));
    let path = format!("/_matrix/client/v1/rooms/{}/threads", path_segment(&room));
    assert_eq!(ids(&bob.get(&path).ok()), [first.as_str()]);
    let sync = alice.get("/_matrix/client/v3/sync").ok();
    let timeline = sync["rooms"]["join"][&room]["timeline"]["events"].as_array().unwrap().clone();
    let shown = timeline.iter().find(|event| event["event_id"] == first.as_str()).unwrap();
    assert_eq!(shown["unsigned"]["m.relations"]["m.replace"]["event_id"], edit["event_id"]);

    relations(&carol, &room, &first, "").error(403, "M_FORBIDDEN");
    relations(&bob, &room, "$unknown", "").error(404, "M_NOT_FOUND");
    relations(&bob, &room, &first, "?from=forged").error(400, "M_INVALID_PARAM");
    relations(&bob, &room, &first, "?limit=-1").error(400, "M_INVALID_PARAM");
    bob.get(&format!("{path}?include=some")).error(400, "M_INVALID_PARAM");
    let nested = json!({ "rel_type": "m.thread", "event_id": reply });
    relate(&bob, &room, "m.room.message", text, nested).error(400, "M_UNKNOWN");
    server.stop();
    server.assert_check_finds_nothing();
}

#[test]
fn a_reaction_is_given_once() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let first = alice.send_text(&room, "root");
    let react = |client: &Client, key: &str| {
        let relation = json!({ "rel_type": "m.annotation", "event_id": first, "key": key });
        relate(client, &room, "m.reaction", json!({}), relation)
    };
    let first = react(&alice, "👍").ok();
    react(&alice, "👍").error(400, "M_DUPLICATE_ANNOTATION");
    react(&alice, "👎").ok();
    react(&bob, "👍").ok();
    alice.redact(&room, first["event_id"].as_str().unwrap(), "");
    react(&alice, "👍").ok();
}
