use ruma::RoomVersionId;
use serde_json::{Value, json};

use super::{ALICE, BOB, number};
use crate::matrix::{
    AuthRefusal,
    auth_rules::check_state_independent,
    room_versions::SUPPORTED,
    test_rooms::{CREATOR, TestRoom},
};

fn create(version: &RoomVersionId, sender: &str, content: Value) -> Result<(), AuthRefusal> {
    let room = TestRoom::empty(version);
    let event = room.build(room.draft(sender, "m.room.create", Some(""), content));
    check_state_independent(&event, &room.rules, &[], None)
}

#[test]
fn previous_events_are_refused() {
    for version in SUPPORTED {
        let room = TestRoom::new(&version);
        let mut draft = room.draft(CREATOR, "m.room.create", Some(""), json!({"creator": CREATOR}));
        if number(&version) >= 12 {
            draft.room_id = None;
        }
        assert_eq!(room.check(&room.build(draft)), Err(AuthRefusal::CreateHasPrevEvents), "{version}");
    }
}

#[test]
fn the_room_is_of_the_creators_server_before_12() {
    for version in SUPPORTED {
        let outcome = create(&version, BOB, json!({"creator": BOB}));
        if number(&version) < 12 {
            assert!(matches!(outcome, Err(AuthRefusal::CreateForOtherServer(_))), "{version}");
        } else {
            outcome.unwrap();
        }
    }
}

#[test]
fn the_creator_is_named_before_11() {
    for version in SUPPORTED {
        let outcome = create(&version, ALICE, json!({"room_version": version.as_str()}));
        let expected = if number(&version) < 11 { Err(AuthRefusal::CreateWithoutCreator) } else { Ok(()) };
        assert_eq!(outcome, expected, "{version}");
    }
}

#[test]
fn the_room_version_must_be_known() {
    for content in [
        json!({"creator": ALICE, "room_version": "org.example"}),
        json!({"creator": ALICE, "room_version": 5}),
    ] {
        let outcome = create(&RoomVersionId::V6, ALICE, content.clone());
        assert!(matches!(outcome, Err(AuthRefusal::UnknownRoomVersion(_))), "{content}");
    }
}

#[test]
fn additional_creators_are_user_ids_since_12() {
    for additional in [json!("@a:example.org"), json!([5]), json!(["alice"]), json!({}), json!(null)] {
        let content = json!({"additional_creators": additional});
        assert_eq!(
            create(&RoomVersionId::V12, ALICE, content.clone()),
            Err(AuthRefusal::InvalidAdditionalCreators),
            "{additional}"
        );
        assert_eq!(create(&RoomVersionId::V11, ALICE, content), Ok(()), "{additional}");
    }
    assert_eq!(create(&RoomVersionId::V12, ALICE, json!({"additional_creators": [BOB]})), Ok(()));
    assert_eq!(create(&RoomVersionId::V12, ALICE, json!({"additional_creators": []})), Ok(()));
}

#[test]
fn a_room_that_is_not_federated_is_for_its_server_only() {
    for version in SUPPORTED {
        for (federate, is_open) in [(json!(false), false), (json!(true), true), (json!("no"), true)] {
            let mut room = TestRoom::with_create_content(&version, json!({"m.federate": federate}));
            room.put_join_rule("public");
            let join =
                |user: &str| room.attempt(user, "m.room.member", Some(user), json!({"membership": "join"}));
            assert_eq!(join(ALICE), Ok(()), "{version}");
            assert_eq!(join(BOB), if is_open { Ok(()) } else { Err(AuthRefusal::NotFederated) }, "{version}");
        }
    }
}
