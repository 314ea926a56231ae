//! Events that are sent later (MSC4140).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Client, Server, ServerSettings, unique};

const DELAYED: &str = "/_matrix/client/unstable/org.matrix.msc4140/delayed_events";

fn scheduled(client: &Client) -> Vec<Value> {
    client.get(DELAYED).ok()["delayed_events"].as_array().unwrap().clone()
}

fn schedule(client: &Client, room: &str, delay_ms: u64, body: &str) -> String {
    let path = format!("send/m.room.message/{}?org.matrix.msc4140.delay={delay_ms}", unique("txn"));
    let content = json!({ "msgtype": "m.text", "body": body });
    let answer = client.put(&Client::room_path(room, &path), content).ok();
    answer["delay_id"].as_str().unwrap().to_owned()
}

/// Long polls until a message with this text has come, and answers with it.
#[track_caller]
fn wait_for(client: &Client, room: &str, body: &str) -> Value {
    let end = Instant::now() + Duration::from_secs(30);
    let mut since = String::new();
    while Instant::now() < end {
        let sync = client.get(&format!("/_matrix/client/v3/sync?timeout=10000{since}")).ok();
        since = format!("&since={}", sync["next_batch"].as_str().unwrap());
        let events =
            sync["rooms"]["join"][room]["timeline"]["events"].as_array().cloned().unwrap_or_default();
        if let Some(found) = events.into_iter().find(|event| event["content"]["body"] == body) {
            return found;
        }
    }
    panic!("{body:?} has not come");
}

#[test]
fn a_delayed_message_is_listed_and_sent_when_it_is_due() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let id = schedule(&alice, &room, 700, "later");
    let listed = scheduled(&alice);
    assert_eq!(
        (listed.len(), &listed[0]["delay_id"], &listed[0]["content"]["body"]),
        (1, &json!(id), &json!("later"))
    );
    assert_eq!(
        (&listed[0]["delay"], &listed[0]["room_id"], &listed[0]["type"]),
        (&json!(700), &json!(room), &json!("m.room.message"))
    );
    assert_eq!(scheduled(&bob).len(), 0);
    let event = wait_for(&alice, &room, "later");
    assert_eq!(event["unsigned"]["org.matrix.msc4140.delay_id"], id);
    assert!(wait_for(&bob, &room, "later")["unsigned"].get("org.matrix.msc4140.delay_id").is_none());
    assert_eq!(scheduled(&alice).len(), 0);
    let found = alice.get(&format!("{DELAYED}/{id}")).ok();
    assert_eq!(found["event_id"], event["event_id"]);
    assert!(found["finalised_ts"].is_u64(), "{found}");
    bob.get(&format!("{DELAYED}/{id}")).error(404, "M_NOT_FOUND");
}

#[test]
fn delayed_events_are_controlled_by_whoever_has_their_id() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let [send, cancel] = ["sent", "cancelled"].map(|body| schedule(&alice, &room, 100_000, body));
    let nobody = server.anonymous();
    let act =
        |client: &Client, id: &str, action: &str| client.post(&format!("{DELAYED}/{id}/{action}"), json!({}));
    act(&nobody, &send, "restart").ok();
    act(&bob, &send, "send").error(404, "M_NOT_FOUND");
    act(&nobody, &send, "send").ok();
    wait_for(&bob, &room, "sent");
    act(&nobody, &send, "send").ok();
    act(&nobody, &send, "cancel").error(409, "M_UNKNOWN");
    nobody.post(&format!("{DELAYED}/{cancel}"), json!({ "action": "cancel" })).ok();
    act(&nobody, &cancel, "cancel").ok();
    act(&nobody, &cancel, "restart").error(409, "M_UNKNOWN");
    act(&nobody, &cancel, "oops").error(404, "M_UNRECOGNIZED");
    nobody.post(&format!("{DELAYED}/{cancel}"), json!({})).error(400, "M_MISSING_PARAM");
    for id in ["abc", "AAAAAAAAAAAAAAAAAAAAAA"] {
        act(&nobody, id, "send").error(404, "M_NOT_FOUND");
        alice.get(&format!("{DELAYED}/{id}")).error(404, "M_NOT_FOUND");
    }
    nobody.get(DELAYED).error(401, "M_MISSING_TOKEN");
}

#[test]
fn a_request_to_send_later_is_checked_and_may_be_repeated() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[]);
    let path = |delay: &str| {
        Client::room_path(&room, &format!("send/m.room.message/once?org.matrix.msc4140.delay={delay}"))
    };
    alice.put(&path("soon"), json!({})).error(400, "M_INVALID_PARAM");
    alice.put(&path("0"), json!({})).error(400, "M_INVALID_PARAM");
    alice.put(&path("-5"), json!({})).error(400, "M_INVALID_PARAM");
    alice.put(&path("99999999999999"), json!({})).error(403, "M_FORBIDDEN");
    bob.put(&path("1000"), json!({})).error(403, "M_FORBIDDEN");
    let id = alice.put(&path("100000"), json!({ "body": "x" })).ok();
    assert_eq!(alice.raw("PUT", &path("100000"), None).ok(), id, "even without a body");
    assert_eq!(scheduled(&alice).len(), 1);

    let unstable = "/_matrix/client/unstable/org.matrix.msc4140";
    let room_path = format!("{unstable}/rooms/{room}/delayed_event");
    let state = json!({ "delay_ms": 50_000, "state_key": "", "content": { "topic": "later" } });
    let set = alice.put(&format!("{room_path}/m.room.topic/one"), state.clone()).ok();
    assert_eq!(alice.put(&format!("{room_path}/m.room.topic/one"), state).ok(), set);
    let invite = json!({ "delay": 1, "state_key": bob.user_id, "content": { "membership": "invite" } });
    alice.put(&format!("{room_path}/m.room.member/two"), invite).error(403, "M_FORBIDDEN");
    alice
        .put(&format!("{room_path}/m.room.topic/three"), json!({ "content": {} }))
        .error(400, "M_MISSING_PARAM");
    let send = format!("{DELAYED}/{}/send", set["delay_id"].as_str().unwrap());
    alice.post(&send, json!({})).ok();
    let topic = alice.get(&Client::room_path(&room, "state/m.room.topic/")).ok();
    assert_eq!(topic["topic"], "later");
}

#[test]
fn delayed_events_survive_a_restart() {
    let mut server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room_with(&[]);
    schedule(&alice, &room, 1, "due while the server is gone");
    schedule(&alice, &room, 100_000, "much later");
    server.kill();
    server.restart();
    let alice = alice.moved_to(server.base_url());
    wait_for(&alice, &room, "due while the server is gone");
    assert_eq!(scheduled(&alice).len(), 1);
}

#[test]
fn an_operator_can_switch_delays_off() {
    let extra = "event_delay_seconds_max = 0".to_owned();
    let server = Server::start_with(&ServerSettings { extra, ..ServerSettings::default() });
    let alice = server.register("alice");
    let room = alice.create_room_with(&[]);
    let path = Client::room_path(&room, "send/m.room.message/once?org.matrix.msc4140.delay=10");
    alice.put(&path, json!({})).error(403, "M_FORBIDDEN");
    let capabilities = alice.get("/_matrix/client/v3/capabilities").ok();
    assert_eq!(capabilities["capabilities"]["org.matrix.msc4140.delayed_events"]["max_delay_ms"], 0);
}
