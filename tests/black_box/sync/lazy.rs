//! Lazy-loaded members.

use serde_json::json;

use crate::harness::{Client, Server, SyncResult, find_state};

fn lazy(limit: usize) -> String {
    Client::filter_query(&json!({ "room": {
        "state": { "lazy_load_members": true }, "timeline": { "limit": limit },
    } }))
}

/// The state keys of the member events in a room's state, sorted.
fn members(sync: &SyncResult, room: &str) -> Vec<String> {
    let mut keys: Vec<String> = sync
        .state(room)
        .iter()
        .filter(|event| event["type"] == "m.room.member")
        .map(|event| event["state_key"].as_str().unwrap().to_owned())
        .collect();
    keys.sort();
    keys
}

/// Alice's room with Bob and Carol, who both joined too late to be heroes, since those always come.
struct Crowd {
    alice: Client,
    bob: Client,
    carol: Client,
    room: String,
    _server: Server,
}

impl Crowd {
    const HEROES: usize = 5;

    fn gather() -> Self {
        let server = Server::start();
        let alice = server.register("alice");
        let heroes: Vec<Client> = (0..Self::HEROES).map(|n| server.register(&format!("hero{n}"))).collect();
        let (bob, carol) = (server.register("bob"), server.register("carol"));
        let everyone: Vec<&Client> = heroes.iter().chain([&bob, &carol]).collect();
        let room = alice.create_room_with(&everyone);
        Self { alice, bob, carol, room, _server: server }
    }
}

#[test]
fn an_initial_sync_brings_the_senders_and_oneself() {
    let crowd = Crowd::gather();
    for n in 0..3 {
        crowd.bob.send_text(&crowd.room, &format!("{n}"));
    }
    let sync = crowd.alice.sync(None, &lazy(2));
    let found = members(&sync, &crowd.room);
    assert!(found.contains(&crowd.bob.user_id), "the sender: {found:?}");
    assert!(found.contains(&crowd.alice.user_id), "oneself: {found:?}");
    assert!(!found.contains(&crowd.carol.user_id), "who is silent does not come: {found:?}");
    let summary = &sync.joined(&crowd.room)["summary"];
    let heroes = summary["m.heroes"].as_array().unwrap();
    assert_eq!(heroes.len(), Crowd::HEROES, "{summary}");
    for hero in heroes {
        assert!(found.contains(&hero.as_str().unwrap().to_owned()), "a hero's member event: {found:?}");
    }
    assert!(find_state(&sync.state(&crowd.room), "m.room.create", "").is_some());
}

#[test]
fn a_new_sender_comes_with_the_first_message() {
    let crowd = Crowd::gather();
    for n in 0..3 {
        crowd.alice.send_text(&crowd.room, &format!("{n}"));
    }
    let since = crowd.alice.sync(None, &lazy(2)).next_batch().to_owned();
    crowd.carol.send_text(&crowd.room, "hello");
    let sync = crowd.alice.sync(Some(&since), &lazy(2));
    assert_eq!(members(&sync, &crowd.room), [crowd.carol.user_id.as_str()]);
}

#[test]
fn a_changed_member_comes_in_the_timeline() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[]);
    let since = alice.sync(None, &lazy(10)).next_batch().to_owned();
    bob.join(&room).ok();
    let sync = alice.sync(Some(&since), &lazy(10));
    let timeline = sync.timeline(&room);
    assert_eq!(timeline.len(), 1);
    assert_eq!(timeline[0]["state_key"], bob.user_id);
    assert_eq!(sync.joined(&room)["summary"]["m.joined_member_count"], 2, "{}", sync.body);
}
