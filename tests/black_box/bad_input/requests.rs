//! Wrong tokens, methods, endpoints, ids and parameters.

use serde_json::json;

use crate::harness::{Client, Server, path_segment, unique};

/// Endpoints that need a token, one of each kind.
const GUARDED: [(&str, &str); 8] = [
    ("GET", "/_matrix/client/v3/sync"),
    ("GET", "/_matrix/client/v3/account/whoami"),
    ("POST", "/_matrix/client/v3/createRoom"),
    ("PUT", "/_matrix/client/v3/rooms/!a:localhost/send/m.room.message/1"),
    ("GET", "/_matrix/client/v3/rooms/!a:localhost/messages?dir=b"),
    ("GET", "/_matrix/client/v3/devices"),
    ("POST", "/_matrix/client/v3/logout"),
    ("PUT", "/_matrix/client/v3/profile/@a:localhost/displayname"),
];

#[test]
fn no_token_and_a_wrong_token_are_told_apart() {
    let server = Server::start();
    let anonymous = server.anonymous();
    let wrong = anonymous.with_token(Some("syt_not_a_token"));
    for (method, path) in GUARDED {
        let body = (method != "GET").then_some(&b"{}"[..]);
        anonymous.raw(method, path, body).error(401, "M_MISSING_TOKEN");
        wrong.raw(method, path, body).error(401, "M_UNKNOWN_TOKEN");
    }
}

#[test]
fn a_token_in_the_query_is_taken_of_old_clients_and_never_logged() {
    let server = Server::start();
    let alice = server.register("alice");
    let token = alice.token.clone().unwrap();
    let path = format!("/_matrix/client/v3/account/whoami?access_token={token}");
    assert_eq!(server.anonymous().get(&path).ok()["user_id"], alice.user_id);
    let wrong = server.anonymous().get("/_matrix/client/v3/account/whoami?access_token=syt_not_a_token");
    wrong.error(401, "M_UNKNOWN_TOKEN");
    assert!(!server.log().contains(&token));
    alice.with_token(Some("wrong")).get(&path).error(401, "M_UNKNOWN_TOKEN");
}

#[test]
fn unknown_endpoints_are_unrecognized() {
    let server = Server::start();
    let alice = server.register("alice");
    for path in [
        "/_matrix/client/v3/no_such_endpoint",
        "/_matrix/client/v99/sync",
        "/_matrix/client/",
        "/_matrix/nothing",
        "/_matrix/client/v3/sync/further",
        "/_matrix/client/v3/%2e%2e/%2e%2e/etc/passwd",
    ] {
        alice.get(path).error(404, "M_UNRECOGNIZED");
        server.anonymous().get(path).error(404, "M_UNRECOGNIZED");
    }
}

#[test]
fn wrong_methods_are_unrecognized() {
    let server = Server::start();
    let alice = server.register("alice");
    for (method, path) in [
        ("DELETE", "/_matrix/client/v3/sync"),
        ("PUT", "/_matrix/client/v3/createRoom"),
        ("POST", "/_matrix/client/versions"),
        ("PATCH", "/_matrix/client/v3/account/whoami"),
        ("DELETE", "/_matrix/client/v3/login"),
    ] {
        let body = (method != "DELETE").then_some(&b"{}"[..]);
        alice.raw(method, path, body).error(405, "M_UNRECOGNIZED");
    }
}

#[test]
fn unknown_rooms_are_refused_everywhere() {
    let server = Server::start();
    let alice = server.register("alice");
    for room in ["!unknown:localhost", "!0000000000000000000000000000000000000000000", "not-a-room-id"] {
        let path = |rest: &str| Client::room_path(room, rest);
        for answer in [
            alice.get(&path("messages?dir=b")),
            alice.get(&path("state")),
            alice.get(&path("members")),
            alice.get(&path("joined_members")),
            alice.get(&path("event/$unknown")),
            alice.put(&path("send/m.room.message/1"), json!({ "msgtype": "m.text", "body": "x" })),
            alice.put(&path("state/m.room.name/"), json!({ "name": "x" })),
            alice.post(&path("join"), json!({})),
            alice.post(&path("leave"), json!({})),
            alice.post(&path("invite"), json!({ "user_id": "@b:localhost" })),
        ] {
            assert!([400, 403, 404].contains(&answer.status), "{answer}");
            let errcode = answer.errcode().unwrap();
            let expected = ["M_FORBIDDEN", "M_NOT_FOUND", "M_INVALID_PARAM", "M_BAD_JSON", "M_UNKNOWN"];
            assert!(expected.contains(&errcode.as_str()), "{answer}");
        }
    }
}

#[test]
fn unknown_events_are_not_found() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    for event in ["$unknown", "$0000000000000000000000000000000000000000000", "nonsense"] {
        for answer in [
            alice.event(&room, event),
            alice.get(&Client::room_path(&room, &format!("context/{}", path_segment(event)))),
        ] {
            assert!(answer.status == 404 || (answer.status == 400 && event == "nonsense"), "{answer}");
            assert!(answer.errcode().is_some(), "{answer}");
        }
    }
    // An event of another room is not in this one.
    let other = alice.create_room(json!({}));
    let foreign = alice.send_text(&other, "elsewhere");
    alice.event(&room, &foreign).error(404, "M_NOT_FOUND");
    let redact = Client::room_path(&room, &format!("redact/{}/t", path_segment(&foreign)));
    let answer = alice.put(&redact, json!({}));
    assert!((400..=404).contains(&answer.status) || answer.status == 200, "{answer}");
    assert_eq!(alice.event(&other, &foreign).ok()["content"]["body"], "elsewhere");
}

#[test]
fn unknown_users_are_refused() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    let nobody = format!("@{}:localhost", unique("nobody"));
    let profile = format!("/_matrix/client/v3/profile/{}", path_segment(&nobody));
    alice.get(&profile).error(404, "M_NOT_FOUND");
    let filter = format!("/_matrix/client/v3/user/{}/filter", path_segment(&nobody));
    alice.post(&filter, json!({})).error(403, "M_FORBIDDEN");
    let invite = alice.moderate("invite", &room, "not a user id");
    assert_eq!(invite.status, 400, "{invite}");
    assert!(invite.errcode().is_some(), "{invite}");
}

#[test]
fn bad_parameters_are_refused() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    for query in ["", "dir=x", "dir=b&limit=x", "dir=b&limit=-1", "dir=b&from=nonsense", "dir=b&filter=%7B"] {
        let answer = alice.messages(&room, query);
        assert_eq!(answer.status, 400, "{answer}");
        assert!(answer.errcode().is_some(), "{answer}");
    }
    let answer = alice.get("/_matrix/client/v3/sync?timeout=soon");
    assert_eq!(answer.status, 400, "{answer}");
    assert!(answer.errcode().is_some(), "{answer}");
    let huge = alice.messages(&room, "dir=b&limit=1000000000").ok();
    assert!(huge["chunk"].as_array().unwrap().len() < 100);
}

#[test]
fn broken_percent_encoding_is_refused() {
    let server = Server::start();
    let alice = server.register("alice");
    for path in [
        "/_matrix/client/v3/rooms/%FF%FE/state",
        "/_matrix/client/v3/rooms/%00/state",
        "/_matrix/client/v3/profile/%C3%28",
        "/_matrix/client/v3/sync?since=%FF",
    ] {
        let answer = alice.get(path);
        assert!([400, 403, 404].contains(&answer.status), "{answer}");
        assert!(answer.errcode().is_some(), "{answer}");
    }
}
