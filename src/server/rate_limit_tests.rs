//! The rate limits as clients meet them: requests to all endpoints over the services as the server builds
//! them, with a store in memory.

use std::net::IpAddr;

use axum::{
    Router,
    body::{Body, to_bytes},
};
use http::{Method, Request, StatusCode, header};
use ruma::UserId;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::services;
use crate::{
    api,
    config::{Config, RateLimit, RateLimits},
    net::ClientAddress,
    storage::Storage,
    users::{Accounts, Clock, NewAccount, NewDevice},
};

const PASSWORD: &str = "correct horse";
const HERE: &str = "192.0.2.1";
const ELSEWHERE: &str = "192.0.2.2";

/// Two at once; the next one is allowed after hours, which no test lasts.
const TWO: RateLimit = RateLimit::new(0.0001, 2);

struct Server {
    accounts: Accounts,
    router: Router,
}

/// Who sends a request, and from where.
#[derive(Clone, Copy)]
struct Client<'a> {
    token: Option<&'a str>,
    address: &'a str,
}

const NOBODY: Client<'_> = Client { token: None, address: HERE };

struct Answer {
    status: StatusCode,
    retry_after: Option<u64>,
    body: Value,
}

impl Answer {
    fn is_limited(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS
    }
}

impl Server {
    fn new(change: impl FnOnce(&mut RateLimits)) -> Self {
        let mut config = Config::new("example.org".try_into().unwrap(), "/nowhere".into());
        change(&mut config.rate_limits);
        let storage = Storage::in_memory().unwrap();
        let state = services::build(&config, &storage, &Clock::system()).unwrap();
        Self { accounts: state.users.accounts.clone(), router: api::router(state) }
    }

    /// Registers a user; the access token.
    fn user(&self, localpart: &str) -> String {
        let user_id = UserId::parse(format!("@{localpart}:example.org")).unwrap();
        let account = NewAccount {
            password: Some(PASSWORD.to_owned()),
            device: Some(NewDevice::default()),
            ..NewAccount::default()
        };
        self.accounts.register(&user_id, account).unwrap().unwrap().access_token
    }

    async fn ask(&self, client: Client<'_>, method: Method, path: &str, body: Value) -> Answer {
        let address: IpAddr = client.address.parse().unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/_matrix/client/{path}"))
            .extension(ClientAddress(address));
        if let Some(token) = client.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after.map(|seconds| seconds.to_str().unwrap().parse().unwrap());
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer { status, retry_after, body: serde_json::from_slice(&body).unwrap() }
    }

    async fn log_in(&self, user: &str, password: &str, address: &str) -> Answer {
        let body = json!({
            "type": "m.login.password", "password": password,
            "identifier": { "type": "m.id.user", "user": user },
        });
        self.ask(Client { token: None, address }, Method::POST, "v3/login", body).await
    }

    /// A request that is refused for what it asks, so only the limit tells it from the next one.
    async fn is_limited(&self, client: Client<'_>, method: &Method, path: &str) -> bool {
        self.ask(client, method.clone(), path, json!({})).await.is_limited()
    }
}

fn of(token: &str) -> Client<'_> {
    Client { token: Some(token), address: HERE }
}

#[tokio::test]
async fn a_user_who_sends_too_much_is_told_when_to_go_on() {
    let server = Server::new(|limits| limits.message = TWO);
    let (alice, bob) = (server.user("alice"), server.user("bob"));
    let room =
        server.ask(of(&alice), Method::POST, "v3/createRoom", json!({ "preset": "public_chat" })).await;
    let room = room.body["room_id"].as_str().unwrap().to_owned();
    let send = async |token, txn: &str| {
        let path = format!("v3/rooms/{room}/send/m.room.message/{txn}");
        server.ask(of(token), Method::PUT, &path, json!({ "msgtype": "m.text", "body": "hi" })).await
    };
    assert_eq!(send(&alice, "1").await.status, StatusCode::OK);
    assert_eq!(send(&alice, "2").await.status, StatusCode::OK);
    let refused = send(&alice, "3").await;
    assert!(refused.is_limited());
    assert_eq!(refused.body["errcode"], "M_LIMIT_EXCEEDED");
    let retry_after_ms = refused.body["retry_after_ms"].as_u64().unwrap();
    assert!((9_000_000..=10_000_000).contains(&retry_after_ms), "{retry_after_ms}");
    assert_eq!(refused.retry_after, Some(retry_after_ms.div_ceil(1000)));

    let joined = server.ask(of(&bob), Method::POST, &format!("v3/join/{room}"), json!({})).await;
    assert_eq!(joined.status, StatusCode::OK, "bob has done nothing yet: {}", joined.body);
    assert_eq!(send(&bob, "1").await.status, StatusCode::OK);
}

#[tokio::test]
async fn each_endpoint_counts_as_what_it_does() {
    let server = Server::new(|limits| {
        let all = [&mut limits.message, &mut limits.join, &mut limits.invite, &mut limits.room_creation];
        all.into_iter().chain([&mut limits.registration]).for_each(|limit| *limit = TWO);
    });
    let (put, post, get) = (Method::PUT, Method::POST, Method::GET);
    let room = "v3/rooms/!none:example.org";
    let of_users: [&[(&Method, String)]; 4] = [
        &[
            (&put, format!("{room}/send/m.room.message/1")),
            (&put, format!("{room}/redact/$event/1")),
            (&put, format!("{room}/state/m.room.topic")),
            (&put, format!("{room}/state/m.room.topic/key")),
        ],
        &[
            (&post, format!("{room}/join")),
            (&post, "v3/join/!none:example.org".to_owned()),
            (&post, "v3/knock/!none:example.org".to_owned()),
        ],
        &[(&post, format!("{room}/invite"))],
        &[(&post, "v3/createRoom".to_owned())],
    ];
    for endpoints in of_users {
        for (number, (method, path)) in endpoints.iter().enumerate() {
            let user = server.user(&format!("user-{number}-{}", path.len()));
            // Two of the first, then the one in question.
            let (first_method, first_path) = &endpoints[0];
            assert!(!server.is_limited(of(&user), first_method, first_path).await, "{path}");
            assert!(!server.is_limited(of(&user), first_method, first_path).await, "{path}");
            assert!(server.is_limited(of(&user), method, path).await, "{path}");
            assert!(!server.is_limited(of(&user), &post, &format!("{room}/leave")).await, "{path}");
        }
    }

    let available = "v3/register/available?username=a";
    let validity = "v1/register/m.login.registration_token/validity?token=a";
    for (number, (method, path)) in
        [(&post, "v3/register"), (&get, available), (&get, validity)].into_iter().enumerate()
    {
        let address = format!("198.51.100.{number}");
        let client = Client { token: None, address: &address };
        assert!(!server.is_limited(client, method, path).await, "{path}");
        assert!(!server.is_limited(client, method, path).await, "{path}");
        assert!(server.is_limited(client, &post, "v3/register").await, "{path}");
        assert!(server.is_limited(client, method, path).await, "{path}");
    }
}

#[tokio::test]
async fn invites_and_joins_by_a_state_event_count_as_such() {
    let server = Server::new(|limits| (limits.invite, limits.join) = (TWO, TWO));
    let alice = server.user("alice");
    let set = async |membership| {
        let path = "v3/rooms/!none:example.org/state/m.room.member/@bob:example.org";
        server.ask(of(&alice), Method::PUT, path, json!({ "membership": membership })).await.is_limited()
    };
    for membership in ["invite", "join"] {
        assert!(!set(membership).await && !set(membership).await && set(membership).await, "{membership}");
        assert!(!set("leave").await && !set("ban").await);
    }
    assert!(set("knock").await, "it counts as a join");
}

#[tokio::test]
async fn who_is_not_logged_in_is_told_so_and_not_counted() {
    let server = Server::new(|limits| limits.room_creation = TWO);
    for _ in 0..4 {
        let answer = server.ask(NOBODY, Method::POST, "v3/createRoom", json!({})).await;
        assert_eq!(answer.body["errcode"], "M_MISSING_TOKEN");
    }
    assert!(!server.is_limited(of(&server.user("alice")), &Method::POST, "v3/createRoom").await);
}

#[tokio::test]
async fn one_address_gets_few_guesses_at_many_accounts() {
    let server = Server::new(|limits| limits.login = TWO);
    server.user("carol");
    assert_eq!(server.log_in("alice", "guess", HERE).await.status, StatusCode::FORBIDDEN);
    assert_eq!(server.log_in("bob", "guess", HERE).await.status, StatusCode::FORBIDDEN);
    let refused = server.log_in("carol", PASSWORD, HERE).await;
    assert_eq!(refused.body["errcode"], "M_LIMIT_EXCEEDED", "even the right password is not looked at");
    assert_eq!(server.log_in("carol", PASSWORD, ELSEWHERE).await.status, StatusCode::OK);
}

#[tokio::test]
async fn many_addresses_get_few_guesses_at_one_account() {
    let server = Server::new(|limits| limits.login = TWO);
    server.user("alice");
    server.user("bob");
    // However the account is named, it is one.
    for (number, name) in ["alice", "@ALICE:example.org"].into_iter().enumerate() {
        let guess = server.log_in(name, "guess", &format!("198.51.100.{number}")).await;
        assert_eq!(guess.status, StatusCode::FORBIDDEN);
    }
    assert!(server.log_in("@alice:example.org", PASSWORD, "198.51.100.9").await.is_limited());
    assert_eq!(server.log_in("bob", PASSWORD, "198.51.100.9").await.status, StatusCode::OK);
}

#[tokio::test]
async fn guesses_of_login_tokens_count_by_address() {
    let server = Server::new(|limits| limits.login = TWO);
    let guess =
        || server.ask(NOBODY, Method::POST, "v3/login", json!({ "type": "m.login.token", "token": "a" }));
    assert_eq!(guess().await.status, StatusCode::FORBIDDEN);
    assert_eq!(guess().await.status, StatusCode::FORBIDDEN);
    assert!(guess().await.is_limited());
}

#[tokio::test]
async fn a_password_given_again_is_an_attempt_to_log_in() {
    let server = Server::new(|limits| limits.login = TWO);
    let delete = "v3/devices/PHONE";
    let body = json!({ "devices": ["PHONE"], "new_password": "battery staple" });
    let endpoints = [
        (Method::POST, "v3/account/password"),
        (Method::POST, "v3/account/deactivate"),
        (Method::POST, "v3/delete_devices"),
        (Method::DELETE, delete),
        (Method::POST, "v1/login/get_token"),
    ];
    for (number, (method, path)) in endpoints.into_iter().enumerate() {
        let name = format!("user-{number}");
        let (token, address) = (server.user(&name), format!("198.51.100.{number}"));
        let client = Client { token: Some(&token), address: &address };
        for _ in 0..4 {
            let asked = server.ask(client, method.clone(), path, body.clone()).await;
            assert_eq!(asked.status, StatusCode::UNAUTHORIZED, "{path}: asking proves nothing");
        }
        let mut guess = body.clone();
        guess["auth"] = json!({
            "type": "m.login.password", "password": "guess",
            "identifier": { "type": "m.id.user", "user": name },
        });
        for _ in 0..2 {
            let refused = server.ask(client, method.clone(), path, guess.clone()).await;
            assert_eq!(refused.body["errcode"], "M_FORBIDDEN", "{path}");
        }
        assert!(server.ask(client, method.clone(), path, guess.clone()).await.is_limited(), "{path}");
        let elsewhere = Client { token: Some(&token), address: ELSEWHERE };
        assert!(
            server.ask(elsewhere, method, path, guess).await.is_limited(),
            "{path}: the account is the same"
        );
    }
}

#[tokio::test]
async fn switched_off_nothing_is_limited() {
    let server = Server::new(|limits| {
        *limits =
            RateLimits { enabled: false, room_creation: TWO, registration: TWO, ..RateLimits::default() };
    });
    let alice = server.user("alice");
    for _ in 0..5 {
        assert!(!server.is_limited(of(&alice), &Method::POST, "v3/createRoom").await);
        assert!(!server.is_limited(NOBODY, &Method::POST, "v3/register").await);
    }
}

#[tokio::test]
async fn limits_are_on_where_nothing_is_configured() {
    let server = Server::new(|_| ());
    let burst = RateLimits::default().registration.burst;
    for number in 0..burst {
        assert!(!server.is_limited(NOBODY, &Method::POST, "v3/register").await, "request {number}");
    }
    let mut more = 0;
    while !server.is_limited(NOBODY, &Method::POST, "v3/register").await {
        more += 1;
        assert!(more < 100, "no limit is met");
    }
}

#[tokio::test]
async fn a_changed_profile_counts_as_a_message_as_it_sends_events() {
    let server = Server::new(|limits| limits.message = TWO);
    let token = server.user("alice");
    let alice = Client { token: Some(&token), address: HERE };
    let rename = async |name: &str| {
        let path = "v3/profile/@alice:example.org/displayname";
        server.ask(alice, Method::PUT, path, json!({ "displayname": name })).await.status
    };
    assert_eq!(rename("one").await, StatusCode::OK);
    assert_eq!(rename("two").await, StatusCode::OK);
    assert_eq!(rename("three").await, StatusCode::TOO_MANY_REQUESTS);
}
