use ruma::RoomVersionId;
use serde_json::{Value, json};

use super::{ALICE, BOB, number};
use crate::matrix::{
    AuthRefusal,
    room_versions::SUPPORTED,
    test_rooms::{CREATOR, TestRoom},
};

const CAROL: &str = "@carol:example.org";

fn member(room: &TestRoom, sender: &str, target: &str, membership: &str) -> Result<(), AuthRefusal> {
    room.attempt(sender, "m.room.member", Some(target), json!({"membership": membership}))
}

/// Power levels with Alice 50, Carol 50, Bob 0, the creator 100 (or infinite).
fn levels(version: &RoomVersionId, mut content: Value) -> Value {
    content["users"] = json!({ALICE: 50, CAROL: 50});
    if number(version) < 12 {
        content["users"][CREATOR] = json!(100);
    }
    content
}

#[test]
fn form() {
    for version in SUPPORTED {
        let room = TestRoom::new(&version);
        let attempt = |state_key: Option<&str>, content: Value| {
            room.attempt(CREATOR, "m.room.member", state_key, content)
        };
        assert_eq!(attempt(None, json!({"membership": "join"})), Err(AuthRefusal::MemberWithoutUser));
        assert_eq!(attempt(Some("x"), json!({"membership": "join"})), Err(AuthRefusal::MemberWithoutUser));
        for content in [json!({}), json!({"membership": 1}), json!({"membership": "friend"})] {
            assert_eq!(attempt(Some(CREATOR), content), Err(AuthRefusal::UnknownMembership), "{version}");
        }
    }
}

/// What becomes of a user's own join, by join rule and by their membership before. The number is the
/// room version since which it is allowed, 0 being never.
#[test]
fn joins_by_rule_and_membership() {
    const TABLE: [(&str, [u32; 6]); 7] = [
        // (join rule, [none, leave, invite, join, knock, ban])
        ("public", [1, 1, 1, 1, 1, 0]),
        ("invite", [0, 0, 1, 1, 0, 0]),
        ("knock", [0, 0, 7, 7, 0, 0]),
        ("restricted", [0, 0, 8, 8, 0, 0]),
        ("knock_restricted", [0, 0, 10, 10, 0, 0]),
        ("private", [0, 0, 0, 0, 0, 0]),
        ("absent", [0, 0, 1, 1, 0, 0]),
    ];
    const BEFORE: [&str; 6] = ["none", "leave", "invite", "join", "knock", "ban"];
    for version in SUPPORTED {
        for (join_rule, since) in TABLE {
            for (before, since) in BEFORE.into_iter().zip(since) {
                let mut room = TestRoom::new(&version);
                if join_rule != "absent" {
                    room.put_join_rule(join_rule);
                }
                if before != "none" {
                    room.put_member(BOB, before);
                }
                let outcome = member(&room, BOB, BOB, "join");
                let is_allowed = since != 0 && number(&version) >= since;
                assert_eq!(outcome.is_ok(), is_allowed, "{version} {join_rule} {before}: {outcome:?}");
                if before == "ban" {
                    assert_eq!(outcome, Err(AuthRefusal::Banned(BOB.try_into().unwrap())));
                }
            }
        }
    }
}

#[test]
fn the_creator_joins_first_and_nobody_else() {
    for version in SUPPORTED {
        let mut room = TestRoom::new(&version);
        // Back to the moment after the create event.
        room.events.truncate(1);
        room.last = room.events.first().cloned();
        room.state.retain(|(event_type, _), _| event_type == "m.room.create");
        assert_eq!(member(&room, CREATOR, CREATOR, "join"), Ok(()), "{version}");
        assert!(member(&room, ALICE, ALICE, "join").is_err(), "{version}");
        // Not once another event stands between.
        room.put_state(CREATOR, "m.room.topic", "", json!({}));
        let refusal = AuthRefusal::NotInvited(CREATOR.try_into().unwrap());
        assert_eq!(member(&room, CREATOR, CREATOR, "join"), Err(refusal), "{version}");
    }
}

#[test]
fn an_additional_creator_does_not_join_by_the_first_clause() {
    let mut room =
        TestRoom::with_create_content(&RoomVersionId::V12, json!({"additional_creators": [ALICE]}));
    room.events.truncate(1);
    room.last = room.events.first().cloned();
    room.state.retain(|(event_type, _), _| event_type == "m.room.create");
    assert!(member(&room, ALICE, ALICE, "join").is_err());
}

#[test]
fn nobody_joins_or_knocks_for_another() {
    for version in SUPPORTED {
        for (join_rule, membership) in [("public", "join"), ("knock", "knock")] {
            let mut room = TestRoom::new(&version);
            room.put_join_rule(join_rule);
            let outcome = member(&room, CREATOR, BOB, membership);
            if membership == "knock" && number(&version) < 7 {
                assert_eq!(outcome, Err(AuthRefusal::UnknownMembership), "{version}");
            } else {
                let refusal = AuthRefusal::MembershipOfAnother(CREATOR.try_into().unwrap());
                assert_eq!(outcome, Err(refusal), "{version}");
            }
        }
    }
}

#[test]
fn restricted_joins_need_a_member_who_may_invite() {
    for version in SUPPORTED {
        for (join_rule, since) in [("restricted", 8), ("knock_restricted", 10)] {
            let mut room = TestRoom::new(&version);
            room.put_levels(levels(&version, json!({"invite": 50})));
            room.put_join_rule(join_rule);
            room.put_member(ALICE, "join");
            room.put_member("@low:example.org", "join");
            let join = |authoriser: Value| {
                let mut content = json!({"membership": "join"});
                content["join_authorised_via_users_server"] = authoriser;
                room.attempt(BOB, "m.room.member", Some(BOB), content)
            };
            let name = format!("{version} {join_rule}");
            if number(&version) < since {
                assert_eq!(
                    join(json!(ALICE)),
                    Err(AuthRefusal::NotInvited(BOB.try_into().unwrap())),
                    "{name}"
                );
                continue;
            }
            assert_eq!(join(json!(ALICE)), Ok(()), "{name}");
            let absent = AuthRefusal::AuthorisingUserNotJoined(CAROL.try_into().unwrap());
            assert_eq!(join(json!(CAROL)), Err(absent), "{name}");
            assert!(
                matches!(join(json!("@low:example.org")), Err(AuthRefusal::InsufficientPower { .. })),
                "{name}"
            );
            assert_eq!(join(json!("nobody")), Err(AuthRefusal::RestrictedJoinNotAuthorised), "{name}");
            assert_eq!(join(json!(null)), Err(AuthRefusal::RestrictedJoinNotAuthorised), "{name}");
        }
    }
}

/// Invites by Alice (level 50) to Bob, by Alice's membership, Bob's membership and the invite level.
#[test]
fn invites() {
    for version in SUPPORTED {
        for (alice, bob, invite_level, is_allowed) in [
            ("join", "leave", 50, true),
            ("join", "knock", 50, true),
            ("join", "invite", 50, true),
            ("join", "join", 50, false),
            ("join", "ban", 50, false),
            ("join", "leave", 51, false),
            ("invite", "leave", 0, false),
            ("leave", "leave", 0, false),
        ] {
            let mut room = TestRoom::new(&version);
            room.put_levels(levels(&version, json!({"invite": invite_level})));
            room.put_member(ALICE, alice);
            room.put_member(BOB, bob);
            let outcome = member(&room, ALICE, BOB, "invite");
            assert_eq!(outcome.is_ok(), is_allowed, "{version} {alice} {bob} {invite_level}: {outcome:?}");
        }
    }
}

#[test]
fn leaving_by_oneself() {
    for version in SUPPORTED {
        for (before, since) in [("join", 1), ("invite", 1), ("knock", 7), ("leave", 0), ("ban", 0)] {
            let mut room = TestRoom::new(&version);
            room.put_member(BOB, before);
            let outcome = member(&room, BOB, BOB, "leave");
            assert_eq!(outcome.is_ok(), since != 0 && number(&version) >= since, "{version} {before}");
        }
        let room = TestRoom::new(&version);
        let refusal = AuthRefusal::NothingToLeave(BOB.try_into().unwrap());
        assert_eq!(member(&room, BOB, BOB, "leave"), Err(refusal), "{version}");
    }
}

/// Kicks, unbans and bans by Alice (level 50).
#[test]
fn removing_others() {
    for version in SUPPORTED {
        for (what, target, before, kick, ban, is_allowed) in [
            ("leave", BOB, "join", 50, 50, true),
            ("leave", BOB, "invite", 50, 50, true),
            ("leave", BOB, "knock", 50, 50, true),
            ("leave", BOB, "join", 51, 50, false),
            // Equal power does not suffice.
            ("leave", CAROL, "join", 50, 50, false),
            ("leave", CREATOR, "join", 50, 50, false),
            // An unban needs both levels.
            ("leave", BOB, "ban", 50, 50, true),
            ("leave", BOB, "ban", 50, 51, false),
            ("leave", BOB, "ban", 51, 50, false),
            ("ban", BOB, "join", 90, 50, true),
            ("ban", BOB, "leave", 90, 50, true),
            ("ban", BOB, "ban", 90, 50, true),
            ("ban", BOB, "join", 50, 51, false),
            ("ban", CAROL, "join", 50, 50, false),
            ("ban", CREATOR, "join", 50, 50, false),
        ] {
            let mut room = TestRoom::new(&version);
            room.put_levels(levels(&version, json!({"kick": kick, "ban": ban})));
            room.put_member(ALICE, "join");
            room.put_member(target, before);
            let outcome = member(&room, ALICE, target, what);
            let name = format!("{version} {what} {target} {before} {kick} {ban}: {outcome:?}");
            assert_eq!(outcome.is_ok(), is_allowed, "{name}");
            // Never by somebody who is not in the room.
            room.put_member(ALICE, "leave");
            let refusal = AuthRefusal::SenderNotJoined(ALICE.try_into().unwrap());
            assert_eq!(member(&room, ALICE, target, what), Err(refusal), "{name}");
        }
    }
}

#[test]
fn creators_of_version_12_can_not_remove_each_other() {
    let mut room =
        TestRoom::with_create_content(&RoomVersionId::V12, json!({"additional_creators": [ALICE]}));
    room.put_member(ALICE, "join");
    room.put_member(BOB, "join");
    for what in ["leave", "ban"] {
        assert!(matches!(member(&room, CREATOR, ALICE, what), Err(AuthRefusal::TargetNotBelowSender { .. })));
        assert!(matches!(member(&room, ALICE, CREATOR, what), Err(AuthRefusal::TargetNotBelowSender { .. })));
        assert_eq!(member(&room, ALICE, BOB, what), Ok(()));
    }
}

#[test]
fn knocks() {
    for version in SUPPORTED {
        for (join_rule, since) in
            [("knock", 7), ("knock_restricted", 10), ("invite", 0), ("public", 0), ("restricted", 0)]
        {
            for (before, may) in
                [("leave", true), ("knock", true), ("invite", false), ("join", false), ("ban", false)]
            {
                let mut room = TestRoom::new(&version);
                room.put_join_rule(join_rule);
                room.put_member(BOB, before);
                let outcome = member(&room, BOB, BOB, "knock");
                let is_allowed = may && since != 0 && number(&version) >= since;
                assert_eq!(outcome.is_ok(), is_allowed, "{version} {join_rule} {before}: {outcome:?}");
                if number(&version) < 7 {
                    assert_eq!(outcome, Err(AuthRefusal::UnknownMembership));
                }
            }
        }
    }
}
