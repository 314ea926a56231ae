//! Accounts.

use serde_json::{Value, json};

use super::{World, v1, v1_user, v2_user, world};
use crate::harness::{Client, PASSWORD, path_segment, unique};

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

fn names(answer: &Value) -> Vec<&str> {
    answer["users"].as_array().unwrap().iter().map(|user| user["name"].as_str().unwrap()).collect()
}

#[test]
fn only_administrators_may() {
    let World { server, admin, alice } = world();
    for path in [
        "/_synapse/admin/v2/users".to_owned(),
        v2_user(&alice, ""),
        v2_user(&alice, "/devices"),
        v1_user(&alice, "joined_rooms"),
        v1("rooms"),
        v1("registration_tokens"),
        v1("federation/destinations"),
        v1("event_reports"),
        v1("statistics/users/media"),
        v1("background_updates/status"),
        "/_matrix/client/v1/admin/lock/@x:localhost".to_owned(),
    ] {
        alice.get(&path).error(403, "M_FORBIDDEN");
        server.anonymous().get(&path).error(401, "M_MISSING_TOKEN");
        server.anonymous().with_token(Some("wrong")).get(&path).error(401, "M_UNKNOWN_TOKEN");
    }
    alice.put(&v2_user(&alice, ""), json!({ "admin": true })).error(403, "M_FORBIDDEN");
    assert_eq!(admin.get(&v2_user(&alice, "")).ok()["admin"], false);
}

#[test]
fn users_are_listed_filtered_and_paged() {
    let World { server, admin, alice } = world();
    let list = |query: &str| admin.get(&format!("/_synapse/admin/v2/users?{query}")).ok();
    let all = list("");
    assert_eq!((names(&all), &all["total"]), (vec![admin.user_id.as_str(), &alice.user_id], &json!(2)));
    assert_eq!(all["users"][0]["admin"], true);
    let page = list("limit=1");
    assert_eq!(
        (names(&page), &page["next_token"], &page["total"]),
        (vec![admin.user_id.as_str()], &json!("1"), &json!(2))
    );
    assert_eq!(names(&list("limit=1&from=1")), [&alice.user_id]);
    assert_eq!(names(&list("name=ALICE")), [&alice.user_id]);
    assert_eq!(names(&list("admins=false")), [&alice.user_id]);
    assert_eq!(names(&list("order_by=name&dir=b")), [&alice.user_id, &admin.user_id]);
    let bob = server.register("bob");
    admin.post(&v1(&format!("deactivate/{}", path_segment(&bob.user_id))), json!({ "erase": true })).ok();
    assert_eq!(list("")["total"], 2);
    assert_eq!(list("deactivated=true")["total"], 3);
    let closed = admin.get("/_synapse/admin/v3/users?deactivated=true").ok();
    assert_eq!(names(&closed), [&bob.user_id]);
    assert_eq!(
        (&closed["users"][0]["erased"], &closed["users"][0]["deactivated"]),
        (&json!(true), &json!(true))
    );
    admin.get("/_synapse/admin/v2/users?order_by=nonsense").error(400, "M_INVALID_PARAM");
    admin.get("/_synapse/admin/v2/users?from=-1").error(400, "M_INVALID_PARAM");
    admin.get("/_synapse/admin/v2/users?deactivated=maybe").error(400, "M_INVALID_PARAM");
}

#[test]
fn an_account_is_made_changed_closed_and_opened_again() {
    let World { server, admin, .. } = world();
    let user_id = format!("@{}:localhost", unique("carol"));
    let path = format!("/_synapse/admin/v2/users/{}", path_segment(&user_id));
    admin.get(&path).error(404, "M_NOT_FOUND");
    let made = admin.put(&path, json!({ "password": PASSWORD, "displayname": "Carol", "user_type": "bot" }));
    assert_eq!(made.status, 201, "{made}");
    let made = made.json();
    assert_eq!(
        (&made["displayname"], &made["user_type"], &made["name"]),
        (&json!("Carol"), &json!("bot"), &json!(user_id))
    );
    let nobody = server.anonymous();
    let mut carol = nobody.clone();
    carol.adopt(&nobody.log_in(&user_id, PASSWORD).ok());
    let changed = admin.put(&path, json!({ "admin": true, "displayname": "", "user_type": null })).ok();
    assert_eq!((&changed["displayname"], &changed["user_type"]), (&Value::Null, &Value::Null));
    carol.get("/_synapse/admin/v2/users").ok();
    admin.put(&path, json!({ "admin": false })).ok();
    carol.get("/_synapse/admin/v2/users").error(403, "M_FORBIDDEN");
    admin.put(&path, json!({ "password": "another long password" })).ok();
    carol.get(WHOAMI).error(401, "M_UNKNOWN_TOKEN");
    admin.put(&path, json!({ "deactivated": true })).ok();
    nobody.log_in(&user_id, "another long password").error(403, "M_FORBIDDEN");
    admin.put(&path, json!({ "deactivated": false, "password": PASSWORD })).ok();
    nobody.log_in(&user_id, PASSWORD).ok();
    for wrong in [
        json!({ "threepids": [{ "medium": "email", "address": "a@b.c" }] }),
        json!({ "password": "short" }),
        json!({ "admin": "yes" }),
    ] {
        let refused = admin.put(&path, wrong);
        assert_eq!(refused.status, 400, "{refused}");
    }
    admin.put("/_synapse/admin/v2/users/@x:elsewhere", json!({})).error(400, "M_INVALID_PARAM");
    admin.put("/_synapse/admin/v2/users/nonsense", json!({})).error(400, "M_INVALID_PARAM");
    admin.put(&v2_user(&admin, ""), json!({ "admin": false })).error(403, "M_FORBIDDEN");
    admin.put(&v2_user(&admin, ""), json!({ "deactivated": true })).error(403, "M_FORBIDDEN");
}

#[test]
fn a_closed_account_has_left_its_rooms() {
    let World { server: _server, admin, alice } = world();
    let room = alice.create_room_with(&[&admin]);
    let path = v1(&format!("deactivate/{}", path_segment(&alice.user_id)));
    assert_eq!(admin.raw("POST", &path, None).ok()["id_server_unbind_result"], "success");
    alice.get(WHOAMI).error(401, "M_UNKNOWN_TOKEN");
    let members = admin.get(&Client::room_path(&room, "joined_members")).ok();
    assert_eq!(members["joined"].as_object().unwrap().len(), 1);
    admin.post(&v1("deactivate/@nobody:localhost"), json!({})).error(404, "M_NOT_FOUND");
    let own = v1(&format!("deactivate/{}", path_segment(&admin.user_id)));
    admin.post(&own, json!({})).error(403, "M_FORBIDDEN");
}

#[test]
fn accounts_are_locked_and_suspended_at_once() {
    let World { server: _server, admin, alice } = world();
    let room = alice.create_room(json!({}));
    let path = |what: &str| format!("/_matrix/client/v1/admin/{what}/{}", path_segment(&alice.user_id));
    assert_eq!(admin.get(&path("lock")).ok(), json!({ "locked": false }));
    admin.put(&path("lock"), json!({ "locked": true })).ok();
    alice.get(WHOAMI).error(401, "M_USER_LOCKED");
    assert_eq!(admin.get(&v2_user(&alice, "")).ok()["locked"], true);
    admin.put(&path("lock"), json!({ "locked": false })).ok();
    alice.get(WHOAMI).ok();
    admin.put(&path("suspend"), json!({ "suspended": true })).ok();
    assert_eq!(admin.get(&path("suspend")).ok(), json!({ "suspended": true }));
    alice.get(WHOAMI).ok();
    alice.send(&room, "m.room.message", "1", json!({ "body": "x" })).error(403, "M_USER_SUSPENDED");
    let synapse = v1(&format!("suspend/{}", path_segment(&alice.user_id)));
    admin.put(&synapse, json!({ "suspend": false })).ok();
    alice.send(&room, "m.room.message", "2", json!({ "body": "x" })).ok();
    for what in ["lock", "suspend"] {
        let of = |user: &str| format!("/_matrix/client/v1/admin/{what}/{user}");
        admin.get(&of("@nobody:localhost")).error(404, "M_NOT_FOUND");
        admin.get(&of("@x:elsewhere")).error(400, "M_INVALID_PARAM");
        admin.get(&of(&admin.user_id)).error(403, "M_FORBIDDEN");
        alice.get(&of("@nobody:localhost")).error(403, "M_FORBIDDEN");
    }
    let capabilities = |client: &Client| {
        client.get("/_matrix/client/v3/capabilities").ok()["capabilities"]["m.account_moderation"].clone()
    };
    assert_eq!(capabilities(&admin), json!({ "lock": true, "suspend": true }));
    assert_eq!(capabilities(&alice), Value::Null);
}

#[test]
fn passwords_are_reset_and_users_impersonated() {
    let World { server, admin, alice } = world();
    let reset = v1(&format!("reset_password/{}", path_segment(&alice.user_id)));
    admin.post(&reset, json!({ "new_password": "another long password", "logout_devices": false })).ok();
    alice.get(WHOAMI).ok();
    admin.post(&reset, json!({ "new_password": "another long password" })).ok();
    alice.get(WHOAMI).error(401, "M_UNKNOWN_TOKEN");
    server.anonymous().log_in(&alice.user_id, "another long password").ok();
    admin.post(&reset, json!({ "new_password": "short" })).error(400, "M_WEAK_PASSWORD");

    let token = admin.post(&v1_user(&alice, "login"), json!({})).ok();
    let puppet = server.anonymous().with_token(token["access_token"].as_str());
    assert_eq!(puppet.get(WHOAMI).ok()["user_id"], alice.user_id);
    puppet.post("/_matrix/client/v3/logout", json!({})).ok();
    let ended = admin.post(&v1_user(&alice, "login"), json!({ "valid_until_ms": 1 })).ok();
    let puppet = server.anonymous().with_token(ended["access_token"].as_str());
    puppet.get(WHOAMI).error(401, "M_UNKNOWN_TOKEN");
    admin.post(&v1_user(&admin, "login"), json!({})).error(403, "M_FORBIDDEN");
}

#[test]
fn devices_are_listed_named_made_and_deleted() {
    let World { server: _server, admin, alice } = world();
    let second = alice.log_in_again();
    let listed = admin.get(&v2_user(&alice, "/devices")).ok();
    assert_eq!((&listed["total"], &listed["devices"][0]["user_id"]), (&json!(2), &json!(alice.user_id)));
    let one = v2_user(&alice, &format!("/devices/{}", second.device_id));
    admin.put(&one, json!({ "display_name": "Phone" })).ok();
    assert_eq!(admin.get(&one).ok()["display_name"], "Phone");
    admin.delete(&one, None).ok();
    second.get(WHOAMI).error(401, "M_UNKNOWN_TOKEN");
    admin.get(&one).error(404, "M_NOT_FOUND");
    admin.post(&v2_user(&alice, "/devices"), json!({ "device_id": "BRIDGE" })).ok();
    admin.get(&v2_user(&alice, "/devices/BRIDGE")).ok();
    let both = json!({ "devices": ["BRIDGE", alice.device_id] });
    admin.post(&v2_user(&alice, "/delete_devices"), both).ok();
    alice.get(WHOAMI).error(401, "M_UNKNOWN_TOKEN");
}

#[test]
fn what_belongs_to_a_user_is_shown() {
    let World { server: _server, admin, alice } = world();
    let room = alice.create_room(json!({}));
    let left = alice.create_room(json!({}));
    alice.leave(&left).ok();
    assert_eq!(
        admin.get(&v1_user(&alice, "joined_rooms")).ok(),
        json!({ "joined_rooms": [room], "total": 1 })
    );
    let memberships = admin.get(&v1_user(&alice, "memberships")).ok();
    assert_eq!(memberships["memberships"], json!({ &room: "join", &left: "leave" }));
    let data = format!("/_matrix/client/v3/user/{}/account_data/org.x", path_segment(&alice.user_id));
    alice.put(&data, json!({ "a": 1 })).ok();
    let shown = admin.get(&v1_user(&alice, "accountdata")).ok();
    assert_eq!(shown["account_data"]["global"]["org.x"], json!({ "a": 1 }));
    assert_eq!(admin.get(&v1_user(&alice, "pushers")).ok(), json!({ "pushers": [], "total": 0 }));
    let rate = v1_user(&alice, "override_ratelimit");
    assert_eq!(admin.get(&rate).ok(), json!({}));
    let set = json!({ "messages_per_second": 0, "burst_count": 0 });
    assert_eq!(admin.post(&rate, set.clone()).ok(), set);
    assert_eq!(admin.get(&rate).ok(), set);
    admin.delete(&rate, None).ok();
    assert_eq!(admin.get(&rate).ok(), json!({}));
    let whois = format!("/_matrix/client/v3/admin/whois/{}", path_segment(&alice.user_id));
    for client in [&admin, &alice] {
        let found = client.get(&whois).ok();
        assert_eq!(found["user_id"], alice.user_id);
        assert!(found["devices"][&alice.device_id]["sessions"].is_array(), "{found}");
    }
    alice
        .get(&format!("/_matrix/client/v3/admin/whois/{}", path_segment(&admin.user_id)))
        .error(403, "M_FORBIDDEN");
    admin.get(&v1("threepid/email/users/a@example.org")).error(404, "M_NOT_FOUND");
    let available = |name: &str| admin.get(&v1(&format!("username_available?username={name}")));
    assert_eq!(available(&unique("free")).ok(), json!({ "available": true }));
    available(alice.user_id.trim_start_matches('@').split(':').next().unwrap()).error(400, "M_USER_IN_USE");
}
