//! What one server tells another of its users and its published rooms.

use serde_json::json;

use crate::harness::{Federation, path_segment, unique};

#[test]
fn profiles_of_the_other_server_are_shown() {
    let federation = Federation::pair();
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    let profile = format!("/_matrix/client/v3/profile/{}", path_segment(&alice.user_id));
    alice.put(&format!("{profile}/displayname"), json!({ "displayname": "Alice" })).ok();
    alice.put(&format!("{profile}/org.example.mood"), json!({ "org.example.mood": "fine" })).ok();
    let expected = json!({ "displayname": "Alice", "org.example.mood": "fine" });
    assert_eq!(bob.get(&profile).ok(), expected);
    assert_eq!(bob.get(&format!("{profile}/displayname")).ok(), json!({ "displayname": "Alice" }));
    bob.get(&format!("{profile}/avatar_url")).error(404, "M_NOT_FOUND");
    let nobody = format!("@{}:{}", unique("nobody"), federation.server(0).name);
    let path = format!("/_matrix/client/v3/profile/{}", path_segment(&nobody));
    bob.get(&path).error(404, "M_NOT_FOUND");
}

#[test]
fn a_room_of_the_other_server_is_summarised_for_who_may_join_it() {
    let federation = Federation::pair();
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    let here = &federation.server(0).name;
    let alias = unique("tea");
    let room = alice.create_room(json!({
        "preset": "public_chat", "name": "Tea", "room_alias_name": alias, "room_version": "12",
    }));
    let path =
        |room: &str, via: &str| format!("/_matrix/client/v1/room_summary/{}?via={via}", path_segment(room));
    for named in [room.clone(), format!("#{alias}:{here}")] {
        let summary = bob.get(&path(&named, here));
        let summary = summary.ok();
        assert_eq!((&summary["name"], &summary["room_id"]), (&json!("Tea"), &json!(room)));
        assert_eq!(summary["membership"], "leave");
    }
    bob.with_token(None).get(&path(&room, here)).error(404, "M_NOT_FOUND");
    let closed = alice.create_room(json!({ "preset": "private_chat", "name": "Hidden" }));
    bob.get(&path(&closed, here)).error(404, "M_NOT_FOUND");

    // Restricted to a space: its members are told, through the servers that are in both.
    let space = alice.create_room(json!({ "preset": "public_chat" }));
    let allow = json!([{ "type": "m.room_membership", "room_id": space, "via": [here] }]);
    let rules = json!({ "join_rule": "restricted", "allow": allow });
    let inner = alice.create_room(json!({
        "preset": "private_chat", "name": "Inner",
        "initial_state": [{ "type": "m.room.join_rules", "state_key": "", "content": rules }],
    }));
    bob.get(&path(&inner, here)).error(404, "M_NOT_FOUND");
    let join = format!("/_matrix/client/v3/join/{}?via={here}", path_segment(&space));
    bob.post(&join, json!({})).ok();
    assert_eq!(bob.get(&path(&inner, here)).ok()["name"], "Inner");
}

#[test]
fn the_directory_of_the_other_server_is_read_in_pages() {
    let federation = Federation::pair();
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    let mut published: Vec<String> = (0..3)
        .map(|number| {
            alice.create_room(json!({
                "preset": "public_chat", "visibility": "public", "name": format!("Tea {number}"),
            }))
        })
        .collect();
    published.sort();
    let path = format!("/_matrix/client/v3/publicRooms?server={}", path_segment(&federation.server(0).name));
    let mut found = Vec::new();
    let mut since = String::new();
    for _ in 0..3 {
        let page = bob.get(&format!("{path}&limit=1{since}"));
        let page = page.ok();
        assert_eq!(page["total_room_count_estimate"], 3);
        assert_eq!(page["chunk"].as_array().unwrap().len(), 1);
        found.push(page["chunk"][0]["room_id"].as_str().unwrap().to_owned());
        since = page["next_batch"].as_str().map(|next| format!("&since={next}")).unwrap_or_default();
    }
    assert_eq!(since, "");
    found.sort();
    assert_eq!(found, published);
    let search = bob.post(&path, json!({ "filter": { "generic_search_term": "tea 1" } }));
    let search = search.ok();
    assert_eq!(search["chunk"].as_array().unwrap().len(), 1);
    assert_eq!(search["chunk"][0]["name"], "Tea 1");
    bob.with_token(None).get(&path).error(401, "M_MISSING_TOKEN");
    assert_eq!(bob.get("/_matrix/client/v3/publicRooms").ok()["chunk"], json!([]));
}
