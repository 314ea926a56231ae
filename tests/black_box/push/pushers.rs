//! Setting, listing and losing pushers.

use serde_json::{Value, json};

use super::{gateway, pusher, server, set};
use crate::harness::{Client, PASSWORD, Server};

fn pushers(client: &Client) -> Vec<Value> {
    client.get("/_matrix/client/v3/pushers").ok()["pushers"].as_array().unwrap().clone()
}

#[test]
fn pushers_are_set_changed_and_deleted() {
    let (server, gateway) = (server(), gateway());
    let alice = server.register("alice");
    assert_eq!(pushers(&alice), Vec::<Value>::new());
    let mut mine = pusher(&gateway, "key");
    set(&alice, &mine);
    mine["profile_tag"] = json!("work");
    mine["org.matrix.msc3881.enabled"] = json!(false);
    set(&alice, &mine);
    let found = pushers(&alice);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["data"], mine["data"]);
    assert_eq!((&found[0]["profile_tag"], &found[0]["kind"]), (&json!("work"), &json!("http")));
    assert_eq!(found[0]["org.matrix.msc3881.enabled"], false);
    assert_eq!(found[0]["org.matrix.msc3881.device_id"], alice.device_id);
    set(&alice, &json!({ "app_id": "test.app", "pushkey": "key", "kind": null }));
    assert_eq!(pushers(&alice), Vec::<Value>::new());
}

#[test]
fn a_phone_has_one_user_unless_it_says_otherwise() {
    let (server, gateway) = (server(), gateway());
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let mut shared = pusher(&gateway, "key");
    set(&alice, &shared);
    shared["append"] = json!(true);
    set(&bob, &shared);
    assert_eq!((pushers(&alice).len(), pushers(&bob).len()), (1, 1));
    shared["append"] = json!(false);
    set(&bob, &shared);
    assert_eq!((pushers(&alice).len(), pushers(&bob).len()), (0, 1));
}

#[test]
fn pushers_end_with_the_session_that_set_them() {
    let (server, gateway) = (server(), gateway());
    let alice = server.register("alice");
    let (other, third) = (alice.log_in_again(), alice.log_in_again());
    set(&alice, &pusher(&gateway, "mine"));
    set(&other, &pusher(&gateway, "other"));
    set(&third, &pusher(&gateway, "third"));
    assert_eq!(pushers(&alice).len(), 3);
    other.post("/_matrix/client/v3/logout", json!({})).ok();
    assert_eq!(pushers(&alice).len(), 2);
    let identifier = json!({ "type": "m.id.user", "user": alice.user_id });
    let auth = json!({ "type": "m.login.password", "identifier": identifier, "password": PASSWORD });
    let body = json!({ "new_password": "another long password", "auth": auth });
    alice.post("/_matrix/client/v3/account/password", body).ok();
    let left = pushers(&alice);
    assert_eq!((left.len(), &left[0]["pushkey"]), (1, &json!("mine")));
}

#[test]
fn what_cannot_be_a_pusher_is_refused() {
    let (server, gateway) = (server(), gateway());
    let alice = server.register("alice");
    let refuse = |change: &dyn Fn(&mut Value), status, errcode: &str| {
        let mut pusher = pusher(&gateway, "key");
        change(&mut pusher);
        alice.post("/_matrix/client/v3/pushers/set", pusher).error(status, errcode);
    };
    refuse(&|p| drop(p.as_object_mut().unwrap().remove("kind")), 400, "M_MISSING_PARAM");
    refuse(&|p| drop(p.as_object_mut().unwrap().remove("lang")), 400, "M_MISSING_PARAM");
    refuse(&|p| drop(p.as_object_mut().unwrap().remove("data")), 400, "M_MISSING_PARAM");
    refuse(&|p| p["kind"] = json!("email"), 400, "M_INVALID_PARAM");
    refuse(&|p| p["data"] = json!({}), 400, "M_INVALID_PARAM");
    refuse(&|p| p["data"]["url"] = json!("https://example.org/else"), 400, "M_INVALID_PARAM");
    refuse(&|p| p["pushkey"] = json!("k".repeat(513)), 400, "M_INVALID_PARAM");
    refuse(&|p| p["app_id"] = json!(7), 400, "M_BAD_JSON");
    server.anonymous().get("/_matrix/client/v3/pushers").error(401, "M_MISSING_TOKEN");
    assert_eq!(pushers(&alice), Vec::<Value>::new());
}

#[test]
fn a_gateway_at_a_private_address_is_refused_and_named_to_the_operator() {
    let (closed, gateway) = (Server::start(), gateway());
    let alice = closed.register("alice");
    let answer = alice.post("/_matrix/client/v3/pushers/set", pusher(&gateway, "key"));
    let error = answer.error(400, "M_INVALID_PARAM");
    assert!(error["error"].as_str().unwrap().contains("outbound.allowed_ranges"), "{error}");
    // The log is followed on a thread of its own.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !closed.log().contains("outbound.allowed_ranges") {
        assert!(std::time::Instant::now() < until, "the operator is told");
        alice.get("/_matrix/client/v3/account/whoami").ok();
    }
}
