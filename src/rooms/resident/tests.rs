//! What other servers may see and do.

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, RoomVersionId, ServerName, server_name};
use serde_json::{Value, json};

use super::*;
use crate::{
    rooms::{
        RoomError,
        creation::{InitialState, NewRoom, Preset},
        receiving::testing::two_servers,
        testing::{RoomsFixture, content},
    },
    storage::{Direction, Read, tables::OUTBOX},
};

fn there() -> &'static ServerName {
    server_name!("elsewhere.org")
}

fn resident_of(rooms: &RoomsFixture) -> Resident {
    let memberships = Memberships::new(rooms.appender.clone(), rooms.profiles.clone());
    let acls = ServerAcls::new(rooms.index.clone(), rooms.events.clone(), rooms.states.clone());
    let servers = RoomServers::new(rooms.storage.clone());
    Resident::new(rooms.appender.clone(), memberships, acls, servers)
}

struct World {
    rooms: RoomsFixture,
    resident: Resident,
    alice: OwnedUserId,
    bob: OwnedUserId,
}

impl World {
    fn new() -> Self {
        let rooms = RoomsFixture::new();
        let resident = resident_of(&rooms);
        let bob = OwnedUserId::try_from("@bob:elsewhere.org").unwrap();
        Self { rooms, resident, alice: RoomsFixture::user("alice"), bob }
    }

    fn room(&self, version: RoomVersionId, state: &[(&str, Value)]) -> OwnedRoomId {
        let initial_state = state.iter().map(|(event_type, json)| InitialState {
            event_type: (*event_type).to_owned(),
            state_key: String::new(),
            content: content(json.clone()),
        });
        self.rooms.create(NewRoom {
            version: Some(version),
            preset: Some(Preset::PublicChat),
            initial_state: initial_state.collect(),
            ..NewRoom::by(self.alice.clone())
        })
    }

    fn join_template(&self, room: &OwnedRoomId) -> Result<Value, ResidentError> {
        let versions = crate::matrix::room_versions::SUPPORTED;
        let template =
            self.resident.template(TemplateKind::Join, there(), room, &self.bob, Some(&versions))?;
        Ok(serde_json::from_str(template.event.get()).unwrap())
    }

    /// The texts that the other server gets of these messages: `None` for redacted ones.
    fn bodies(&self, room: &OwnedRoomId) -> Vec<Option<String>> {
        let view = self.resident.member(there(), room).unwrap();
        let messages = self.rooms.timeline(room);
        let messages = messages.iter().filter(|event| event.event_type() == "m.room.message");
        messages
            .map(|event| {
                let stored = self.rooms.events.by_id(event.event_id()).unwrap().unwrap();
                view.shown(&stored).unwrap().content_field("body")
            })
            .collect()
    }
}

#[test]
fn a_room_is_read_only_by_servers_in_it() {
    let world = World::new();
    let room = world.room(RoomVersionId::V12, &[]);
    let event = world.rooms.say(&room, &world.alice, "hello");
    let refused = world.resident.event(there(), &event).unwrap_err();
    assert!(matches!(refused, ResidentError::NotInRoom(_)), "{refused}");
    let refused = world.resident.state_before(there(), &room, &event).unwrap_err();
    assert!(matches!(refused, ResidentError::NotInRoom(_)), "{refused}");

    world.rooms.join(&room, &world.bob);
    assert_eq!(*world.resident.event(there(), &event).unwrap().event_id(), *event);
    let at = world.resident.state_before(there(), &room, &event).unwrap();
    let ids = world.resident.event_ids(&at.state).unwrap();
    assert!(!ids.contains(&event));
    // Everything but the message and the later join.
    assert_eq!(ids.len(), world.rooms.timeline(&room).len() - 2);

    let acl = json!({"allow": ["*"], "deny": ["elsewhere.org"]});
    world.rooms.set_state(&room, &world.alice, "m.room.server_acl", "", acl).unwrap();
    let refused = world.resident.event(there(), &event).unwrap_err();
    assert!(matches!(refused, ResidentError::DeniedByAcl(_)), "{refused}");
    assert!(matches!(world.join_template(&room), Err(ResidentError::DeniedByAcl(_))));
}

#[test]
fn history_is_shown_to_servers_as_to_their_users() {
    let setting = |value: &str| [("m.room.history_visibility", json!({ "history_visibility": value }))];
    let some = |text: &str| Some(text.to_owned());
    for (value, before) in [("shared", some("before")), ("world_readable", some("before")), ("joined", None)]
    {
        let world = World::new();
        let room = world.room(RoomVersionId::V11, &setting(value));
        world.rooms.say(&room, &world.alice, "before");
        world.rooms.join(&room, &world.bob);
        world.rooms.say(&room, &world.alice, "while");
        world.rooms.say(&room, &world.bob, "own");
        let carol = OwnedUserId::try_from("@carol:elsewhere.org").unwrap();
        world.rooms.join(&room, &carol);
        world.rooms.set_membership(&room, &world.bob, &world.bob, "leave").unwrap();
        world.rooms.say(&room, &world.alice, "after");
        let expected = [before, some("while"), some("own"), some("after")];
        assert_eq!(world.bodies(&room), expected, "{value}");
    }
}

#[test]
fn backfill_goes_from_the_newest_back() {
    let world = World::new();
    let room = world.room(RoomVersionId::V6, &[]);
    world.rooms.join(&room, &world.bob);
    let said: Vec<_> =
        (0..5).map(|number| world.rooms.say(&room, &world.alice, &number.to_string())).collect();
    let view = world.resident.member(there(), &room).unwrap();
    let ids = |events: Vec<std::sync::Arc<crate::matrix::Event>>| {
        events.iter().map(|event| event.event_id().to_owned()).collect::<Vec<OwnedEventId>>()
    };
    let found = ids(view.backfill(&[said[3].clone()], 3).unwrap());
    assert_eq!(found, [said[3].clone(), said[2].clone(), said[1].clone()]);
    let all = ids(view.backfill(&[said[4].clone()], 1_000).unwrap());
    assert_eq!(all.len(), world.rooms.timeline(&room).len());

    let (earliest, latest) = (&[said[0].clone()][..], &[said[4].clone()][..]);
    let query = MissingEventsQuery { earliest, latest, limit: 10, min_depth: 0 };
    assert_eq!(ids(view.missing_events(&query).unwrap()), said[1..4]);
    let query = MissingEventsQuery { limit: 2, ..query };
    assert_eq!(ids(view.missing_events(&query).unwrap()), said[2..4]);
    let elsewhere = world.room(RoomVersionId::V6, &[]);
    let foreign = world.rooms.say(&elsewhere, &world.alice, "secret");
    assert!(view.backfill(&[foreign], 10).unwrap().is_empty());
}

#[test]
fn auth_chains_hold_what_allows_what_allows() {
    let world = World::new();
    for version in [RoomVersionId::V1, RoomVersionId::V12] {
        let room = world.room(version.clone(), &[]);
        world.rooms.join(&room, &world.bob);
        let message = world.rooms.say(&room, &world.bob, "hello");
        let chain = world.resident.event_auth(there(), &room, &message).unwrap();
        let types: Vec<_> = chain
            .iter()
            .map(|event| world.rooms.events.get(*event).unwrap().unwrap().event.event_type().to_owned())
            .collect();
        let expected =
            ["m.room.create", "m.room.member", "m.room.power_levels", "m.room.join_rules", "m.room.member"];
        // In room version 12 no event names the create event.
        let without_create = usize::from(version == RoomVersionId::V12);
        assert_eq!(types, expected[without_create..], "{version}");
    }
}

#[test]
fn templates_are_checked_and_change_nothing() {
    let world = World::new();
    for version in [RoomVersionId::V1, RoomVersionId::V6, RoomVersionId::V12] {
        let room = world.room(version.clone(), &[]);
        let before = world.rooms.timeline(&room).len();
        let template = world.join_template(&room).unwrap();
        assert_eq!(template["content"], json!({"membership": "join"}));
        assert_eq!((&template["state_key"], &template["sender"]), (&json!(world.bob), &json!(world.bob)));
        assert_eq!(template["room_id"], json!(room));
        assert!(template.get("signatures").is_none() && template.get("hashes").is_none());
        assert_eq!(template["prev_events"].as_array().unwrap().len(), 1);
        assert_eq!(world.rooms.timeline(&room).len(), before);

        let kind = TemplateKind::Join;
        let old = world.resident.template(kind, there(), &room, &world.bob, Some(&[RoomVersionId::V2]));
        assert!(matches!(old, Err(ResidentError::IncompatibleVersion(found)) if found == version));
        let foreign = world.resident.template(kind, there(), &room, &world.alice, None);
        assert!(matches!(foreign, Err(ResidentError::ForeignUser(_))));
        let leave = world.resident.template(TemplateKind::Leave, there(), &room, &world.bob, None);
        assert!(matches!(leave, Err(ResidentError::Room(RoomError::Refused(_)))));
    }
}

#[test]
fn rooms_of_one_server_and_rooms_that_were_left_let_nobody_in() {
    let world = World::new();
    let mut new = NewRoom { preset: Some(Preset::PublicChat), ..NewRoom::by(world.alice.clone()) };
    new.creation_content = content(json!({"m.federate": false}));
    let room = world.rooms.create(new);
    assert!(matches!(world.join_template(&room), Err(ResidentError::NotFederated)));
    let room = world.room(RoomVersionId::V10, &[]);
    world.rooms.set_membership(&room, &world.alice, &world.alice, "leave").unwrap();
    assert!(matches!(world.join_template(&room), Err(ResidentError::UnknownRoom)));
}

#[test]
fn restricted_rooms_say_why_they_do_not_let_in() {
    let world = World::new();
    let space = world.room(RoomVersionId::V10, &[]);
    let rules = |room_id: &str| {
        let allow = json!([{"type": "m.room_membership", "room_id": room_id}]);
        [("m.room.join_rules", json!({"join_rule": "restricted", "allow": allow}))]
    };
    let room = world.room(RoomVersionId::V8, &rules(space.as_str()));
    let refused = world.join_template(&room).unwrap_err();
    assert!(matches!(refused, ResidentError::Room(RoomError::Forbidden(_))), "{refused}");
    world.rooms.join(&space, &world.bob);
    let template = world.join_template(&room).unwrap();
    assert_eq!(template["content"]["join_authorised_via_users_server"], json!(world.alice));

    let levels = json!({"invite": 100, "users": {world.alice.as_str(): 50}});
    world.rooms.set_state(&room, &world.alice, "m.room.power_levels", "", levels).unwrap();
    let refused = world.join_template(&room).unwrap_err();
    assert!(matches!(refused, ResidentError::Room(RoomError::CannotGrantJoin)), "{refused}");

    let room = world.room(RoomVersionId::V8, &rules("!unknown:elsewhere.org"));
    let refused = world.join_template(&room).unwrap_err();
    assert!(matches!(refused, ResidentError::Room(RoomError::CannotAuthoriseJoin)), "{refused}");
}

/// The numbers of the events that wait to be sent to other servers.
fn outbox(rooms: &RoomsFixture) -> Vec<OwnedEventId> {
    let rows = rooms.storage.scan(&OUTBOX, &OUTBOX.all(), Direction::Forward);
    rows.map(|row| rooms.storage.event_id(row.unwrap().1).unwrap()).collect()
}

#[test]
fn who_was_refused_is_refused_again() {
    let (one, two, room) = two_servers(&RoomVersionId::V11);
    let resident = resident_of(&one.rooms);
    let (alice, mallory) = (one.user("alice"), two.user("mallory"));
    one.rooms.set_membership(&room, &alice, &mallory, "ban").unwrap();
    let member = (&*mallory, "m.room.member", Some(mallory.as_str()));
    let rejected = two.build_on(&one, &room, member, &json!({"membership": "join"}));
    // And one that only the room's current state refuses.
    let before = one.rooms.timeline(&room);
    let unbanned = before.iter().rfind(|event| event.event_type() != "m.room.member").unwrap();
    let state = one.state_before(before.last().unwrap().event_id());
    let soft_failed = two.build(&one, &[unbanned], &state, member, &json!({"membership": "join"}));
    let sent = outbox(&one.rooms).len();
    for join in [rejected, soft_failed] {
        for _ in 0..3 {
            let refused = resident.admit(join.clone()).unwrap_err();
            assert!(matches!(refused, ResidentError::Refused(_)), "{refused}");
        }
    }
    assert_eq!(outbox(&one.rooms).len(), sent, "and is not passed on");
}

#[test]
fn what_was_handed_over_is_passed_on_with_the_event_itself() {
    let (one, two, room) = two_servers(&RoomVersionId::V11);
    let resident = resident_of(&one.rooms);
    let carol = two.user("carol");
    let member = (&*carol, "m.room.member", Some(carol.as_str()));
    let join = two.build_on(&one, &room, member, &json!({"membership": "join"}));
    let before = outbox(&one.rooms);
    resident.admit(join.clone()).unwrap();
    resident.admit(join.clone()).unwrap();
    let after = outbox(&one.rooms);
    assert_eq!(after.strip_prefix(&*before).unwrap(), [join.event_id()]);
    // Its number is the event's position: both are of one transaction.
    let position = one.stored(join.event_id()).unwrap().meta.position;
    assert!(one.rooms.storage.get(&OUTBOX, &position).unwrap().is_some());
}
