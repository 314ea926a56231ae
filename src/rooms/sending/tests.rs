use ruma::{OwnedDeviceId, OwnedRoomId, OwnedUserId, RoomVersionId};
use serde_json::{Value, json};

use super::*;
use crate::{
    rooms::{
        creation::{NewRoom, Preset},
        testing::{RoomsFixture, content},
    },
    storage::Read,
};

struct Sending {
    fixture: RoomsFixture,
    sender: EventSender,
    room: OwnedRoomId,
    alice: OwnedUserId,
}

/// A room of Alice's that anyone may join, with the alias `#pub:example.org`.
fn sending(version: RoomVersionId) -> Sending {
    let fixture = RoomsFixture::new();
    let memberships = Memberships::new(fixture.appender.clone(), fixture.profiles.clone());
    let sender = EventSender::new(fixture.appender.clone(), memberships);
    let alice = RoomsFixture::user("alice");
    let room = fixture.create(NewRoom {
        version: Some(version),
        preset: Some(Preset::PublicChat),
        alias_localpart: Some("pub".to_owned()),
        ..NewRoom::by(alice.clone())
    });
    Sending { fixture, sender, room, alice }
}

fn state_event(event_type: &str, state_key: &str, json: Value) -> StateEvent {
    let (event_type, state_key) = (event_type.to_owned(), state_key.to_owned());
    StateEvent { event_type, state_key, content: content(json), at_ms: None, sticky_ms: None }
}

impl Sending {
    fn transaction(&self, path: &str, id: &str) -> ClientTransaction {
        let user = self.fixture.storage.short_user_id(&self.alice).unwrap().unwrap();
        let (path, transaction_id) = (path.to_owned(), id.to_owned());
        ClientTransaction { user, device: OwnedDeviceId::from("PHONE"), path, transaction_id }
    }

    fn send(&self, json: Value, id: &str) -> Result<OwnedEventId, RoomError> {
        let message = Message {
            event_type: "m.room.message".to_owned(),
            content: content(json),
            at_ms: None,
            sticky_ms: None,
        };
        self.sender.send(&self.room, &self.alice, message, &self.transaction("send", id))
    }

    fn put(&self, event_type: &str, json: Value) -> Result<OwnedEventId, RoomError> {
        self.sender.put_state(&self.room, &self.alice, state_event(event_type, "", json))
    }
}

#[test]
fn a_message_is_sent_once_a_transaction() {
    let sending = sending(RoomVersionId::V12);
    let hello = json!({"msgtype": "m.text", "body": "hello"});
    let first = sending.send(hello.clone(), "1").unwrap();
    assert_eq!(sending.send(hello.clone(), "1").unwrap(), first);
    assert_ne!(sending.send(hello, "2").unwrap(), first);

    let redact = |id: &str| {
        let (room, alice) = (&sending.room, &sending.alice);
        sending.sender.redact(room, alice, &first, None, &sending.transaction("redact", id)).unwrap()
    };
    assert_eq!(redact("1"), redact("1"));
    assert_eq!(sending.fixture.events.by_id(&first).unwrap().unwrap().event.content_json(), "{}");
}

#[test]
fn who_is_not_in_the_room_can_not_tell_it_from_none() {
    let sending = sending(RoomVersionId::V12);
    let mallory = RoomsFixture::user("mallory");
    let unknown = OwnedRoomId::try_from("!unknown:example.org").unwrap();
    for room in [&sending.room, &unknown] {
        let message = Message {
            event_type: "m.room.message".to_owned(),
            content: content(json!({})),
            at_ms: None,
            sticky_ms: None,
        };
        let outcome = sending.sender.send(room, &mallory, message, &sending.transaction("send", "1"));
        assert_eq!(outcome.unwrap_err().to_string(), "@mallory:example.org is not in the room");
        let outcome = sending.sender.put_state(room, &mallory, state_event("m.room.topic", "", json!({})));
        assert_eq!(outcome.unwrap_err().to_string(), "@mallory:example.org is not in the room");
    }
}

#[test]
fn events_over_a_limit_are_too_large() {
    let sending = sending(RoomVersionId::V12);
    let too_large = |outcome: Result<OwnedEventId, RoomError>| match outcome {
        Err(RoomError::Build(crate::matrix::builder::BuildError::Format(format))) => format.is_too_large(),
        other => panic!("{other:?}"),
    };
    assert!(too_large(sending.send(json!({"body": "x".repeat(65_536)}), "1")));
    assert!(too_large(sending.put(&"t".repeat(256), json!({}))));
    sending.put(&"t".repeat(255), json!({})).unwrap();
}

#[test]
fn state_set_to_what_it_is_sends_nothing() {
    let sending = sending(RoomVersionId::V12);
    let topic = json!({"topic": "Tea"});
    let first = sending.put("m.room.topic", topic.clone()).unwrap();
    let events = sending.fixture.timeline(&sending.room).len();
    assert_eq!(sending.put("m.room.topic", topic).unwrap(), first);
    assert_eq!(sending.fixture.timeline(&sending.room).len(), events);
    assert_ne!(sending.put("m.room.topic", json!({"topic": "Coffee"})).unwrap(), first);
}

#[test]
fn new_aliases_must_name_the_room() {
    let sending = sending(RoomVersionId::V12);
    let elsewhere = sending.fixture.create(NewRoom {
        alias_localpart: Some("elsewhere".to_owned()),
        ..NewRoom::by(sending.alice.clone())
    });
    assert_ne!(elsewhere, sending.room);
    let put = |json: Value| sending.put("m.room.canonical_alias", json);
    for bad in ["#elsewhere:example.org", "#unknown:example.org", "#pub:elsewhere.org"] {
        for content in [json!({"alias": bad}), json!({"alt_aliases": [bad]})] {
            let outcome = put(content);
            assert!(matches!(outcome, Err(RoomError::BadAlias(_))), "{bad}: {outcome:?}");
        }
    }
    for wrong in [
        json!({"alias": "pub"}),
        json!({"alias": 1}),
        json!({"alt_aliases": "#pub:example.org"}),
        json!({"alt_aliases": [1]}),
        json!({"alt_aliases": ["!pub:example.org"]}),
    ] {
        let outcome = put(wrong.clone());
        assert!(matches!(outcome, Err(RoomError::InvalidParameter(_))), "{wrong}: {outcome:?}");
    }
    put(json!({"alias": "#pub:example.org", "alt_aliases": ["#pub:example.org"]})).unwrap();
    put(json!({"alias": null})).unwrap();
    put(json!({"alias": ""})).unwrap();
    put(json!({})).unwrap();
}

#[test]
fn aliases_that_were_there_before_are_not_looked_at() {
    let sending = sending(RoomVersionId::V12);
    let alias = ruma::OwnedRoomAliasId::try_from("#pub:example.org").unwrap();
    sending.put("m.room.canonical_alias", json!({"alias": "#pub:example.org"})).unwrap();
    let room = sending.fixture.short(&sending.room);
    sending
        .fixture
        .storage
        .write(|rows| {
            rows.delete(&crate::storage::tables::ALIASES, &alias);
            rows.delete(&crate::storage::tables::ROOM_ALIASES, &(room, alias.clone()));
            Ok::<_, RoomError>(())
        })
        .unwrap();
    sending.put("m.room.canonical_alias", json!({"alt_aliases": ["#pub:example.org"]})).unwrap();
}

#[test]
fn malformed_power_levels_are_bad_json() {
    for version in [RoomVersionId::V1, RoomVersionId::V12] {
        let sending = sending(version);
        for wrong in [
            json!({"ban": "lots"}),
            json!({"users": {"alice": 100}}),
            json!({"events": []}),
            json!({"notifications": {"room": {}}}),
        ] {
            let outcome = sending.put("m.room.power_levels", wrong.clone());
            assert!(matches!(outcome, Err(RoomError::BadContent(_))), "{wrong}: {outcome:?}");
        }
    }
}

#[test]
fn member_state_goes_the_members_way() {
    let sending = sending(RoomVersionId::V12);
    let bob = RoomsFixture::user("bob");
    let put = |state_key: &str, json: Value| {
        let (room, alice) = (&sending.room, &sending.alice);
        sending.sender.put_state(room, alice, state_event("m.room.member", state_key, json))
    };
    put(bob.as_str(), json!({"membership": "invite"})).unwrap();
    let member = sending.fixture.state_content(&sending.room, "m.room.member", bob.as_str());
    assert_eq!(member, json!({"membership": "invite", "displayname": "BOB"}));
    let outcome = put("bob", json!({"membership": "invite"}));
    assert!(matches!(outcome, Err(RoomError::InvalidParameter(_))), "{outcome:?}");
    let outcome = put("@bob:elsewhere.org", json!({"membership": "invite"}));
    assert!(matches!(outcome, Err(RoomError::RemoteUser(_))), "{outcome:?}");
    let outcome = sending.put("m.room.create", json!({}));
    assert!(matches!(outcome, Err(RoomError::Refused(_))), "{outcome:?}");
}
