use serde_json::json;

use super::*;
use crate::{
    rooms::{
        Memberships,
        testing::{RoomsFixture, content},
    },
    storage::tables::ALIASES,
};

struct Setting {
    fixture: RoomsFixture,
    upgrades: RoomUpgrades,
    alice: OwnedUserId,
    bob: OwnedUserId,
}

impl Setting {
    fn new() -> Self {
        let fixture = RoomsFixture::new();
        let memberships = Memberships::new(fixture.appender.clone(), fixture.profiles.clone());
        let sender = EventSender::new(fixture.appender.clone(), memberships);
        let upgrades = RoomUpgrades::new(fixture.appender.clone(), fixture.creator.clone(), sender);
        Self { fixture, upgrades, alice: RoomsFixture::user("alice"), bob: RoomsFixture::user("bob") }
    }

    fn old_room(&self, version: RoomVersionId) -> OwnedRoomId {
        let room = self.fixture.create(NewRoom {
            version: Some(version),
            preset: Some(Preset::PublicChat),
            listed: true,
            alias_localpart: Some("pub".to_owned()),
            name: Some("The Pub".to_owned()),
            creation_content: content(json!({ "m.federate": false })),
            ..NewRoom::by(self.alice.clone())
        });
        self.fixture.join(&room, &self.bob);
        room
    }

    fn upgrade(
        &self,
        room: &RoomId,
        user: &UserId,
        version: RoomVersionId,
    ) -> Result<OwnedRoomId, RoomError> {
        self.fixture.clock.advance_ms(1);
        self.upgrades.upgrade(&Upgrade {
            room_id: room,
            user,
            version: &version,
            additional_creators: vec![RoomsFixture::user("carol")],
        })
    }
}

#[test]
fn a_successor_has_the_state_names_and_bans_of_its_room() {
    for (old, new) in [
        (RoomVersionId::V9, RoomVersionId::V11),
        (RoomVersionId::V11, RoomVersionId::V12),
        (RoomVersionId::V12, RoomVersionId::V12),
        (RoomVersionId::V12, RoomVersionId::V11),
    ] {
        let setting = Setting::new();
        let fixture = &setting.fixture;
        let room = setting.old_room(old);
        let ban = json!({ "membership": "ban", "reason": "spam" });
        fixture.set_state(&room, &setting.alice, "m.room.member", "@mallory:example.org", ban).unwrap();
        let successor = setting.upgrade(&room, &setting.alice, new.clone()).unwrap();

        let create = fixture.state_content(&successor, "m.room.create", "");
        assert_eq!((&create["m.federate"], &create["room_version"]), (&json!(false), &json!(new.as_str())));
        assert_eq!(create["predecessor"]["room_id"], json!(room));
        assert_eq!(fixture.state_content(&successor, "m.room.name", "")["name"], "The Pub");
        assert_eq!(fixture.state_content(&successor, "m.room.join_rules", "")["join_rule"], "public");
        let banned = fixture.state_content(&successor, "m.room.member", "@mallory:example.org");
        assert_eq!(banned, json!({ "membership": "ban", "reason": "spam" }));
        let tombstone = fixture.state_content(&room, "m.room.tombstone", "");
        assert_eq!(tombstone["replacement_room"], json!(successor));
        let closed = fixture.state_content(&room, "m.room.power_levels", "");
        assert_eq!((&closed["events_default"], &closed["invite"]), (&json!(50), &json!(50)));

        let alias = ruma::owned_room_alias_id!("#pub:example.org");
        let named = fixture.storage.get(&ALIASES, &alias).unwrap().unwrap().0;
        assert_eq!(named, fixture.short(&successor));
        assert_eq!(fixture.state_content(&successor, "m.room.canonical_alias", "")["alias"], json!(alias));
        assert_eq!(fixture.state_content(&room, "m.room.canonical_alias", ""), json!({}));
        assert!(fixture.storage.contains(&PUBLIC_ROOMS, &fixture.short(&successor)).unwrap());
        assert!(!fixture.storage.contains(&PUBLIC_ROOMS, &fixture.short(&room)).unwrap());
        let users = fixture.state_content(&successor, "m.room.power_levels", "")["users"].clone();
        if new == RoomVersionId::V12 {
            assert_eq!(create["additional_creators"], json!(["@carol:example.org"]));
            assert_eq!(users, json!({}));
        } else {
            assert_eq!(users, json!({ "@alice:example.org": 100 }));
        }
    }
}

#[test]
fn who_has_less_power_than_the_state_asks_for_upgrades_with_it_and_keeps_none() {
    let setting = Setting::new();
    let room = setting.old_room(RoomVersionId::V10);
    let levels = json!({
        "users": { &setting.alice: 100, &setting.bob: 50 },
        "events": { "m.room.tombstone": 50, "m.room.name": 90, "m.room.power_levels": 50 },
    });
    setting.fixture.set_state(&room, &setting.alice, "m.room.power_levels", "", levels).unwrap();
    let successor = setting.upgrade(&room, &setting.bob, RoomVersionId::V11).unwrap();
    assert_eq!(setting.fixture.state_content(&successor, "m.room.name", "")["name"], "The Pub");
    let users = setting.fixture.state_content(&successor, "m.room.power_levels", "")["users"].clone();
    assert_eq!(users, json!({ &setting.alice: 100, &setting.bob: 50 }));
}

#[test]
fn only_who_may_end_a_room_upgrades_it_and_only_to_what_there_is() {
    let setting = Setting::new();
    let room = setting.old_room(RoomVersionId::V11);
    let refused = setting.upgrade(&room, &setting.bob, RoomVersionId::V12);
    assert!(matches!(refused, Err(RoomError::Forbidden(_))), "{refused:?}");
    let stranger = RoomsFixture::user("stranger");
    assert!(matches!(setting.upgrade(&room, &stranger, RoomVersionId::V12), Err(RoomError::Refused(_))));
    let unknown = RoomVersionId::try_from("org.example.99").unwrap();
    let refused = setting.upgrade(&room, &setting.alice, unknown);
    assert!(matches!(refused, Err(RoomError::UnsupportedVersion(_))), "{refused:?}");
    assert!(setting.fixture.state(&room, "m.room.tombstone", "").is_none());
}
