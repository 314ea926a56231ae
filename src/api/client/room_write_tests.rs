//! The handlers that write rooms, asked over HTTP: paths, bodies, answers and refusals.

use std::sync::Arc;

use axum::{
    Router,
    extract::FromRef,
    handler::Handler,
    routing::{MethodFilter, MethodRouter},
};
use http::StatusCode;
use ruma::{
    api::{IncomingRequest, client, path_builder::PathBuilder},
    server_name,
};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{membership, room, send};
use crate::{
    api::{describe, own_aliases::OwnAliases},
    config::RateLimits,
    federation::RemoteRooms,
    net::RateLimiter,
    rooms::{
        Aliases, DelayedEvents, EventSender, Memberships, Permissions, RoomCreator, Visibility,
        delayed::{DelayLimits, DelayedSources},
        testing::RoomsFixture,
    },
    storage::Storage,
    users::{Presence, Sessions, fixture},
};

/// The services that these handlers ask for.
#[derive(Clone)]
struct State {
    sessions: Sessions,
    rate_limiter: Arc<RateLimiter>,
    creator: RoomCreator,
    memberships: Memberships,
    remote_rooms: RemoteRooms,
    sender: EventSender,
    delayed: DelayedEvents,
    presence: Presence,
    aliases: OwnAliases,
}

macro_rules! from_ref {
    ($($service:ty: $field:ident),*) => {$(
        impl FromRef<State> for $service {
            fn from_ref(state: &State) -> Self {
                state.$field.clone()
            }
        }
    )*};
}
from_ref!(Sessions: sessions, Arc<RateLimiter>: rate_limiter, RoomCreator: creator, Memberships: memberships, RemoteRooms: remote_rooms, EventSender: sender, DelayedEvents: delayed, Presence: presence, OwnAliases: aliases);

struct Server {
    rooms: RoomsFixture,
    router: Router,
    tokens: Vec<(String, String)>,
}

fn endpoint<R, H, T>(router: Router<State>, handler: H) -> Router<State>
where
    R: IncomingRequest,
    H: Handler<T, State>,
    T: 'static,
{
    R::PATH_BUILDER.all_paths().fold(router, |router, path| {
        let method = MethodFilter::try_from(R::METHOD).unwrap();
        router.route(path, MethodRouter::new().on(method, handler.clone()))
    })
}

fn router(state: State) -> Router {
    use client::{knock, membership as members, message, redact, room as rooms, state as states};
    let router = Router::new()
        .route("/_matrix/client/v3/rooms/{room_id}/state/{event_type}", axum::routing::put(send::state::put))
        .route(
            "/_matrix/client/v3/rooms/{room_id}/state/{event_type}/",
            axum::routing::put(send::state::put),
        );
    let router = endpoint::<rooms::create_room::v3::Request, _, _>(router, room::create::create);
    let router = endpoint::<members::join_room_by_id::v3::Request, _, _>(router, membership::join::join);
    let router = endpoint::<members::join_room_by_id_or_alias::v3::Request, _, _>(
        router,
        membership::join_by_alias::join,
    );
    let router = endpoint::<members::leave_room::v3::Request, _, _>(router, membership::leave::leave);
    let router = endpoint::<members::forget_room::v3::Request, _, _>(router, membership::forget::forget);
    let router = endpoint::<members::invite_user::v3::Request, _, _>(router, membership::invite::invite);
    let router = endpoint::<members::kick_user::v3::Request, _, _>(router, membership::kick::kick);
    let router = endpoint::<members::ban_user::v3::Request, _, _>(router, membership::ban::ban);
    let router = endpoint::<members::unban_user::v3::Request, _, _>(router, membership::unban::unban);
    let router = endpoint::<knock::knock_room::v3::Request, _, _>(router, membership::knock::knock);
    let router = endpoint::<message::send_message_event::v3::Request, _, _>(router, send::message::send);
    let router = endpoint::<redact::redact_event::v3::Request, _, _>(router, send::redact::redact);
    endpoint::<states::send_state_event::v3::Request, _, _>(router, send::state::put).with_state(state)
}

impl Server {
    /// A server with the users `alice`, `bob` and `carol`.
    fn new() -> Self {
        let users = fixture::Fixture::new();
        let names = ["alice", "bob", "carol"];
        let tokens = names.map(|name| (name.to_owned(), users.user(name).access_token)).into();
        let storage: Storage = users.storage.clone();
        let rooms = RoomsFixture::over(storage.clone());
        let (index, events, states) = (rooms.index.clone(), rooms.events.clone(), rooms.states.clone());
        let permissions = Permissions::new(index.clone(), events.clone(), states.clone());
        let visibility = Visibility::new(storage.clone(), index, events, states);
        let memberships = Memberships::new(rooms.appender.clone(), rooms.profiles.clone());
        let sender = EventSender::new(rooms.appender.clone(), memberships.clone());
        let delayed = DelayedEvents::new(DelayedSources {
            storage: storage.clone(),
            index: rooms.index.clone(),
            sender: sender.clone(),
            accounts: users.accounts.clone(),
            clock: users.clock.clone(),
            limits: DelayLimits { delay_ms_max: 10_000, scheduled_max: 10 },
            describe,
        });
        let state = State {
            sessions: users.sessions.clone(),
            rate_limiter: Arc::new(RateLimiter::new(&RateLimits { enabled: false, ..RateLimits::default() })),
            creator: rooms.creator.clone(),
            sender,
            delayed,
            presence: Presence::off(),
            remote_rooms: RemoteRooms::alone(memberships.clone()),
            memberships,
            aliases: OwnAliases::alone(Aliases::new(
                storage,
                visibility,
                permissions,
                server_name!("example.org").to_owned(),
            )),
        };
        Self { rooms, router: router(state), tokens }
    }

    async fn ask(&self, name: &str, method: &str, path: &str, body: impl ToString) -> (StatusCode, Value) {
        let token = &self.tokens.iter().find(|(of, _)| of == name).unwrap().1;
        let request = http::Request::builder()
            .method(method)
            .uri(format!("/_matrix/client/v3/{path}"))
            .header("Authorization", format!("Bearer {token}"))
            .body(axum::body::Body::from(body.to_string()))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// Asks, and expects success.
    async fn ok(&self, name: &str, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(name, method, path, &body).await;
        assert_eq!(status, StatusCode::OK, "{method} {path} {body}: {answer}");
        answer
    }

    /// Asks, and expects to be refused.
    async fn refused(&self, name: &str, method: &str, path: &str, body: impl ToString) -> (u16, String) {
        let (status, answer) = self.ask(name, method, path, body).await;
        assert!(answer["error"].as_str().is_some_and(|text| !text.is_empty()), "{path}: {status} {answer}");
        (status.as_u16(), answer["errcode"].as_str().unwrap().to_owned())
    }

    async fn room(&self, body: Value) -> String {
        let answer = self.ok("alice", "POST", "createRoom", body).await;
        answer["room_id"].as_str().unwrap().to_owned()
    }
}

fn is(status: u16, errcode: &str) -> (u16, String) {
    (status, errcode.to_owned())
}

#[tokio::test]
async fn a_room_is_made_joined_and_left() {
    let server = Server::new();
    let alias = json!({"room_alias_name": "pub", "preset": "private_chat"});
    let room = server.room(alias.clone()).await;
    let bob = json!({"user_id": "@bob:example.org"});
    assert_eq!(server.refused("alice", "POST", "createRoom", &alias).await, is(400, "M_ROOM_IN_USE"));

    let join = format!("rooms/{room}/join");
    assert_eq!(server.refused("bob", "POST", &join, "{}").await, is(403, "M_FORBIDDEN"));
    server.ok("alice", "POST", &format!("rooms/{room}/invite"), bob.clone()).await;
    let joined = server.ok("bob", "POST", "join/%23pub:example.org", json!({})).await;
    assert_eq!(joined, json!({"room_id": room}));
    assert_eq!(server.ok("bob", "POST", &join, json!({})).await, json!({"room_id": room}));

    let forget = format!("rooms/{room}/forget");
    assert_eq!(server.refused("bob", "POST", &forget, "").await, is(400, "M_UNKNOWN"));
    server.ok("alice", "POST", &format!("rooms/{room}/kick"), bob.clone()).await;
    server.ok("alice", "POST", &format!("rooms/{room}/ban"), bob.clone()).await;
    server.ok("alice", "POST", &format!("rooms/{room}/unban"), bob).await;
    let (status, _) = server.ask("bob", "POST", &forget, "").await;
    assert_eq!(status, StatusCode::OK, "an empty body is no body");
    server.ok("alice", "POST", &format!("rooms/{room}/leave"), json!({"reason": "closing time"})).await;
}

#[tokio::test]
async fn rooms_that_are_not_there_are_not_found() {
    let server = Server::new();
    assert_eq!(server.refused("bob", "POST", "join/%23none:example.org", "{}").await, is(404, "M_NOT_FOUND"));
    for path in ["join/!none:example.org", "rooms/!none:example.org/join", "knock/!none:example.org"] {
        assert_eq!(server.refused("bob", "POST", path, "{}").await, is(404, "M_NOT_FOUND"), "{path}");
    }
    for path in ["join/bob", "join/@bob:example.org"] {
        assert_eq!(server.refused("bob", "POST", path, "{}").await, is(400, "M_INVALID_PARAM"), "{path}");
    }
    let send = "rooms/!none:example.org/send/m.room.message/1";
    assert_eq!(server.refused("bob", "PUT", send, "{}").await, is(403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn a_message_is_sent_once_and_under_its_own_type() {
    let server = Server::new();
    let room = server.room(json!({})).await;
    // A type that ruma's types know by another name.
    let path = format!("rooms/{room}/send/org.matrix.call.sdp_stream_metadata_changed/txn%2F1");
    let first = server.ok("alice", "PUT", &path, json!({"version": "1"})).await;
    assert_eq!(server.ok("alice", "PUT", &path, json!({"version": "1"})).await, first);
    let event_id = ruma::EventId::parse(first["event_id"].as_str().unwrap()).unwrap();
    let stored = server.rooms.events.by_id(&event_id).unwrap().unwrap();
    assert_eq!(stored.event.event_type(), "org.matrix.call.sdp_stream_metadata_changed");

    let redact = format!("rooms/{room}/redact/{event_id}/txn%2F1");
    let redaction = server.ok("alice", "PUT", &redact, json!({"reason": "a typo"})).await;
    assert_ne!(redaction, first, "the same transaction id on another path");
    assert_eq!(server.ok("alice", "PUT", &redact, json!({"reason": "a typo"})).await, redaction);
    let unknown = format!("rooms/{room}/redact/$unknown/2");
    assert_eq!(server.refused("alice", "PUT", &unknown, "{}").await, is(404, "M_NOT_FOUND"));
}

#[tokio::test]
async fn state_may_be_set_with_and_without_a_key() {
    let server = Server::new();
    let room = server.room(json!({})).await;
    let mut ids = std::collections::HashSet::new();
    for path in ["state/m.room.topic", "state/m.room.topic/"] {
        let answer =
            server.ok("alice", "PUT", &format!("rooms/{room}/{path}"), json!({"topic": "Tea"})).await;
        ids.insert(answer["event_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 1, "the same state twice is one event");
    server.ok("alice", "PUT", &format!("rooms/{room}/state/org.example/a%2Fb"), json!({})).await;
    let room_id = ruma::RoomId::parse(&room).unwrap();
    assert!(server.rooms.state(&room_id, "org.example", "a/b").is_some());
    let alias = format!("rooms/{room}/state/m.room.canonical_alias");
    let bad = json!({"alias": "#other:example.org"});
    assert_eq!(server.refused("alice", "PUT", &alias, &bad).await, is(400, "M_BAD_ALIAS"));
    let malformed = json!({"alias": "other"});
    assert_eq!(server.refused("alice", "PUT", &alias, &malformed).await, is(400, "M_INVALID_PARAM"));
}

#[tokio::test]
async fn bad_bodies_are_told_apart() {
    let server = Server::new();
    let room = server.room(json!({})).await;
    let message = format!("rooms/{room}/send/m.room.message/1");
    let state = format!("rooms/{room}/state/m.room.topic");
    let deep = format!("{}1{}", r#"{"a":"#.repeat(120), "}".repeat(120));
    for path in [&message, &state] {
        for (body, expected) in [
            ("not JSON", is(400, "M_NOT_JSON")),
            ("[]", is(400, "M_BAD_JSON")),
            (r#"{"a":1.5}"#, is(400, "M_BAD_JSON")),
            (r#"{"a":9007199254740992}"#, is(400, "M_BAD_JSON")),
            (&deep, is(400, "M_BAD_JSON")),
            (&json!({"a": "x".repeat(70_000)}).to_string(), is(413, "M_TOO_LARGE")),
            // What no event can be is not worked through: it could be made to take long.
            (&format!("{{{}}}", " ".repeat(600_000)), is(413, "M_TOO_LARGE")),
        ] {
            let start: String = body.chars().take(20).collect();
            assert_eq!(server.refused("alice", "PUT", path, body).await, expected, "{path} {start}");
        }
    }
    let invite = format!("rooms/{room}/invite");
    assert_eq!(server.refused("alice", "POST", &invite, "{}").await.0, 400);
    let remote = json!({"user_id": "@bob:elsewhere.org"});
    assert_eq!(server.refused("alice", "POST", &invite, &remote).await, is(403, "M_FORBIDDEN"));
    let version = json!({"room_version": "99"});
    assert_eq!(
        server.refused("alice", "POST", "createRoom", &version).await,
        is(400, "M_UNSUPPORTED_ROOM_VERSION")
    );
    let powerless = json!({"room_version": "11", "power_level_content_override": {"users": {}}});
    assert_eq!(
        server.refused("alice", "POST", "createRoom", &powerless).await,
        is(400, "M_INVALID_ROOM_STATE")
    );
    let events = server.rooms.timeline(&ruma::RoomId::parse(&room).unwrap()).len();
    assert_eq!(events, 6, "nothing was written but the room");
}
