//! The handlers that read rooms, called with real services: answers and refusals.

use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use http::StatusCode;
use ruma::{
    OwnedRoomId,
    api::{Direction, client, error::ErrorKind},
    events::{StateEventType, receipt::ReceiptThread},
    server_name,
};
use serde_json::{Value, json};

use super::{alias, directory, members, receipt, state, timeline, typing};
use crate::{
    api::{ApiError, ApiResult, MaybeRequester, Requester, Ruma, directory_pages::DirectoryAnswer},
    federation::{IncomingPdus, RemoteRooms, testing::Own},
    rooms::{
        Aliases, Appender, EventSender, MemberProfiles, Members, Memberships, Permissions, Receipts,
        ReceivedEvents, RoomDirectory, SigningKeys, Typing,
        stored_room::{ALICE, BOB, CAROL, StoredRoom},
        testing::RoomsFixture,
    },
    users::{Clock, Sessions},
};

fn requester(room: &StoredRoom, user: &str) -> Requester {
    let viewer = room.viewer(user);
    Requester {
        user_id: viewer.user_id,
        user: viewer.user,
        device_id: "DEVICE".into(),
        is_admin: false,
        is_suspended: false,
        message_rate: None,
        appservice: None,
    }
}

fn room_id(room: &StoredRoom) -> OwnedRoomId {
    room.draft.room_id.clone().unwrap()
}

fn refusal<T>(outcome: Result<T, ApiError>) -> (StatusCode, ErrorKind) {
    match outcome {
        Err(ApiError::Standard { status, kind, .. }) => (status, *kind),
        Err(ApiError::Uiaa(_)) => panic!("no authentication by stages here"),
        Ok(_) => panic!("it was not refused"),
    }
}

fn forbidden() -> (StatusCode, ErrorKind) {
    (StatusCode::FORBIDDEN, ErrorKind::Forbidden)
}

fn not_found() -> (StatusCode, ErrorKind) {
    (StatusCode::NOT_FOUND, ErrorKind::NotFound)
}

fn invalid() -> (StatusCode, ErrorKind) {
    (StatusCode::BAD_REQUEST, ErrorKind::InvalidParam)
}

fn json_of<T>(raw: &ruma::serde::Raw<T>) -> Value {
    serde_json::from_str(raw.json().get()).unwrap()
}

fn members_service(room: &StoredRoom) -> Members {
    Members::new(room.storage.clone(), room.index.clone(), room.states.clone(), room.timelines.clone())
}

fn permissions(room: &StoredRoom) -> Permissions {
    Permissions::new(room.index.clone(), room.events.clone(), room.states.clone())
}

fn receipts(room: &StoredRoom) -> Receipts {
    let (storage, events) = (room.storage.clone(), room.events.clone());
    Receipts::new(storage, events, room.visibility.clone(), room.clock.clone())
}

fn received(room: &StoredRoom) -> ReceivedEvents {
    ReceivedEvents::new(RoomsFixture::over(room.storage.clone()).appender)
}

async fn messages(
    room: &StoredRoom,
    user: &str,
    request: client::message::get_message_events::v3::Request,
) -> ApiResult<client::message::get_message_events::v3::Response> {
    let received = received(room);
    let incoming = State(IncomingPdus::alone(received.clone()));
    let reading = State(timeline::messages::Reading {
        visibility: room.visibility.clone(),
        timelines: room.timelines.clone(),
        client_events: room.client_events.clone(),
        received,
    });
    let path = Ok(Path(std::collections::HashMap::new()));
    let (requester, request) = (requester(room, user), Ok(Ruma(request)));
    timeline::messages::messages(reading, incoming, requester, path, RawQuery(None), request).await
}

#[tokio::test]
async fn messages_are_paged_with_their_senders() {
    let mut room = StoredRoom::new();
    room.member(BOB, "join");
    room.say(BOB, "hello");
    let mut request =
        client::message::get_message_events::v3::Request::new(room_id(&room), Direction::Backward);
    request.limit = 1_u32.into();
    request.filter = serde_json::from_value(json!({"lazy_load_members": true})).unwrap();
    let page = messages(&room, ALICE, request.clone()).await.unwrap().0;
    assert_eq!(json_of(&page.chunk[0])["content"]["body"], "hello");
    assert_eq!(json_of(&page.chunk[0])["room_id"], room_id(&room).as_str());
    assert_eq!(json_of(&page.state[0])["state_key"], BOB);
    request.from = page.end;
    request.limit = 100_u32.into();
    let rest = messages(&room, ALICE, request.clone()).await.unwrap().0;
    assert_eq!((rest.chunk.len(), rest.end), (3, None));

    assert_eq!(refusal(messages(&room, CAROL, request.clone()).await), forbidden());
    let mut forged = request.clone();
    forged.from = Some("x".to_owned());
    assert_eq!(refusal(messages(&room, ALICE, forged).await), invalid());
    let mut unknown = request.clone();
    unknown.room_id = ruma::owned_room_id!("!nowhere:example.org");
    assert_eq!(refusal(messages(&room, ALICE, unknown).await), forbidden());
    request.filter = serde_json::from_value(json!({"not_rooms": [room_id(&room)]})).unwrap();
    request.from = None;
    assert!(messages(&room, ALICE, request).await.unwrap().0.chunk.is_empty());
}

#[tokio::test]
async fn an_event_is_shown_alone_and_in_context() {
    let mut room = StoredRoom::new();
    let said = room.say(ALICE, "hello");
    let event_id = room.stored(said).event.event_id().to_owned();
    let visibility = || State(room.visibility.clone());
    let services = || (State(room.timelines.clone()), State(room.client_events.clone()));
    let event = |user, event_id| {
        let (timelines, events) = services();
        let request = client::room::get_room_event::v3::Request::new(room_id(&room), event_id);
        timeline::event::event(visibility(), timelines, events, requester(&room, user), Ruma(request))
    };
    let shown = event(ALICE, event_id.clone()).await.unwrap().0;
    assert_eq!(json_of(&shown.event)["content"]["body"], "hello");
    assert_eq!(refusal(event(BOB, event_id.clone()).await), not_found());
    assert_eq!(refusal(event(ALICE, ruma::owned_event_id!("$unknown")).await), not_found());

    let context = |user, event_id| {
        let (timelines, events) = services();
        let request = client::context::get_context::v3::Request::new(room_id(&room), event_id);
        let received = received(&room);
        let (requester, incoming) = (requester(&room, user), State(IncomingPdus::alone(received.clone())));
        let received = State(received);
        timeline::context::context(
            visibility(),
            timelines,
            events,
            received,
            incoming,
            requester,
            Ruma(request),
        )
    };
    let shown = context(ALICE, event_id.clone()).await.unwrap().0;
    assert_eq!((shown.events_before.len(), shown.events_after.len(), shown.state.len()), (2, 0, 2));
    assert!(shown.start.is_some() && shown.end.is_some() && shown.event.is_some());
    assert_eq!(refusal(context(BOB, event_id).await), forbidden());
    assert_eq!(refusal(context(ALICE, ruma::owned_event_id!("$unknown")).await), not_found());
}

#[tokio::test]
async fn state_is_shown_whole_and_by_entry() {
    let mut room = StoredRoom::new();
    room.set("m.room.topic", json!({"topic": "tea"}));
    let services =
        || (State(room.visibility.clone()), State(room.states.clone()), State(room.client_events.clone()));
    let one = |user, event_type: &str, format: &str| {
        let (visibility, states, events) = services();
        let event_type = StateEventType::from(event_type);
        let mut request = client::state::get_state_event_for_key::v3::Request::new(
            room_id(&room),
            event_type,
            String::new(),
        );
        request.format = format.into();
        state::one::one(visibility, states, events, requester(&room, user), Ruma(request))
    };
    let content = one(ALICE, "m.room.topic", "content").await.unwrap().0;
    assert_eq!(content.event_or_content.get(), r#"{"topic":"tea"}"#);
    let event = one(ALICE, "m.room.topic", "event").await.unwrap().0;
    let event: Value = serde_json::from_str(event.event_or_content.get()).unwrap();
    assert_eq!((&event["type"], &event["sender"]), (&json!("m.room.topic"), &json!(ALICE)));
    assert_eq!(refusal(one(ALICE, "m.room.name", "content").await), not_found());
    assert_eq!(refusal(one(ALICE, "m.room.topic", "odd").await), invalid());
    assert_eq!(refusal(one(BOB, "m.room.topic", "content").await), forbidden());

    let all = |user| {
        let (visibility, states, events) = services();
        let request = client::state::get_state_events::v3::Request::new(room_id(&room));
        state::all::all(visibility, states, events, requester(&room, user), Ruma(request))
    };
    assert_eq!(all(ALICE).await.unwrap().0.room_state.len(), 3);
    assert_eq!(refusal(all(BOB).await), forbidden());
}

#[tokio::test]
async fn members_are_listed_for_members() {
    let mut room = StoredRoom::new();
    room.send(BOB, "m.room.member", Some(BOB), json!({"membership": "join", "displayname": "Bob"}));
    let list = |user, membership: Option<&str>| {
        let mut request = client::membership::get_member_events::v3::Request::new(room_id(&room));
        request.membership = membership.map(Into::into);
        let (visibility, events) = (State(room.visibility.clone()), State(room.client_events.clone()));
        members::list::list(
            visibility,
            State(members_service(&room)),
            events,
            requester(&room, user),
            Ruma(request),
        )
    };
    assert_eq!(list(ALICE, None).await.unwrap().0.chunk.len(), 2);
    assert_eq!(list(ALICE, Some("ban")).await.unwrap().0.chunk.len(), 0);
    assert_eq!(refusal(list(ALICE, Some("odd")).await), invalid());
    assert_eq!(refusal(list(CAROL, None).await), forbidden());

    let joined = |user| {
        let request = client::membership::joined_members::v3::Request::new(room_id(&room));
        let visibility = State(room.visibility.clone());
        let members = State(members_service(&room));
        members::joined_members::joined_members(visibility, members, requester(&room, user), Ruma(request))
    };
    let shown = joined(ALICE).await.unwrap().0.joined;
    assert_eq!(shown[&room.viewer(BOB).user_id].display_name.as_deref(), Some("Bob"));
    assert_eq!(refusal(joined(CAROL).await), forbidden());
    let request = || Ruma(client::membership::joined_rooms::v3::Request::new());
    let rooms = |user| {
        members::joined_rooms::joined_rooms(State(members_service(&room)), requester(&room, user), request())
    };
    assert_eq!(rooms(BOB).await.unwrap().0.joined_rooms, [room_id(&room)]);
    assert!(rooms(CAROL).await.unwrap().0.joined_rooms.is_empty());
}

fn event_sender(room: &StoredRoom) -> EventSender {
    let memberships = memberships(room);
    EventSender::new(memberships.appender().clone(), memberships)
}

fn remote_rooms(room: &StoredRoom) -> RemoteRooms {
    RemoteRooms::alone(memberships(room))
}

fn memberships(room: &StoredRoom) -> Memberships {
    let storage = room.storage.clone();
    let appender = Appender::new(
        server_name!("example.org").to_owned(),
        storage.clone(),
        room.index.clone(),
        room.events.clone(),
        room.states.clone(),
        SigningKeys::load_or_generate(&storage).unwrap(),
        room.clock.clone(),
    );
    Memberships::new(appender, MemberProfiles::stored(storage))
}

#[tokio::test]
async fn a_taken_alias_is_a_conflict() {
    let room = StoredRoom::new();
    let server_name = server_name!("example.org").to_owned();
    let aliases =
        Aliases::new(room.storage.clone(), room.visibility.clone(), permissions(&room), server_name);
    let name = ruma::owned_room_alias_id!("#tea:example.org");
    let create = |name| {
        let request = client::alias::create_alias::v3::Request::new(name, room_id(&room));
        let sessions = Sessions::new(room.storage.clone(), Clock::system());
        let requester = requester(&room, ALICE);
        alias::create::create(State(aliases.clone()), State(sessions), requester, Ruma(request))
    };
    create(name.clone()).await.unwrap();
    assert_eq!(refusal(create(name.clone()).await), (StatusCode::CONFLICT, ErrorKind::Unknown));
    assert_eq!(refusal(create(ruma::owned_room_alias_id!("#tea:example.com")).await), invalid());
    let request = client::alias::get_alias::v3::Request::new(name.clone());
    let own = crate::api::own_aliases::OwnAliases::alone(aliases.clone());
    let found =
        alias::resolve::resolve(State(own), State(remote_rooms(&room)), Ruma(request)).await.unwrap().0;
    assert_eq!((found.room_id, found.servers.len()), (room_id(&room), 1));
    let request = client::room::aliases::v3::Request::new(room_id(&room));
    let of_room =
        |user| alias::of_room::of_room(State(aliases.clone()), requester(&room, user), Ruma(request.clone()));
    assert_eq!(of_room(ALICE).await.unwrap().0.aliases, std::slice::from_ref(&name));
    assert_eq!(refusal(of_room(BOB).await), forbidden());
    let sender = event_sender(&room);
    let remove = |user| {
        let request = client::alias::delete_alias::v3::Request::new(name.clone());
        alias::remove::remove(
            State(aliases.clone()),
            State(sender.clone()),
            State(Sessions::new(room.storage.clone(), Clock::system())),
            requester(&room, user),
            Ruma(request),
        )
    };
    assert_eq!(refusal(remove(BOB).await), forbidden());
    remove(ALICE).await.unwrap();
    assert_eq!(refusal(remove(ALICE).await), not_found());
}

#[tokio::test]
async fn the_directory_is_listed_for_anybody() {
    let room = StoredRoom::new();
    let (index, events, states) = (room.index.clone(), room.events.clone(), room.states.clone());
    let server_name = server_name!("example.org").to_owned();
    let service =
        RoomDirectory::new(room.storage.clone(), index, events, states, permissions(&room), server_name);
    let request = client::directory::set_room_visibility::v3::Request::new(
        room_id(&room),
        client::room::Visibility::Public,
    );
    let publish = |user| {
        directory::publish::publish(State(service.clone()), requester(&room, user), Ruma(request.clone()))
    };
    assert_eq!(refusal(publish(BOB).await), forbidden());
    publish(ALICE).await.unwrap();
    let request = client::directory::get_room_visibility::v3::Request::new(room_id(&room));
    let shown = directory::is_published::is_published(State(service.clone()), Ruma(request)).await.unwrap().0;
    assert_eq!(shown.visibility, client::room::Visibility::Public);
    let client = Own::configured(|config| config.federation.enabled = false).client;
    let list = |server: Option<&str>, since: Option<&str>| {
        let mut request = client::directory::get_public_rooms::v3::Request::new();
        request.server = server.map(|server| server.try_into().unwrap());
        request.since = since.map(str::to_owned);
        let nobody = MaybeRequester(None);
        directory::list::list(State(service.clone()), State(client.clone()), nobody, Ruma(request))
    };
    let shown = |page| serde_json::to_value::<DirectoryAnswer>(page).unwrap();
    let listed = shown(list(Some("example.org"), None).await.unwrap());
    assert_eq!(listed["chunk"][0]["room_id"], room_id(&room).as_str());
    let unauthorised = (StatusCode::UNAUTHORIZED, ErrorKind::MissingToken);
    assert_eq!(refusal(list(Some("example.com"), None).await), unauthorised);
    assert_eq!(refusal(list(None, Some("odd")).await), invalid());
    let request = client::directory::get_public_rooms_filtered::v3::Request::new();
    let found = directory::search::search(
        State(service),
        State(client.clone()),
        requester(&room, BOB),
        Ruma(request),
    )
    .await;
    let found = shown(found.unwrap());
    assert_eq!((&found["chunk"], &found["total_room_count_estimate"]), (&listed["chunk"], &1.into()));
}

#[tokio::test]
async fn receipts_are_checked() {
    use client::receipt::create_receipt::v3::{ReceiptType, Request};
    let mut room = StoredRoom::new();
    let said = room.say(ALICE, "hello");
    let event_id = room.stored(said).event.event_id().to_owned();
    let send = |user, kind: ReceiptType, thread| {
        let mut request = Request::new(room_id(&room), kind, event_id.clone());
        request.thread = thread;
        receipt::send::send(State(receipts(&room)), requester(&room, user), Ruma(request))
    };
    send(ALICE, ReceiptType::Read, ReceiptThread::Main).await.unwrap();
    send(ALICE, ReceiptType::FullyRead, ReceiptThread::Unthreaded).await.unwrap();
    assert_eq!(refusal(send(ALICE, ReceiptType::FullyRead, ReceiptThread::Main).await), invalid());
    assert_eq!(refusal(send(ALICE, "odd".into(), ReceiptThread::Unthreaded).await), invalid());
    let other = ReceiptThread::Thread(ruma::owned_event_id!("$other"));
    assert_eq!(refusal(send(ALICE, ReceiptType::Read, other).await), invalid());
    let empty = ReceiptThread::try_from(Some("")).unwrap();
    assert_eq!(refusal(send(ALICE, ReceiptType::Read, empty).await), invalid());
    assert_eq!(refusal(send(BOB, ReceiptType::Read, ReceiptThread::Unthreaded).await), forbidden());

    let mut request = client::read_marker::set_read_marker::v3::Request::new(room_id(&room));
    request.fully_read = Some(event_id.clone());
    request.private_read_receipt = Some(event_id);
    let markers = receipt::read_markers::read_markers;
    markers(State(receipts(&room)), requester(&room, ALICE), Ruma(request.clone())).await.unwrap();
    let alice = room.viewer(ALICE).user;
    assert!(Receipts::read_up_to(&room.storage, alice, room.room).unwrap().is_some());
    request.read_receipt = Some(ruma::owned_event_id!("$unknown"));
    let refused = markers(State(receipts(&room)), requester(&room, ALICE), Ruma(request)).await;
    assert_eq!(refusal(refused), not_found());
}

#[tokio::test]
async fn users_say_only_for_themselves_that_they_type() {
    use client::typing::create_typing_event::v3::{Request, Typing as Wanted, TypingInfo};
    let room = StoredRoom::new();
    let typing = Typing::new(room.clock.clone());
    let put = |user: &str, about: &str, wanted| {
        let request = Request::new(room.viewer(about).user_id, room_id(&room), wanted);
        let (visibility, typing) = (State(room.visibility.clone()), State(typing.clone()));
        typing::set::set(visibility, typing, requester(&room, user), typing::set::WithTimeout(request))
    };
    let yes = Wanted::Yes(TypingInfo::new(Duration::from_secs(10)));
    put(ALICE, ALICE, yes).await.unwrap();
    assert_eq!(typing.typists(room.room), [room.viewer(ALICE).user]);
    assert_eq!(refusal(put(ALICE, BOB, yes).await), forbidden());
    assert_eq!(refusal(put(BOB, BOB, yes).await), forbidden());
    put(ALICE, ALICE, Wanted::No).await.unwrap();
    assert!(typing.typists(room.room).is_empty());
}

#[test]
fn no_two_paths_are_in_each_others_way() {
    // Registering a path that another one hides panics.
    let _router: axum::Router<crate::api::ApiState> =
        super::routes(crate::api::routes::Routes::new()).into_router();
}
