//! Media.

use serde_json::json;

use super::{World, v1, v1_user, world};
use crate::harness::{Client, path_segment};

fn upload(client: &Client, name: &str) -> String {
    let headers = [("Content-Type", "text/plain")];
    let path = format!("/_matrix/media/v3/upload?filename={name}");
    let answer = client.binary("POST", &path, &headers, name.as_bytes());
    let answer: serde_json::Value = serde_json::from_slice(&answer.bytes).unwrap();
    answer["content_uri"].as_str().unwrap().trim_start_matches("mxc://").to_owned()
}

fn download(client: &Client, address: &str) -> u16 {
    client.binary("GET", &format!("/_matrix/client/v1/media/download/{address}"), &[], &[]).status
}

#[test]
fn media_is_quarantined_protected_and_removed() {
    let World { server: _server, admin, alice } = world();
    let [one, two, three] = ["one", "two", "three"].map(|name| upload(&alice, name));
    admin.post(&v1(&format!("media/quarantine/{one}")), json!({})).ok();
    assert_eq!(download(&alice, &one), 404);
    let info = admin.get(&v1(&format!("media/{one}"))).ok();
    assert_eq!(
        (&info["media_info"]["quarantined_by"], &info["media_info"]["upload_name"]),
        (&json!(admin.user_id), &json!("one"))
    );
    admin.post(&v1(&format!("media/unquarantine/{one}")), json!({})).ok();
    assert_eq!(download(&alice, &one), 200);
    let id = |address: &str| address.split('/').nth(1).unwrap().to_owned();
    admin.post(&v1(&format!("media/protect/{}", id(&two))), json!({})).ok();
    let all = v1(&format!("user/{}/media/quarantine", path_segment(&alice.user_id)));
    assert_eq!(admin.post(&all, json!({})).ok()["num_quarantined"], 2);
    assert_eq!((download(&alice, &one), download(&alice, &two)), (404, 200));
    let list = admin.get(&v1_user(&alice, "media?order_by=upload_name&limit=2")).ok();
    assert_eq!(
        (&list["total"], &list["media"][0]["upload_name"], &list["next_token"]),
        (&json!(3), &json!("one"), &json!(2))
    );
    assert_eq!(admin.delete(&v1(&format!("media/{three}")), None).ok()["deleted_media"], json!([id(&three)]));
    assert_eq!(download(&alice, &three), 404);
    let rest = admin.delete(&v1_user(&alice, "media"), None).ok();
    assert_eq!(rest["total"], 2);
    let statistics = admin.get(&v1("statistics/users/media")).ok();
    assert_eq!(statistics["total"], 0);
    assert_eq!(admin.post(&v1("purge_media_cache?before_ts=1"), json!({})).ok(), json!({ "deleted": 0 }));
    admin.post(&v1("purge_media_cache"), json!({})).error(400, "M_MISSING_PARAM");
    admin.delete(&v1("media/localhost/unknown"), None).error(404, "M_NOT_FOUND");
}

#[test]
fn the_media_of_a_room_is_found() {
    let World { server: _server, admin, alice } = world();
    let room = alice.create_room(json!({}));
    let address = upload(&alice, "picture");
    let content = json!({ "msgtype": "m.file", "body": "picture", "url": format!("mxc://{address}") });
    alice.send(&room, "m.room.message", "1", content).ok();
    let path = v1(&format!("room/{}/media", path_segment(&room)));
    assert_eq!(admin.get(&path).ok(), json!({ "local": [format!("mxc://{address}")], "remote": [] }));
    assert_eq!(admin.post(&format!("{path}/quarantine"), json!({})).ok()["num_quarantined"], 1);
    assert_eq!(download(&alice, &address), 404);
}
