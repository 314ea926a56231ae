//! Following threads (MSC4306, MSC4308) and deciding whose invites one takes, as clients do it.

use serde_json::{Value, json};

use crate::harness::{Client, Server, path_segment, unique};

fn subscription(room: &str, root: &str) -> String {
    let (room, root) = (path_segment(room), path_segment(root));
    format!("/_matrix/client/unstable/io.element.msc4306/rooms/{room}/thread/{root}/subscription")
}

fn answer_in_thread(client: &Client, room: &str, root: &str) -> String {
    let relation = json!({ "rel_type": "m.thread", "event_id": root });
    let content = json!({ "msgtype": "m.text", "body": "reply", "m.relates_to": relation });
    let sent = client.send(room, "m.room.message", &unique("txn"), content).ok();
    sent["event_id"].as_str().unwrap().to_owned()
}

#[test]
fn threads_are_followed_and_left() {
    let mut server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room(json!({}));
    let (root, other) = (alice.send_text(&room, "root"), alice.send_text(&room, "other"));
    let reply = answer_in_thread(&alice, &room, &root);
    let path = subscription(&room, &root);
    alice.get(&path).error(404, "M_NOT_FOUND");
    alice.put(&path, json!({ "automatic": reply })).ok();
    assert_eq!(alice.get(&path).ok(), json!({ "automatic": true }));
    alice.put(&path, json!({})).ok();
    assert_eq!(alice.get(&path).ok(), json!({ "automatic": false }));
    alice.put(&subscription(&room, &other), json!({})).ok();
    alice.delete(&path, None).ok();
    alice.delete(&path, None).ok();
    alice
        .put(&path, json!({ "automatic": reply }))
        .error(409, "IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION");
    alice.put(&path, json!({ "automatic": other })).error(400, "IO.ELEMENT.MSC4306.M_NOT_IN_THREAD");
    alice.put(&subscription(&room, "$unknown"), json!({})).error(404, "M_NOT_FOUND");
    bob.put(&path, json!({})).error(404, "M_NOT_FOUND");

    let list = "/_matrix/client/unstable/io.element.msc4308/thread_subscriptions?dir=b";
    let newest = alice.get(&format!("{list}&limit=1")).ok();
    assert!(newest["unsubscribed"][&room][&root]["bump_stamp"].is_u64(), "{newest}");
    let older = alice.get(&format!("{list}&from={}", newest["end"].as_str().unwrap())).ok();
    assert_eq!(older["subscribed"][&room][&other]["automatic"], false);
    assert_eq!((older.get("unsubscribed"), older.get("end")), (None, None));
    assert_eq!(bob.get(list).ok(), json!({}));
    alice.get(&format!("{list}&limit=0")).error(400, "M_INVALID_PARAM");
    alice.get(&format!("{list}&from=forged")).error(400, "M_INVALID_PARAM");
    alice.get(&format!("{list}&to=forged")).error(400, "M_INVALID_PARAM");
    server.stop();
}

fn take_invites(client: &Client, event_type: &str, content: Value) {
    let path = format!("/_matrix/client/v3/user/{}/account_data/{event_type}", client.user_id);
    client.put(&path, content).ok();
}

#[test]
fn unwanted_invites_are_refused_or_not_shown() {
    let mut server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let invites = || bob.get("/_matrix/client/v3/sync").ok()["rooms"]["invite"].clone();
    take_invites(&bob, "m.invite_permission_config", json!({ "default_action": "block" }));
    let room = alice.create_room(json!({}));
    alice.moderate("invite", &room, &bob.user_id).error(403, "M_INVITE_BLOCKED");
    let body = json!({ "invite": [bob.user_id] });
    alice.post("/_matrix/client/v3/createRoom", body).error(403, "M_INVITE_BLOCKED");
    let membership = json!({ "membership": "invite" });
    alice.set_state(&room, "m.room.member", &bob.user_id, membership).error(403, "M_INVITE_BLOCKED");
    take_invites(&bob, "m.invite_permission_config", json!({}));

    let filter = "org.matrix.msc4155.invite_permission_config";
    take_invites(&bob, filter, json!({ "ignored_users": ["@alice*"] }));
    alice.moderate("invite", &room, &bob.user_id).ok();
    assert_eq!(invites(), Value::Null);
    take_invites(&bob, filter, json!({ "enabled": false, "blocked_servers": ["*"] }));
    assert!(invites()[&room].is_object());
    server.stop();
}
