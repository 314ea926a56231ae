//! Sync and push rules as a client meets them: over HTTP requests to the real services, with the store on disk.

#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

use axum::{Router, body::Body};
use conduit::{
    api,
    config::Config,
    server::services,
    storage::Storage,
    sync::Notifier,
    users::{Accounts, Clock, NewAccount, NewDevice},
};
use http::{Method, Request, StatusCode, header::AUTHORIZATION};
use http_body_util::BodyExt;
use ruma::UserId;
use serde_json::{Value, json};
use tower::ServiceExt;

struct Server {
    _folder: tempfile::TempDir,
    storage: Storage,
    accounts: Accounts,
    notifier: Notifier,
    router: Router,
}

/// A user's session.
struct Client<'s> {
    server: &'s Server,
    token: String,
}

impl Server {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let name = "example.org".try_into().expect("a server name");
        let config = Config::new(name, folder.path().to_owned());
        let storage = services::open_storage(&config).expect("a new database");
        let state = services::build(&config, &storage, &Clock::system()).expect("services");
        let (accounts, notifier) = (state.users.accounts.clone(), state.sync.notifier.clone());
        Self { _folder: folder, storage, accounts, notifier, router: api::router(state) }
    }

    fn register(&self, name: &str) -> Client<'_> {
        let user_id = UserId::parse(format!("@{name}:example.org")).expect("a user id");
        let account = NewAccount { device: Some(NewDevice::default()), ..NewAccount::default() };
        let session = self.accounts.register(&user_id, account).expect("a new account").expect("a session");
        Client { server: self, token: session.access_token }
    }
}

impl Client<'_> {
    async fn request(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = Request::builder()
            .method(method)
            .uri(format!("/_matrix/client/v3{path}"))
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .body(body)
            .expect("a request");
        let answer = self.server.router.clone().oneshot(request).await.expect("an answer");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.request(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    async fn put(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.request(Method::PUT, path, Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    async fn refused(&self, method: Method, path: &str, body: Option<Value>) -> (u16, String) {
        let (status, answer) = self.request(method, path, body).await;
        (status.as_u16(), answer["errcode"].as_str().unwrap_or_default().to_owned())
    }

    async fn create_room(&self) -> String {
        let body = json!({"preset": "public_chat"});
        let (status, answer) = self.request(Method::POST, "/createRoom", Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["room_id"].as_str().expect("a room id").to_owned()
    }

    async fn join(&self, room: &str) {
        let (status, answer) = self.request(Method::POST, &format!("/join/{room}"), Some(json!({}))).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    async fn say(&self, room: &str, body: &str) {
        let path = format!("/rooms/{room}/send/m.room.message/{body}");
        self.put(&path, json!({"msgtype": "m.text", "body": body})).await;
    }
}

fn since(answer: &Value) -> &str {
    answer["next_batch"].as_str().expect("a token")
}

fn bodies(answer: &Value, room: &str) -> Vec<String> {
    let events = answer["rooms"]["join"][room]["timeline"]["events"].as_array().cloned().unwrap_or_default();
    events.iter().filter_map(|event| event["content"]["body"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_long_poll_is_answered_by_the_message_it_waits_for() {
    let server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room().await;
    bob.join(&room).await;
    let initial = bob.get("/sync").await;
    assert!(initial["rooms"]["join"][&room].is_object());
    assert!(initial["account_data"]["events"][0]["content"]["global"]["override"].is_array());
    let path = format!("/sync?since={}&timeout=50000", since(&initial));
    let (news, ()) = tokio::join!(bob.get(&path), alice.say(&room, "hello"));
    assert_eq!(bodies(&news, &room), ["hello"]);
    assert_eq!(server.notifier.waiting(), 0);
    let nothing = bob.get(&format!("/sync?since={}&timeout=1", since(&news))).await;
    let every_answer_has = json!({
        "next_batch": since(&nothing), "device_one_time_keys_count": {"signed_curve25519": 0},
        "device_unused_fallback_key_types": [],
    });
    assert_eq!(nothing, every_answer_has);
}

#[tokio::test]
async fn the_sender_finds_the_transaction_id_of_its_own_message() {
    let server = Server::new();
    let alice = server.register("alice");
    let room = alice.create_room().await;
    let initial = alice.get("/sync").await;
    alice.say(&room, "hello").await;
    let news = alice.get(&format!("/sync?since={}", since(&initial))).await;
    let event = &news["rooms"]["join"][&room]["timeline"]["events"][0];
    assert_eq!(event["unsigned"]["transaction_id"], "hello");
    assert_eq!(event["unsigned"]["membership"], "join");
}

#[tokio::test]
async fn typing_ends_a_long_poll() {
    let server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room().await;
    bob.join(&room).await;
    let initial = bob.get("/sync").await;
    let path = format!("/sync?since={}&timeout=50000", since(&initial));
    let typing = format!("/rooms/{room}/typing/@alice:example.org");
    let (news, _) =
        tokio::join!(bob.get(&path), alice.put(&typing, json!({"typing": true, "timeout": 30_000})));
    let event = &news["rooms"]["join"][&room]["ephemeral"]["events"][0];
    assert_eq!(event["content"]["user_ids"], json!(["@alice:example.org"]));
}

#[tokio::test]
async fn a_stopping_server_ends_long_polls() {
    let server = Server::new();
    let alice = server.register("alice");
    let initial = alice.get("/sync").await;
    let path = format!("/sync?since={}&timeout=50000", since(&initial));
    let (nothing, ()) = tokio::join!(alice.get(&path), async { server.notifier.stop() });
    assert_eq!(nothing["rooms"], Value::Null);
}

#[tokio::test]
async fn state_after_is_told_under_both_names() {
    let server = Server::new();
    let alice = server.register("alice");
    let room = alice.create_room().await;
    for (parameter, name) in [
        ("use_state_after", "state_after"),
        ("org.matrix.msc4222.use_state_after", "org.matrix.msc4222.state_after"),
    ] {
        let answer = alice.get(&format!("/sync?{parameter}=true")).await;
        let joined = &answer["rooms"]["join"][&room];
        let types = joined[name]["events"].as_array().expect("a list");
        assert!(types.iter().any(|event| event["type"] == "m.room.create"));
        assert_eq!(joined["state"], Value::Null);
    }
}

#[tokio::test]
async fn what_a_sync_can_not_be_is_refused() {
    let server = Server::new();
    let alice = server.register("alice");
    let invalid = (400, "M_INVALID_PARAM".to_owned());
    for query in ["since=nonsense", "since=t12", "filter=unknown", "timeout=-1", "full_state=maybe"] {
        assert_eq!(alice.refused(Method::GET, &format!("/sync?{query}"), None).await, invalid, "{query}");
    }
    let stranger = Client { server: &server, token: "wrong".to_owned() };
    let unknown = (401, "M_UNKNOWN_TOKEN".to_owned());
    assert_eq!(stranger.refused(Method::GET, "/sync", None).await, unknown);
    assert_eq!(alice.refused(Method::POST, "/sync", None).await, (405, "M_UNRECOGNIZED".to_owned()));
    assert_eq!(server.notifier.waiting(), 0);
    assert!(server.storage.position().0 < 10, "nothing was written");
}

#[tokio::test]
async fn push_rules_are_kept_and_told_by_sync() {
    let server = Server::new();
    let alice = server.register("alice");
    let initial = alice.get("/sync").await;
    let rule = "/pushrules/global/content/cake";
    assert_eq!(alice.refused(Method::GET, rule, None).await, (404, "M_NOT_FOUND".to_owned()));
    alice.put(rule, json!({"pattern": "cake*lie", "actions": ["notify"]})).await;
    let stored = alice.get(rule).await;
    let expected = json!({
        "rule_id": "cake", "pattern": "cake*lie", "actions": ["notify"], "enabled": true, "default": false,
    });
    assert_eq!(stored, expected);
    alice.put(&format!("{rule}/enabled"), json!({"enabled": false})).await;
    assert_eq!(alice.get(&format!("{rule}/enabled")).await, json!({"enabled": false}));
    alice.put(&format!("{rule}/actions"), json!({"actions": []})).await;
    assert_eq!(alice.get(&format!("{rule}/actions")).await, json!({"actions": []}));
    let news = alice.get(&format!("/sync?since={}", since(&initial))).await;
    let event = &news["account_data"]["events"][0];
    assert_eq!(
        (&event["type"], &event["content"]),
        (&json!("m.push_rules"), &alice.get("/pushrules/").await)
    );
    assert_eq!(alice.get("/pushrules/global/").await, event["content"]["global"]);
    let (status, _) = alice.request(Method::DELETE, rule, None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(alice.refused(Method::DELETE, rule, None).await, (404, "M_NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn what_a_push_rule_can_not_be_is_refused() {
    let server = Server::new();
    let alice = server.register("alice");
    let rule = || Some(json!({"actions": [], "pattern": "x"}));
    let content = "/pushrules/global/content";
    let put = async |path: &str, body| alice.refused(Method::PUT, path, body).await;
    let unknown = (400, "M_UNKNOWN".to_owned());
    assert_eq!(put(&format!("{content}/.m.mine"), rule()).await, unknown);
    assert_eq!(put(&format!("{content}/a?before=unknown"), rule()).await, unknown);
    assert_eq!(put(&format!("{content}/a/enabled"), Some(json!({"enabled": true}))).await.0, 404);
    assert_eq!(put(&format!("{content}/a"), Some(json!({"actions": []}))).await.0, 400);
    assert_eq!(put("/pushrules/global/odd/a", rule()).await.0, 400);
    let master = "/pushrules/global/override/.m.rule.master";
    assert_eq!(alice.refused(Method::DELETE, master, None).await, unknown);
}
