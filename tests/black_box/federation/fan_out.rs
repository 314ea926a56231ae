//! What happens in a room reaches all its servers, whichever of them it went through.

use serde_json::json;

use crate::harness::{Client, Federation, SyncResult, event_ids, path_segment};

fn join_via(client: &Client, room: &str, via: &str) {
    let path = format!("/_matrix/client/v3/join/{}?via={}", path_segment(room), path_segment(via));
    client.post(&path, json!({})).ok();
}

/// How often a user's new membership is in what a sync shows of a room.
fn shown(sync: &SyncResult, room: &str, user: &Client, membership: &str) -> usize {
    let events = sync.body["rooms"]["join"][room]["timeline"]["events"].as_array();
    let is_it = |event: &&serde_json::Value| {
        event["state_key"] == user.user_id.as_str() && event["content"]["membership"] == membership
    };
    events.map_or(0, |events| events.iter().filter(is_it).count())
}

#[test]
fn a_join_through_one_server_is_seen_on_the_others() {
    let federation = Federation::of(3);
    let (alice, bob, carol) =
        (federation.register(0, "alice"), federation.register(1, "bob"), federation.register(2, "carol"));
    let here = &federation.server(0).name;
    let room = alice.create_room(json!({ "preset": "public_chat" }));
    join_via(&carol, &room, here);
    let since = carol.sync(None, "").next_batch().to_owned();
    join_via(&bob, &room, here);
    let seen = carol.sync_until(&since, |sync| shown(sync, &room, &bob, "join") > 0);
    assert_eq!(shown(&seen, &room, &bob, "join"), 1);

    // What the newcomers say reaches everybody, and so does their going.
    for from in [&bob, &carol] {
        let readers =
            [&alice, &bob, &carol].map(|reader| (reader, reader.sync(None, "").next_batch().to_owned()));
        let said = from.send_text(&room, "hello");
        for (reader, since) in readers {
            reader.sync_until(&since, |sync| {
                let events = sync.body["rooms"]["join"][&room]["timeline"]["events"].as_array();
                events.is_some_and(|events| event_ids(events).contains(&said))
            });
        }
    }
    let since = carol.sync(None, "").next_batch().to_owned();
    bob.leave(&room).ok();
    carol.sync_until(&since, |sync| shown(sync, &room, &bob, "leave") == 1);
}

#[test]
fn settings_are_carried_over_to_a_successor_that_is_joined_through_another_server() {
    let federation = Federation::pair();
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    let here = &federation.server(0).name;
    let room = alice.create_room(json!({ "preset": "public_chat", "room_version": "10" }));
    join_via(&bob, &room, here);
    let tags = |room: &str| {
        let user = path_segment(&bob.user_id);
        format!("/_matrix/client/v3/user/{user}/rooms/{}/tags", path_segment(room))
    };
    bob.put(&format!("{}/m.favourite", tags(&room)), json!({ "order": 0.5 })).ok();
    let upgraded = alice.post(&Client::room_path(&room, "upgrade"), json!({ "new_version": "11" })).ok();
    let successor = upgraded["replacement_room"].as_str().unwrap();
    join_via(&bob, successor, here);
    assert_eq!(bob.get(&tags(successor)).ok()["tags"], json!({ "m.favourite": { "order": 0.5 } }));
}

#[test]
fn an_invite_of_a_third_servers_user_reaches_the_rooms_other_servers() {
    let federation = Federation::of(3);
    let (alice, bob, carol) =
        (federation.register(0, "alice"), federation.register(1, "bob"), federation.register(2, "carol"));
    let room = alice.create_room(json!({ "preset": "public_chat" }));
    join_via(&carol, &room, &federation.server(0).name);
    let since = carol.sync(None, "").next_batch().to_owned();
    alice.moderate("invite", &room, &bob.user_id).ok();
    carol.sync_until(&since, |sync| shown(sync, &room, &bob, "invite") == 1);
}
