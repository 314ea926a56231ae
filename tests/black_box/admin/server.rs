//! The server, reports, other servers.

use serde_json::json;

use super::{World, v1, world};
use crate::harness::{Client, path_segment};

#[test]
fn the_server_tells_of_itself() {
    let World { server, admin, alice } = world();
    let version = server.anonymous().get(&v1("server_version")).ok();
    assert!(version["server_version"].as_str().unwrap().starts_with("conduit"), "{version}");
    assert_eq!(admin.get(&v1("background_updates/status")).ok()["current_updates"], json!({}));
    assert_eq!(admin.get(&v1("scheduled_tasks")).ok(), json!({ "scheduled_tasks": [] }));
    let room = alice.create_room(json!({}));
    alice.send_text(&room, "hello");
    let largest = admin.get(&v1("statistics/database/rooms")).ok();
    assert_eq!(largest["rooms"][0]["room_id"], room);
    assert!(largest["rooms"][0]["estimated_size"].as_u64().is_some_and(|bytes| bytes > 1_000), "{largest}");
    assert_eq!(admin.get(&v1("federation/destinations")).ok(), json!({ "destinations": [], "total": 0 }));
    admin.get(&v1("federation/destinations/unknown.example")).error(404, "M_NOT_FOUND");
    admin.get(&v1("federation/destinations/unknown.example/rooms")).error(404, "M_NOT_FOUND");
}

#[test]
fn reports_are_read_and_dealt_with() {
    let World { server, admin, alice } = world();
    let bob = server.register("bob");
    let room = alice.create_room_with(&[&bob]);
    let said = alice.send_text(&room, "rude");
    let path = Client::room_path(&room, &format!("report/{}", path_segment(&said)));
    bob.post(&path, json!({ "reason": "rude" })).ok();
    let user = format!("/_matrix/client/v3/users/{}/report", path_segment(&alice.user_id));
    bob.post(&user, json!({ "reason": "always" })).ok();
    let list = admin.get(&v1("event_reports")).ok();
    assert_eq!((&list["total"], &list["event_reports"][0]["event_id"]), (&json!(1), &json!(said)));
    let report = &list["event_reports"][0];
    assert_eq!(
        (&report["user_id"], &report["sender"], &report["reason"]),
        (&json!(bob.user_id), &json!(alice.user_id), &json!("rude"))
    );
    let one = v1(&format!("event_reports/{}", report["id"]));
    assert_eq!(admin.get(&one).ok()["event_json"]["content"]["body"], "rude");
    admin.delete(&one, None).ok();
    admin.get(&one).error(404, "M_NOT_FOUND");
    let users = admin.get(&v1("user_reports")).ok();
    assert_eq!(
        (&users["total"], &users["user_reports"][0]["target_user_id"]),
        (&json!(1), &json!(alice.user_id))
    );
    admin.get(&v1("event_reports/nonsense")).error(400, "M_INVALID_PARAM");
}
