//! Notices to single users.

use serde_json::{Value, json};

use super::{World, v1, world};
use crate::harness::Client;

fn invites(client: &Client) -> Vec<String> {
    let sync = client.get("/_matrix/client/v3/sync?timeout=0").ok();
    let invites = sync["rooms"]["invite"].as_object().cloned().unwrap_or_default();
    invites.keys().cloned().collect()
}

#[test]
fn a_notice_comes_in_a_room_of_its_own_whose_invite_stays() {
    let World { server, admin, alice } = world();
    let notice = json!({ "user_id": alice.user_id, "content": { "msgtype": "m.text", "body": "hello" } });
    let path = v1("send_server_notice");
    alice.post(&path, notice.clone()).error(403, "M_FORBIDDEN");
    let event = admin.post(&path, notice.clone()).ok()["event_id"].clone();
    let [room] = &invites(&alice)[..] else { panic!("one invite") };
    alice.leave(room).error(403, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM");
    alice.join(room).ok();
    let read = alice.get(&Client::room_path(room, &format!("event/{}", event.as_str().unwrap()))).ok();
    assert_eq!((&read["content"]["body"], &read["sender"]), (&json!("hello"), &json!("@_server:localhost")));
    let tags = format!("/_matrix/client/v3/user/{}/rooms/{room}/tags", alice.user_id);
    assert!(alice.get(&tags).ok()["tags"].get("m.server_notice").is_some());
    alice.send(room, "m.room.message", "1", json!({ "body": "x" })).error(403, "M_FORBIDDEN");
    alice.leave(room).ok();
    let once = format!("{path}/1");
    let first = admin.put(&once, notice.clone()).ok();
    assert_eq!(admin.put(&once, notice).ok(), first);
    assert_eq!(invites(&alice), [room.clone()], "the same room again");
    let refused = admin.post(&path, json!({ "user_id": "@nobody:localhost", "content": {} }));
    assert_eq!((refused.status, refused.json()["errcode"].clone()), (404, Value::from("M_NOT_FOUND")));
    let body = json!({ "username": "_server", "password": "correct horse battery staple" });
    server.anonymous().post("/_matrix/client/v3/register", body).error(400, "M_USER_IN_USE");
}
