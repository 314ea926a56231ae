//! Bodies that are not JSON, the wrong JSON, too large or too deep.

use serde_json::json;

use crate::harness::{Answer, Client, Server, event_ids};

const CREATE: &str = "/_matrix/client/v3/createRoom";
const LOGIN: &str = "/_matrix/client/v3/login";

/// A user with a room, and what stands in it.
struct Scene {
    alice: Client,
    room: String,
    before: Vec<String>,
    _server: Server,
}

impl Scene {
    fn new() -> Self {
        let server = Server::start();
        let alice = server.register("alice");
        let room = alice.create_room(json!({}));
        alice.send_text(&room, "before");
        let before = event_ids(&alice.all_messages(&room, 'f', 100));
        Self { alice, room, before, _server: server }
    }

    /// Sends raw bytes as a message.
    fn send_raw(&self, body: &[u8]) -> Answer {
        let path = Client::room_path(&self.room, "send/m.room.message/bad");
        self.alice.raw("PUT", &path, Some(body))
    }

    /// Nothing was written, and the transaction id is still free.
    #[track_caller]
    fn assert_untouched(&self) {
        assert_eq!(event_ids(&self.alice.all_messages(&self.room, 'f', 100)), self.before);
        let sent = self.send_raw(br#"{"msgtype":"m.text","body":"good"}"#).ok();
        assert_eq!(self.alice.all_texts(&self.room).last().unwrap(), "good", "{sent}");
    }
}

#[test]
fn malformed_json_is_not_json() {
    let scene = Scene::new();
    let cases: [&[u8]; 9] = [
        b"",
        b"{",
        b"{\"a\":}",
        b"nonsense",
        b"{\"a\":1}}",
        b"{\"a\":1,}",
        b"{'a':1}",
        b"{\"a\":\"\xff\"}",
        b"{\"a\":\"\\ud800\"}",
    ];
    for case in cases {
        scene.send_raw(case).error(400, "M_NOT_JSON");
        scene.alice.raw("POST", LOGIN, Some(case)).error(400, "M_NOT_JSON");
    }
    let path = Client::room_path(&scene.room, "state/org.example.custom/");
    scene.alice.raw("PUT", &path, Some(b"{")).error(400, "M_NOT_JSON");
    scene.assert_untouched();
}

#[test]
fn json_of_the_wrong_shape_is_bad_json() {
    let scene = Scene::new();
    for case in ["[]", "7", "\"text\"", "null", "true"] {
        scene.send_raw(case.as_bytes()).error(400, "M_BAD_JSON");
        scene.alice.raw("POST", LOGIN, Some(case.as_bytes())).error(400, "M_BAD_JSON");
        scene.alice.raw("POST", CREATE, Some(case.as_bytes())).error(400, "M_BAD_JSON");
    }
    for body in [
        json!({ "name": 7 }),
        json!({ "invite": "@bob:localhost" }),
        json!({ "initial_state": [{ "content": {} }] }),
        json!({ "creation_content": [] }),
    ] {
        scene.alice.post(CREATE, body).error(400, "M_BAD_JSON");
    }
    let answer = scene.alice.post(CREATE, json!({ "invite": ["not a user id"] }));
    assert_eq!(answer.status, 400, "{answer}");
    assert!(answer.errcode().is_some(), "{answer}");
    let invite = Client::room_path(&scene.room, "invite");
    scene.alice.post(&invite, json!({ "user_id": 7 })).error(400, "M_BAD_JSON");
    scene.alice.post(&invite, json!({})).error(400, "M_BAD_JSON");
    scene.assert_untouched();
}

#[test]
fn numbers_outside_canonical_json_are_bad_json() {
    let scene = Scene::new();
    for case in [
        r#"{"msgtype":"m.text","body":"x","n":1.5}"#,
        r#"{"msgtype":"m.text","body":"x","n":9007199254740992}"#,
        r#"{"msgtype":"m.text","body":"x","n":-9007199254740992}"#,
        r#"{"msgtype":"m.text","body":"x","n":[{"deep":1e400}]}"#,
    ] {
        let answer = scene.send_raw(case.as_bytes());
        assert_eq!(answer.status, 400, "{case}: {answer}");
        let errcode = answer.errcode().unwrap();
        assert!(["M_BAD_JSON", "M_NOT_JSON"].contains(&errcode.as_str()), "{case}: {answer}");
    }
    scene.assert_untouched();
}

#[test]
fn an_event_over_64_kib_is_too_large() {
    let scene = Scene::new();
    let body = json!({ "msgtype": "m.text", "body": "x".repeat(66_000) }).to_string();
    scene.send_raw(body.as_bytes()).error(413, "M_TOO_LARGE");
    let content = json!({ "long": "x".repeat(66_000) });
    scene.alice.set_state(&scene.room, "org.example.custom", "", content).error(413, "M_TOO_LARGE");
    let long_type = format!("org.example.{}", "t".repeat(256));
    let answer = scene.alice.send(&scene.room, &long_type, "long-type", json!({}));
    assert!(answer.status == 413 || answer.status == 400, "a type over 255 bytes: {answer}");
    let answer = scene.alice.set_state(&scene.room, "org.example.custom", &"k".repeat(256), json!({}));
    assert!(answer.status == 413 || answer.status == 400, "a state key over 255 bytes: {answer}");
    // A large event that fits is fine.
    let fits = json!({ "msgtype": "m.text", "body": "x".repeat(60_000) });
    scene.alice.send(&scene.room, "m.room.message", "fits", fits).ok();
}

#[test]
fn a_request_over_the_limit_is_too_large() {
    let scene = Scene::new();
    let huge = format!(r#"{{"body":"{}"}}"#, "x".repeat(40 << 20));
    // The server may close the connection without reading all of it; then there is no answer to read.
    let path = Client::room_path(&scene.room, "send/m.room.message/bad");
    if let Ok(answer) = scene.alice.try_raw("PUT", &path, Some(huge.as_bytes())) {
        answer.error(413, "M_TOO_LARGE");
    }
    scene.assert_untouched();
}

#[test]
fn deep_nesting_is_refused_and_overflows_nothing() {
    let scene = Scene::new();
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [1_000, 5_000] {
            let inner = if open == "[" { "" } else { "1" };
            let body = format!("{{\"x\":{}{inner}{}}}", open.repeat(depth), close.repeat(depth));
            for answer in [
                scene.send_raw(body.as_bytes()),
                scene.alice.raw("POST", LOGIN, Some(body.as_bytes())),
                scene.alice.raw("POST", CREATE, Some(body.as_bytes())),
            ] {
                assert_eq!(answer.status, 400, "depth {depth}: {answer}");
                let errcode = answer.errcode().unwrap();
                assert!(["M_BAD_JSON", "M_NOT_JSON"].contains(&errcode.as_str()), "{answer}");
            }
        }
    }
    let unclosed = "[".repeat(50_000);
    scene.send_raw(unclosed.as_bytes()).error(400, "M_NOT_JSON");
    scene.assert_untouched();
}
