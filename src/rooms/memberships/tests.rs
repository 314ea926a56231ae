use ruma::{OwnedRoomId, OwnedUserId, RoomVersionId};
use serde_json::{Value, json};

use super::*;
use crate::{
    rooms::{
        MemberProfile,
        creation::{InitialState, NewRoom, Preset},
        testing::{RoomsFixture, content},
    },
    storage::StorageError,
};

fn user(name: &str) -> OwnedUserId {
    RoomsFixture::user(name)
}

fn service(fixture: &RoomsFixture) -> Memberships {
    Memberships::new(fixture.appender.clone(), fixture.profiles.clone())
}

fn by<'a>(room_id: &'a RoomId, sender: &'a UserId, target: &'a UserId) -> Moderation<'a> {
    Moderation { room_id, sender, target, reason: Some("why not") }
}

fn membership(fixture: &RoomsFixture, room: &RoomId, name: &str) -> Value {
    fixture.state_content(room, "m.room.member", user(name).as_str())["membership"].clone()
}

fn is_forbidden<T: std::fmt::Debug>(outcome: Result<T, RoomError>) -> bool {
    match outcome {
        Err(RoomError::Refused(_) | RoomError::Forbidden(_)) => true,
        other => panic!("not refused for lack of permission: {other:?}"),
    }
}

#[test]
fn invite_join_leave_and_forget() {
    let fixture = RoomsFixture::new();
    let service = service(&fixture);
    let (alice, bob) = (user("alice"), user("bob"));
    let room = fixture.create(NewRoom::by(alice.clone()));
    assert!(is_forbidden(service.join(&bob, &room, None)));
    service.invite(by(&room, &alice, &bob)).unwrap();
    let invite = fixture.state_content(&room, "m.room.member", bob.as_str());
    assert_eq!(invite, json!({"membership": "invite", "displayname": "BOB", "reason": "why not"}));
    let events = fixture.timeline(&room).len();
    service.invite(by(&room, &alice, &bob)).unwrap();
    assert_eq!(fixture.timeline(&room).len(), events, "invited already");
    assert!(is_forbidden(service.invite(by(&room, &user("mallory"), &bob))));

    service.join(&bob, &room, Some("hello")).unwrap();
    let join = fixture.state_content(&room, "m.room.member", bob.as_str());
    assert_eq!(join, json!({"membership": "join", "displayname": "BOB", "reason": "hello"}));
    let events = fixture.timeline(&room).len();
    service.join(&bob, &room, None).unwrap();
    assert_eq!(fixture.timeline(&room).len(), events, "joined already");
    assert!(is_forbidden(service.invite(by(&room, &alice, &bob))));

    assert!(matches!(service.forget(&bob, &room), Err(RoomError::NotLeft { .. })));
    service.leave(&bob, &room, Some("bye")).unwrap();
    service.leave(&bob, &room, None).unwrap();
    assert_eq!(fixture.timeline(&room).len(), events + 1, "left already");
    service.forget(&bob, &room).unwrap();
    let short = fixture.storage.short_user_id(&bob).unwrap().unwrap();
    let row = || fixture.index.membership(short, fixture.short(&room)).unwrap().unwrap();
    assert!(row().forgotten);
    service.ban(by(&room, &alice, &bob)).unwrap();
    service.unban(by(&room, &alice, &bob)).unwrap();
    assert!(row().forgotten, "a ban does not bring a forgotten room back");
    service.invite(by(&room, &alice, &bob)).unwrap();
    assert!(!row().forgotten);
}

#[test]
fn invites_can_be_turned_down() {
    let fixture = RoomsFixture::new();
    let service = service(&fixture);
    let room = fixture.create(NewRoom::by(user("alice")));
    service.invite(by(&room, &user("alice"), &user("bob"))).unwrap();
    service.leave(&user("bob"), &room, None).unwrap();
    assert_eq!(membership(&fixture, &room, "bob"), "leave");
    service.forget(&user("bob"), &room).unwrap();
}

#[test]
fn rooms_and_users_out_of_reach_are_named() {
    let fixture = RoomsFixture::new();
    let service = service(&fixture);
    let alice = user("alice");
    let unknown = OwnedRoomId::try_from("!unknown:example.org").unwrap();
    assert!(matches!(service.join(&alice, &unknown, None), Err(RoomError::RoomNotFound(_))));
    assert!(matches!(service.knock(&alice, &unknown, None), Err(RoomError::RoomNotFound(_))));
    assert!(matches!(service.forget(&alice, &unknown), Err(RoomError::RoomNotFound(_))));
    assert!(is_forbidden(service.invite(by(&unknown, &alice, &user("bob")))));
    let room = fixture.create(NewRoom::by(alice.clone()));
    assert!(is_forbidden(service.leave(&user("mallory"), &room, None)));
    let remote = OwnedUserId::try_from("@bob:elsewhere.org").unwrap();
    assert!(matches!(service.invite(by(&room, &alice, &remote)), Err(RoomError::RemoteUser(_))));
    service.ban(by(&room, &alice, &remote)).unwrap();
}

#[test]
fn kick_ban_and_unban() {
    let fixture = RoomsFixture::new();
    let service = service(&fixture);
    let (alice, bob, carol) = (user("alice"), user("bob"), user("carol"));
    let room = fixture.public_room(&alice);
    fixture.join(&room, &bob);
    fixture.join(&room, &carol);
    assert!(is_forbidden(service.kick(by(&room, &bob, &carol))));
    assert!(is_forbidden(service.ban(by(&room, &bob, &carol))));
    assert!(is_forbidden(service.unban(by(&room, &alice, &carol))), "not banned");
    assert!(is_forbidden(service.kick(by(&room, &alice, &user("nobody")))));

    service.kick(by(&room, &alice, &carol)).unwrap();
    let kicked = fixture.state_content(&room, "m.room.member", carol.as_str());
    assert_eq!(kicked, json!({"membership": "leave", "reason": "why not"}));
    assert!(is_forbidden(service.kick(by(&room, &alice, &carol))), "gone already");
    service.join(&carol, &room, None).unwrap();

    service.ban(by(&room, &alice, &carol)).unwrap();
    assert!(is_forbidden(service.join(&carol, &room, None)));
    assert!(is_forbidden(service.leave(&carol, &room, None)));
    assert!(is_forbidden(service.kick(by(&room, &alice, &carol))), "a kick lifts no ban");
    assert!(is_forbidden(service.unban(by(&room, &bob, &carol))));
    service.unban(by(&room, &alice, &carol)).unwrap();
    service.join(&carol, &room, None).unwrap();
    assert_eq!(membership(&fixture, &room, "carol"), "join");
}

fn with_join_rules(fixture: &RoomsFixture, version: RoomVersionId, join_rules: Value) -> OwnedRoomId {
    let join_rules = InitialState {
        event_type: "m.room.join_rules".to_owned(),
        state_key: String::new(),
        content: content(join_rules),
    };
    fixture.create(NewRoom {
        version: Some(version),
        initial_state: vec![join_rules],
        ..NewRoom::by(user("alice"))
    })
}

#[test]
fn knocking_asks_and_is_answered() {
    let fixture = RoomsFixture::new();
    let service = service(&fixture);
    let (alice, bob) = (user("alice"), user("bob"));
    let closed = fixture.create(NewRoom::by(alice.clone()));
    assert!(is_forbidden(service.knock(&bob, &closed, None)));
    for version in [RoomVersionId::V7, RoomVersionId::V12] {
        let room = with_join_rules(&fixture, version, json!({"join_rule": "knock"}));
        service.knock(&bob, &room, Some("let me in")).unwrap();
        let events = fixture.timeline(&room).len();
        service.knock(&bob, &room, None).unwrap();
        assert_eq!(fixture.timeline(&room).len(), events, "knocked already");
        assert!(is_forbidden(service.join(&bob, &room, None)));
        service.invite(by(&room, &alice, &bob)).unwrap();
        service.join(&bob, &room, None).unwrap();
        assert!(is_forbidden(service.knock(&bob, &room, None)), "in the room");
        service.knock(&user("carol"), &room, None).unwrap();
        service.leave(&user("carol"), &room, None).unwrap();
        assert_eq!(membership(&fixture, &room, "carol"), "leave");
    }
}

#[test]
fn restricted_rooms_let_members_of_other_rooms_in() {
    let fixture = RoomsFixture::new();
    let service = service(&fixture);
    let (bob, carol) = (user("bob"), user("carol"));
    for version in [RoomVersionId::V8, RoomVersionId::V10, RoomVersionId::V12] {
        let other = fixture.public_room(&bob);
        let allow =
            json!([{"type": "m.unknown"}, 7, {"type": "m.room_membership", "room_id": other.as_str()}]);
        let room =
            with_join_rules(&fixture, version.clone(), json!({"join_rule": "restricted", "allow": allow}));
        assert!(is_forbidden(service.join(&carol, &room, None)));
        service.join(&bob, &room, None).unwrap();
        let join = fixture.state_content(&room, "m.room.member", bob.as_str());
        assert_eq!(join[restricted::AUTHORISED_VIA], "@alice:example.org", "{version}");

        // Nobody gets in by naming a member without meeting a condition.
        let forged = json!({"membership": "join", restricted::AUTHORISED_VIA: "@alice:example.org"});
        assert!(is_forbidden(service.set(&room, &carol, &carol, content(forged))));

        // Once in, no condition is asked again; and the invited need none.
        service.leave(&bob, &other, None).unwrap();
        let renamed = json!({"membership": "join", "displayname": "Bob"});
        service.set(&room, &bob, &bob, content(renamed)).unwrap();
        service.invite(by(&room, &user("alice"), &carol)).unwrap();
        service.join(&carol, &room, None).unwrap();
        let join = fixture.state_content(&room, "m.room.member", carol.as_str());
        assert_eq!(join.get(restricted::AUTHORISED_VIA), None);
    }
}

#[test]
fn any_member_with_the_power_to_invite_lets_users_into_restricted_rooms() {
    let fixture = RoomsFixture::new();
    let service = service(&fixture);
    let (alice, bob, carol) = (user("alice"), user("bob"), user("carol"));
    let other = fixture.public_room(&carol);
    let allow = json!([{"type": "m.room_membership", "room_id": other.as_str()}]);
    let room =
        with_join_rules(&fixture, RoomVersionId::V11, json!({"join_rule": "restricted", "allow": allow}));
    service.invite(by(&room, &alice, &bob)).unwrap();
    service.join(&bob, &room, None).unwrap();
    service.leave(&alice, &room, None).unwrap();
    service.join(&carol, &room, None).unwrap();
    let join = fixture.state_content(&room, "m.room.member", carol.as_str());
    assert_eq!(join[restricted::AUTHORISED_VIA], bob.as_str(), "inviting needs level 0 in a private chat");
}

#[test]
fn member_events_can_be_set_as_state() {
    let fixture = RoomsFixture::new();
    let service = service(&fixture);
    let (alice, bob) = (user("alice"), user("bob"));
    let room = fixture.create(NewRoom::by(alice.clone()));
    let invite = content(json!({"membership": "invite"}));
    let first = service.set(&room, &alice, &bob, invite.clone()).unwrap();
    assert_eq!(service.set(&room, &alice, &bob, invite).unwrap(), first, "nothing new, no new event");
    let named = content(json!({"membership": "join", "displayname": "Robert", "org.example.mood": "fine"}));
    service.set(&room, &bob, &bob, named).unwrap();
    let member = fixture.state_content(&room, "m.room.member", bob.as_str());
    assert_eq!(member["displayname"], "Robert");
    assert_eq!(member["org.example.mood"], "fine");
    for wrong in [json!({}), json!({"membership": 1})] {
        let outcome = service.set(&room, &alice, &bob, content(wrong));
        assert!(matches!(outcome, Err(RoomError::BadContent(_))), "{outcome:?}");
    }
}

#[test]
fn a_changed_profile_reaches_all_joined_rooms() {
    let fixture = RoomsFixture::new();
    let service = service(&fixture);
    let bob = user("bob");
    let (first, second, left) =
        (fixture.public_room(&user("alice")), fixture.public_room(&user("alice")), fixture.public_room(&bob));
    service.join(&bob, &first, Some("hello")).unwrap();
    let custom = json!({"membership": "join", "org.example.mood": "fine"});
    service.set(&second, &bob, &bob, content(custom)).unwrap();
    service.leave(&bob, &left, None).unwrap();

    let changed = MemberProfiles::new(|_| {
        let avatar_url = Some("mxc://example.org/face".to_owned());
        Ok::<_, StorageError>(MemberProfile { displayname: None, avatar_url })
    });
    let renamed = Memberships::new(fixture.appender.clone(), changed);
    renamed.refresh_profile(&bob).unwrap();
    let avatar_url = "mxc://example.org/face";
    let member = |room: &RoomId| fixture.state_content(room, "m.room.member", bob.as_str());
    assert_eq!(member(&first), json!({"membership": "join", "avatar_url": avatar_url}));
    let in_second = json!({"membership": "join", "avatar_url": avatar_url, "org.example.mood": "fine"});
    assert_eq!(member(&second), in_second);
    assert_eq!(member(&left), json!({"membership": "leave"}));

    let events = fixture.timeline(&first).len();
    renamed.refresh_profile(&bob).unwrap();
    assert_eq!(fixture.timeline(&first).len(), events, "nothing changed");
}

#[test]
fn who_leaves_for_good_leaves_everywhere() {
    let fixture = RoomsFixture::new();
    let service = service(&fixture);
    let (alice, bob) = (user("alice"), user("bob"));
    let joined = fixture.public_room(&alice);
    service.join(&bob, &joined, None).unwrap();
    let invited = fixture.create(NewRoom {
        preset: Some(Preset::PrivateChat),
        invite: vec![bob.clone()],
        ..NewRoom::by(alice.clone())
    });
    let banned = fixture.public_room(&alice);
    service.ban(by(&banned, &alice, &bob)).unwrap();
    service.leave_all(&bob).unwrap();
    assert_eq!(membership(&fixture, &joined, "bob"), "leave");
    assert_eq!(membership(&fixture, &invited, "bob"), "leave");
    assert_eq!(membership(&fixture, &banned, "bob"), "ban");
}
