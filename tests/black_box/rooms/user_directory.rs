//! The user directory: who finds whom, and by which name.

use serde_json::{Value, json};

use crate::harness::{Client, Server, unique};

const SEARCH: &str = "/_matrix/client/v3/user_directory/search";

fn found(searcher: &Client, term: &str) -> Vec<String> {
    let answer = searcher.post(SEARCH, json!({ "search_term": term })).ok();
    let ids = answer["results"].as_array().unwrap().iter().map(|user| user["user_id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

fn set_name(user: &Client, name: &str) {
    let path = format!("/_matrix/client/v3/profile/{}/displayname", user.user_id);
    user.put(&path, json!({ "displayname": name })).ok();
}

#[test]
fn a_name_in_one_room_is_not_found_and_the_profiles_name_is() {
    let server = Server::start();
    let [alice, bob, eve] = ["alice", "bob", "eve"].map(|name| server.register(name));
    let (public, private) = (unique("Cooper"), unique("Freddy"));
    set_name(&alice, &public);
    alice.create_room(json!({ "preset": "public_chat" }));
    let room = bob.create_room(json!({ "invite": [alice.user_id] }));
    alice.join(&room).ok();
    let content = json!({ "membership": "join", "displayname": private });
    alice.set_state(&room, "m.room.member", &alice.user_id, content).ok();
    for searcher in [&bob, &eve] {
        assert_eq!(found(searcher, &public.to_uppercase()), [alice.user_id.clone()]);
        assert_eq!(found(searcher, alice.user_id.split('_').next().unwrap()).first(), Some(&alice.user_id));
        assert!(found(searcher, &private).is_empty());
    }
}

#[test]
fn people_come_and_go_with_open_rooms_names_and_accounts() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.register(name));
    let name = unique("Zoë");
    set_name(&alice, &name);
    assert!(found(&bob, &name).is_empty(), "nobody's business yet");
    let room = alice.create_room(json!({}));
    assert!(found(&bob, &name).is_empty());
    alice.set_state(&room, "m.room.join_rules", "", json!({ "join_rule": "public" })).ok();
    assert_eq!(found(&bob, &name), std::slice::from_ref(&alice.user_id));
    let readable = json!({ "history_visibility": "world_readable" });
    alice.set_state(&room, "m.room.history_visibility", "", readable).ok();
    alice.set_state(&room, "m.room.join_rules", "", json!({ "join_rule": "invite" })).ok();
    assert_eq!(found(&bob, &name), std::slice::from_ref(&alice.user_id));
    let renamed = unique("Yara");
    set_name(&alice, &renamed);
    assert!(found(&bob, &name).is_empty());
    assert_eq!(found(&bob, &renamed), std::slice::from_ref(&alice.user_id));
    let ignored = json!({ "ignored_users": { &alice.user_id: {} } });
    let data = format!("/_matrix/client/v3/user/{}/account_data/m.ignored_user_list", bob.user_id);
    bob.put(&data, ignored).ok();
    assert!(found(&bob, &renamed).is_empty(), "whom one ignores is not suggested");
    bob.put(&data, json!({ "ignored_users": {} })).ok();
    alice.leave(&room).ok();
    assert!(found(&bob, &renamed).is_empty());
    let again = alice.create_room(json!({ "preset": "public_chat" }));
    bob.join(&again).ok();
    assert_eq!(found(&bob, &renamed), std::slice::from_ref(&alice.user_id));
    let auth = json!({
        "type": "m.login.password", "password": crate::harness::PASSWORD,
        "identifier": { "type": "m.id.user", "user": alice.user_id },
    });
    alice.post("/_matrix/client/v3/account/deactivate", json!({ "auth": auth })).ok();
    assert!(found(&bob, &renamed).is_empty());
}

#[test]
fn searches_are_bounded_and_bad_ones_refused() {
    let server = Server::start();
    let searcher = server.register("searcher");
    let name = unique("Crowd");
    for number in 0..3 {
        let user = server.register(&format!("crowd{number}"));
        set_name(&user, &format!("{name} {number}"));
        user.create_room(json!({ "preset": "public_chat" }));
    }
    let ask = |body: Value| searcher.post(SEARCH, body);
    let page = ask(json!({ "search_term": name, "limit": 2 })).ok();
    assert_eq!((page["results"].as_array().unwrap().len(), &page["limited"]), (2, &json!(true)));
    let page = ask(json!({ "search_term": name, "limit": 3 })).ok();
    assert_eq!((page["results"].as_array().unwrap().len(), &page["limited"]), (3, &json!(false)));
    assert_eq!(page["results"][0]["display_name"], format!("{name} 0"));
    for term in ["", "@", "\u{0}", "💥", &"x".repeat(10_000)] {
        assert_eq!(ask(json!({ "search_term": term })).ok()["results"], json!([]));
    }
    ask(json!({ "search_term": name, "limit": 4_000_000_000_u64 })).ok();
    for body in [json!({}), json!({ "search_term": 1 }), json!({ "search_term": "a", "limit": -1 })] {
        assert_eq!(ask(body).status, 400);
    }
    assert_eq!(server.anonymous().post(SEARCH, json!({ "search_term": "a" })).status, 401);
}
