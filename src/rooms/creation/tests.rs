use ruma::RoomVersionId;
use serde_json::{Value, json};

use super::*;
use crate::{
    matrix::room_versions::SUPPORTED,
    rooms::testing::{RoomsFixture, content},
    storage::{
        Direction,
        records::Membership,
        tables::{EVENT_META, PUBLIC_ROOMS, ROOM_CHANGES, ROOMS, SHORT_IDS, STRIPPED_STATE},
    },
};

fn alice() -> OwnedUserId {
    RoomsFixture::user("alice")
}

fn types_and_keys(fixture: &RoomsFixture, room: &ruma::RoomId) -> Vec<String> {
    let timeline = fixture.timeline(room);
    let named = timeline.iter().map(|event| format!("{} {}", event.event_type(), event.state_key().unwrap()));
    named.map(|text| text.trim_end().replace(":example.org", "")).collect()
}

fn full_room() -> NewRoom {
    NewRoom {
        alias_localpart: Some("pub".to_owned()),
        name: Some("The Pub".to_owned()),
        topic: Some("Beer".to_owned()),
        invite: vec![RoomsFixture::user("bob"), RoomsFixture::user("carol"), RoomsFixture::user("bob")],
        is_direct: true,
        initial_state: vec![
            InitialState {
                event_type: "m.room.encryption".to_owned(),
                state_key: String::new(),
                content: content(json!({"algorithm": "m.megolm.v1.aes-sha2"})),
            },
            InitialState {
                event_type: "m.room.name".to_owned(),
                state_key: String::new(),
                content: content(json!({"name": "replaced by `name`"})),
            },
            InitialState {
                event_type: "m.room.history_visibility".to_owned(),
                state_key: String::new(),
                content: content(json!({"history_visibility": "joined"})),
            },
        ],
        ..NewRoom::by(alice())
    }
}

#[test]
fn events_come_in_the_order_of_the_spec() {
    let fixture = RoomsFixture::new();
    let room = fixture.create(full_room());
    assert_eq!(
        types_and_keys(&fixture, &room),
        [
            "m.room.create",
            "m.room.member @alice",
            "m.room.power_levels",
            "m.room.canonical_alias",
            "m.room.join_rules",
            "m.room.guest_access",
            "m.room.encryption",
            "m.room.history_visibility",
            "m.room.name",
            "m.room.topic",
            "m.room.member @bob",
            "m.room.member @carol",
        ]
    );
    assert_eq!(fixture.state_content(&room, "m.room.name", "")["name"], "The Pub");
    let topic = fixture.state_content(&room, "m.room.topic", "");
    assert_eq!(topic, json!({"topic": "Beer", "m.topic": {"m.text": [{"body": "Beer"}]}}));
    let invite = fixture.state_content(&room, "m.room.member", "@bob:example.org");
    assert_eq!(invite, json!({"membership": "invite", "displayname": "BOB", "is_direct": true}));
    let alias = OwnedRoomAliasId::try_from("#pub:example.org").unwrap();
    let row = fixture.storage.get(&ALIASES, &alias).unwrap().unwrap();
    assert_eq!(row.0, fixture.short(&room));
}

#[test]
fn every_version_makes_a_linear_chain_of_valid_events() {
    let fixture = RoomsFixture::new();
    for version in SUPPORTED {
        let room = fixture.create(NewRoom {
            version: Some(version.clone()),
            alias_localpart: Some(format!("v{version}")),
            ..full_room()
        });
        let events = fixture.timeline(&room);
        let create: Value = events[0].content().unwrap();
        assert_eq!(create["room_version"], version.as_str());
        let has_creator = !matches!(version, RoomVersionId::V11 | RoomVersionId::V12);
        assert_eq!(create.get("creator").is_some(), has_creator, "{version}");
        for (before, after) in events.iter().zip(&events[1..]) {
            assert_eq!(after.prev_events(), [before.event_id().to_owned()]);
            assert_eq!(after.depth(), before.depth() + 1);
            assert_eq!(after.room_id(), room);
        }
        for event in events.iter().skip(2) {
            assert!(!event.auth_events().is_empty(), "{version} {}", event.event_type());
        }
        let head = fixture.index.head(fixture.short(&room)).unwrap().unwrap();
        assert_eq!(head.depth, events.last().unwrap().depth());
        assert_eq!(fixture.index.member_counts(fixture.short(&room)).unwrap(), (1, 2));
    }
}

#[test]
fn presets_give_the_state_of_the_spec() {
    let fixture = RoomsFixture::new();
    let cases = [
        (Some(Preset::PrivateChat), true, "invite", Some("can_join"), 0),
        (Some(Preset::TrustedPrivateChat), false, "invite", Some("can_join"), 0),
        (Some(Preset::PublicChat), false, "public", None, 50),
        (None, true, "public", None, 50),
        (None, false, "invite", Some("can_join"), 0),
    ];
    for (preset, listed, join_rule, guest_access, invite) in cases {
        let room = fixture.create(NewRoom { preset, listed, ..NewRoom::by(alice()) });
        assert_eq!(fixture.state_content(&room, "m.room.join_rules", "")["join_rule"], join_rule);
        // A room without the event keeps guests out.
        let guests = fixture.state_content(&room, "m.room.guest_access", "");
        assert_eq!(guests["guest_access"].as_str(), guest_access);
        let visibility = fixture.state_content(&room, "m.room.history_visibility", "");
        assert_eq!(visibility["history_visibility"], "shared");
        assert_eq!(fixture.state_content(&room, "m.room.power_levels", "")["invite"], invite);
        let in_directory = fixture.storage.contains(&PUBLIC_ROOMS, &fixture.short(&room)).unwrap();
        assert_eq!(in_directory, listed);
    }
}

#[test]
fn trusted_invitees_have_the_creators_power() {
    let fixture = RoomsFixture::new();
    let bob = RoomsFixture::user("bob");
    let new = |version| NewRoom {
        version: Some(version),
        preset: Some(Preset::TrustedPrivateChat),
        invite: vec![bob.clone()],
        ..NewRoom::by(alice())
    };
    let old = fixture.create(new(RoomVersionId::V11));
    let levels = fixture.state_content(&old, "m.room.power_levels", "");
    assert_eq!(levels["users"], json!({"@alice:example.org": 100, "@bob:example.org": 100}));
    assert_eq!(levels["events"]["m.room.tombstone"], 100);
    assert_eq!(fixture.state_content(&old, "m.room.create", ""), json!({"room_version": "11"}));

    let named = json!({"additional_creators": ["@bob:example.org", "@carol:example.org"], "type": "m.space"});
    let new = NewRoom { creation_content: content(named), ..new(RoomVersionId::V12) };
    let new = fixture.create(new);
    let levels = fixture.state_content(&new, "m.room.power_levels", "");
    assert_eq!(levels["users"], json!({}));
    assert_eq!(levels["events"]["m.room.tombstone"], 150);
    let create = fixture.state_content(&new, "m.room.create", "");
    assert_eq!(create["additional_creators"], json!(["@bob:example.org", "@carol:example.org"]));
    let record = fixture.index.record(fixture.short(&new)).unwrap().unwrap();
    assert_eq!(record.room_type.as_deref(), Some("m.space"));
    assert!(record.federate);
}

/// Everything that a refused creation must leave as it was.
fn row_counts(fixture: &RoomsFixture) -> [usize; 6] {
    let storage = &fixture.storage;
    [
        storage.scan(&ROOMS, &ROOMS.all(), Direction::Forward).count(),
        storage.scan(&EVENT_META, &EVENT_META.all(), Direction::Forward).count(),
        storage.scan(&ROOM_CHANGES, &ROOM_CHANGES.all(), Direction::Forward).count(),
        storage.scan(&ALIASES, &ALIASES.all(), Direction::Forward).count(),
        storage.scan(&STRIPPED_STATE, &STRIPPED_STATE.all(), Direction::Forward).count(),
        storage.scan(&SHORT_IDS, &SHORT_IDS.all(), Direction::Forward).count(),
    ]
}

#[test]
fn a_refused_creation_leaves_nothing() {
    let fixture = RoomsFixture::new();
    let before = row_counts(&fixture);
    let override_ = content(json!({"users": {"@alice:example.org": 0}, "events": {"m.room.name": 50}}));
    let version = Some(RoomVersionId::V11);
    let outcome =
        fixture.creator.create(&NewRoom { power_level_override: override_, version, ..full_room() });
    assert!(matches!(outcome, Err(RoomError::InvalidInitialState(_))), "{outcome:?}");

    let override_ = content(json!({"users": {"@alice:example.org": 100}}));
    let outcome = fixture.creator.create(&NewRoom { power_level_override: override_, ..full_room() });
    assert!(matches!(outcome, Err(RoomError::InvalidInitialState(_))), "a creator has no level: {outcome:?}");
    assert_eq!(row_counts(&fixture), before);
}

#[test]
fn an_alias_is_given_once() {
    let fixture = RoomsFixture::new();
    fixture.create(full_room());
    let before = row_counts(&fixture);
    let outcome = fixture.creator.create(&full_room());
    assert!(matches!(outcome, Err(RoomError::AliasTaken(_))), "{outcome:?}");
    assert_eq!(row_counts(&fixture), before);
    for localpart in ["", "a b", "a:b", "#a", "a\0"] {
        let new = NewRoom { alias_localpart: Some(localpart.to_owned()), ..NewRoom::by(alice()) };
        let outcome = fixture.creator.create(&new);
        assert!(matches!(outcome, Err(RoomError::InvalidParameter(_))), "{localpart:?}: {outcome:?}");
    }
}

#[test]
fn malformed_creation_content_is_refused() {
    let fixture = RoomsFixture::new();
    for (key, value) in [
        ("m.federate", json!("no")),
        ("type", json!(1)),
        ("predecessor", json!([])),
        ("additional_creators", json!("@bob:example.org")),
        ("additional_creators", json!([1])),
        ("additional_creators", json!(["bob"])),
    ] {
        let new = NewRoom { creation_content: content(json!({ key: value })), ..NewRoom::by(alice()) };
        let outcome = fixture.creator.create(&new);
        assert!(matches!(outcome, Err(RoomError::BadContent(_))), "{key}: {outcome:?}");
    }
    let version = Some(RoomVersionId::try_from("org.example.99").unwrap());
    let outcome = fixture.creator.create(&NewRoom { version, ..NewRoom::by(alice()) });
    assert!(matches!(outcome, Err(RoomError::UnsupportedVersion(_))), "{outcome:?}");
}

#[test]
fn equal_rooms_in_one_millisecond_get_different_ids() {
    let fixture = RoomsFixture::new();
    let rooms: std::collections::HashSet<_> =
        (0..5).map(|_| fixture.creator.create(&NewRoom::by(alice())).unwrap()).collect();
    assert_eq!(rooms.len(), 5);
}

#[test]
fn the_invited_see_what_room_it_is() {
    let fixture = RoomsFixture::new();
    let room = fixture.create(full_room());
    let bob = fixture.storage.short_user_id(&RoomsFixture::user("bob")).unwrap().unwrap();
    let stripped = fixture.storage.get(&STRIPPED_STATE, &(bob, fixture.short(&room))).unwrap().unwrap().0;
    let shown: Vec<Value> = stripped.iter().map(|event| serde_json::from_str(event.get()).unwrap()).collect();
    let types: Vec<_> = shown.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        types,
        [
            "m.room.create",
            "m.room.name",
            "m.room.topic",
            "m.room.join_rules",
            "m.room.canonical_alias",
            "m.room.encryption",
            "m.room.member",
            "m.room.member",
        ]
    );
    for event in &shown {
        let keys: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["content", "sender", "state_key", "type"]);
    }
    assert_eq!(shown[6]["state_key"], "@alice:example.org");
    assert_eq!(shown[7]["state_key"], "@bob:example.org");
    let row = fixture.index.membership(bob, fixture.short(&room)).unwrap().unwrap();
    assert_eq!(row.membership, Membership::Invite);
}

#[test]
fn a_huge_list_of_creators_is_refused_in_time_that_grows_with_its_length() {
    let fixture = RoomsFixture::new();
    // If each were compared with each, the test would not end.
    let creators: Vec<_> = (0..300_000).map(|number| format!("@u{number}:example.org")).collect();
    let creation_content = content(json!({ "additional_creators": creators }));
    let outcome = fixture.creator.create(&NewRoom { creation_content, ..NewRoom::by(alice()) });
    assert!(matches!(outcome, Err(RoomError::Build(_))), "{outcome:?}");
}
