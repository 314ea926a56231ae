//! Who is there, across servers.

use serde_json::json;

use crate::harness::{Federation, SyncResult, path_segment};

#[test]
fn changes_reach_who_shares_a_room_on_another_server() {
    let federation = Federation::pair();
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    let room = alice.create_room(json!({ "preset": "public_chat" }));
    let via = path_segment(&federation.server(0).name);
    bob.post(&format!("/_matrix/client/v3/join/{}?via={via}", path_segment(&room)), json!({})).ok();
    let path = format!("/_matrix/client/v3/presence/{}/status", path_segment(&alice.user_id));
    let content = |sync: &SyncResult| {
        let events = sync.body["presence"]["events"].as_array()?;
        let event = events.iter().find(|event| event["sender"] == alice.user_id.as_str())?;
        Some(event["content"].clone())
    };
    let mut since = bob.sync(None, "").next_batch().to_owned();
    for body in [
        json!({ "presence": "online", "status_msg": "across the sea" }),
        json!({ "presence": "unavailable" }),
        json!({ "presence": "offline" }),
    ] {
        alice.put(&path, body.clone()).ok();
        let sync =
            bob.sync_until(&since, |sync| content(sync).is_some_and(|it| it["presence"] == body["presence"]));
        let content = content(&sync).unwrap();
        assert_eq!(content["status_msg"], body["status_msg"], "{content}");
        assert_eq!(content["currently_active"], body["presence"] == "online", "{content}");
        sync.next_batch().clone_into(&mut since);
        assert_eq!(bob.get(&path).ok()["presence"], body["presence"]);
    }
}
