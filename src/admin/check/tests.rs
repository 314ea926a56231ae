//! A check finds nothing in what the server writes, and finds each kind of damage.

use ruma::server_name;
use serde_json::json;

use super::{Report, run};
use crate::{
    rooms::testing::RoomsFixture,
    storage::{
        Direction, Read, ShortEventId, ShortRoomId, StorageError, StreamPosition, TimelineKey, Transaction,
        records::Membership,
        tables::{
            ACCESS_TOKENS, CHAIN_PLACES, EVENT_JSON, EVENT_META, LOCAL_MEMBERS, MEMBER_COUNTS, MEMBERSHIPS,
            REFRESH_TOKENS, ROOM_CHANGES, ROOM_HEADS, ROOM_MEMBERS, ROOM_SERVERS, SERVER_ROOMS, SHORT_IDS,
            STATE_NODES, TIMELINE,
        },
    },
};

struct Scene {
    rooms: RoomsFixture,
    room: ShortRoomId,
    last_event: ShortEventId,
}

/// A room with members who came, went and were banned, messages, and a redaction.
fn scene() -> Scene {
    let rooms = RoomsFixture::new();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(RoomsFixture::user);
    let room_id = rooms.public_room(&alice);
    rooms.join(&room_id, &bob);
    rooms.join(&room_id, &carol);
    let said = rooms.say(&room_id, &bob, "something to be taken back");
    rooms.set_membership(&room_id, &carol, &carol, "leave").unwrap();
    rooms.set_membership(&room_id, &alice, &carol, "ban").unwrap();
    rooms.set_state(&room_id, &alice, "m.room.topic", "", json!({"topic": "checks"})).unwrap();
    let redaction = crate::rooms::appender::Draft::redaction(&bob, &said, None);
    let last = rooms.append(&room_id, redaction).unwrap();
    let room = rooms.short(&room_id);
    let last_event = rooms.storage.short_event_id(&last).unwrap().unwrap();
    Scene { rooms, room, last_event }
}

impl Scene {
    fn damage(&self, work: impl FnOnce(&mut Transaction<'_>)) {
        let done: Result<(), StorageError> = self.rooms.storage.write(|rows| {
            work(rows);
            Ok(())
        });
        done.unwrap();
    }

    fn check(&self, repair: bool) -> Report {
        run(&self.rooms.storage, server_name!("example.org"), repair).unwrap()
    }

    /// Asserts that the damage is found, with a sentence that has these words.
    fn finds(&self, words: &str) {
        let report = self.check(false);
        assert!(!report.is_clean());
        assert!(report.problems.iter().any(|problem| problem.contains(words)), "{words}: {report}");
    }
}

#[test]
fn nothing_is_wrong_with_what_the_server_writes() {
    let report = scene().check(false);
    assert!(report.is_clean(), "{report}");
    assert!(report.events >= 12 && report.rooms == 1, "{report}");
    assert!(report.to_string().ends_with("0 problems"));
}

#[test]
fn a_changed_or_missing_event_is_found() {
    let scene = scene();
    let json = scene.rooms.storage.get(&EVENT_JSON, &scene.last_event).unwrap().unwrap();
    let changed = String::from_utf8(json).unwrap().replace("m.room.redaction", "m.room.redactiom");
    scene.damage(|rows| rows.put(&EVENT_JSON, &scene.last_event, &changed.into_bytes()));
    scene.finds("its content has the id");
    scene.damage(|rows| rows.delete(&EVENT_JSON, &scene.last_event));
    scene.finds("its JSON is missing");
}

#[test]
fn a_changed_signature_is_found() {
    let scene = scene();
    let json = scene.rooms.storage.get(&EVENT_JSON, &scene.last_event).unwrap().unwrap();
    let mut event: serde_json::Value = serde_json::from_slice(&json).unwrap();
    for signature in event["signatures"]["example.org"].as_object_mut().unwrap().values_mut() {
        *signature = json!("AAAA");
    }
    scene.damage(|rows| rows.put(&EVENT_JSON, &scene.last_event, &event.to_string().into_bytes()));
    scene.finds("signature");
}

/// A third party's invite is not signed by its sender's server, and no longer looks like one once it is redacted.
#[test]
fn what_redaction_leaves_of_a_third_partys_invite_is_whole() {
    let rooms = RoomsFixture::new();
    let [alice, bob] = ["alice", "bob"].map(RoomsFixture::user);
    let room_id = rooms.public_room(&alice);
    let invite = rooms.set_membership(&room_id, &alice, &bob, "invite").unwrap();
    let short = rooms.storage.short_event_id(&invite).unwrap().unwrap();
    let unsign = || {
        let json = rooms.storage.get(&EVENT_JSON, &short).unwrap().unwrap();
        let mut event: serde_json::Value = serde_json::from_slice(&json).unwrap();
        event["signatures"] = json!({});
        let row = event.to_string().into_bytes();
        rooms
            .storage
            .write(|rows| {
                rows.put(&EVENT_JSON, &short, &row);
                Ok::<_, StorageError>(())
            })
            .unwrap();
        run(&rooms.storage, server_name!("example.org"), false).unwrap()
    };
    assert!(!unsign().is_clean(), "an invite of our own that nobody has signed");
    rooms.append(&room_id, crate::rooms::appender::Draft::redaction(&alice, &invite, None)).unwrap();
    let report = unsign();
    assert!(report.is_clean(), "{report}");
}

#[test]
fn an_event_without_its_row_is_found() {
    let scene = scene();
    scene.damage(|rows| rows.delete(&EVENT_META, &scene.last_event));
    scene.finds("it has JSON and no row");
    scene.finds("names an event without a row");
}

#[test]
fn a_gap_in_a_timeline_is_found() {
    let scene = scene();
    scene.damage(|rows| rows.delete(&TIMELINE, &(scene.room, TimelineKey(3))));
    scene.finds("its timeline goes on at");
}

#[test]
fn a_head_that_does_not_follow_is_found() {
    let scene = scene();
    scene.damage(|rows| {
        let mut head = rows.get(&ROOM_HEADS, &scene.room).unwrap().unwrap();
        head.state = [7; 16];
        rows.put(&ROOM_HEADS, &scene.room, &head);
    });
    scene.finds("its current state is not");
    scene.damage(|rows| rows.delete(&ROOM_HEADS, &scene.room));
    scene.finds("it has no head");
}

#[test]
fn a_missing_state_node_is_found() {
    let scene = scene();
    let head = scene.rooms.storage.get(&ROOM_HEADS, &scene.room).unwrap().unwrap();
    scene.damage(|rows| rows.delete(&STATE_NODES, &head.state));
    scene.finds("not sound");
}

#[test]
fn short_ids_that_disagree_are_found() {
    let scene = scene();
    scene.damage(|rows| rows.put(&SHORT_IDS, &(1, "!ghost:example.org".to_owned()), &99));
    scene.finds("stands for");
    scene.finds("above its counter");
}

#[test]
fn a_room_missing_from_the_order_of_changes_is_found() {
    let scene = scene();
    let range = ROOM_CHANGES.all();
    let row = scene.rooms.storage.scan(&ROOM_CHANGES, &range, Direction::Forward).next().unwrap();
    scene.damage(|rows| rows.delete(&ROOM_CHANGES, &row.unwrap().0));
    scene.finds("the order of changes");
}

#[test]
fn membership_rows_are_rebuilt_from_the_state() {
    let scene = scene();
    let user = |name| scene.rooms.storage.short_user_id(&RoomsFixture::user(name)).unwrap().unwrap();
    let (alice, bob) = (user("alice"), user("bob"));
    scene.damage(|rows| {
        rows.delete(&MEMBERSHIPS, &(bob, scene.room));
        rows.delete(&LOCAL_MEMBERS, &(scene.room, alice));
        rows.put(&ROOM_MEMBERS, &(scene.room, Membership::Invite, bob), &ShortEventId(1));
        rows.put(&MEMBER_COUNTS, &scene.room, &(17, 4));
        let server = rows.intern_server(server_name!("example.org")).unwrap();
        rows.delete(&SERVER_ROOMS, &(server, scene.room));
        let ghost = rows.intern_server(server_name!("ghost.example.org")).unwrap();
        rows.put(&ROOM_SERVERS, &(scene.room, ghost), &(1, StreamPosition(1)));
    });
    scene.finds("the membership row of");
    scene.finds("local members");
    scene.finds("members are listed");
    scene.finds("its counts of members");
    scene.finds("the rooms of the server");
    scene.finds("servers are listed");
    let repaired = scene.check(true);
    assert!(repaired.repaired >= 4 && repaired.is_clean(), "{repaired}");
    let again = scene.check(false);
    assert!(again.is_clean() && again.repaired == 0, "{again}");
}

/// Two servers of which each has forked the room, soft-failed something, and been given a state.
#[test]
fn nothing_is_wrong_with_what_is_received() {
    use crate::rooms::receiving::testing::two_servers;

    let (one, two, room) = two_servers(&ruma::RoomVersionId::V11);
    let (alice, bob, carol) = (one.user("alice"), two.user("bob"), two.user("carol"));
    let ban = one.rooms.set_membership(&room, &alice, &carol, "ban").unwrap();
    two.rooms.join(&room, &carol);
    let join = two.ends(&room).pop().unwrap();
    two.accept(&one.event(&ban));
    one.receive(&two.event(&join));
    one.rooms.set_state(&room, &alice, "m.room.topic", "", json!({"topic": "forked"})).unwrap();
    let said = two.rooms.say(&room, &bob, "after both");
    one.accept(&two.event(&said));
    let skipped = one.rooms.set_state(&room, &alice, "m.room.name", "", json!({"name": "skipped"})).unwrap();
    let last = one.rooms.say(&room, &alice, "after the gap");
    let state = one.state_before(&last);
    let (known, chain) = one.state_and_auth_chain(&state);
    let outliers = known.into_iter().chain(chain).collect();
    two.received.store_outliers(&room, &ruma::RoomVersionId::V11, outliers).unwrap();
    let ids: Vec<_> = state.into_values().collect();
    two.received.receive_with_state((*one.event(&last)).clone(), &ids).unwrap();
    assert!(two.stored(&skipped).is_some());
    // An invite of a room that only the other server knows.
    let other = one.public_room(&alice, &ruma::RoomVersionId::V11);
    let membership = json!({"membership": "invite"});
    let invite = one.build_on(&one, &other, (&alice, "m.room.member", Some(bob.as_str())), &membership);
    two.received.remote_invite(&ruma::RoomVersionId::V11, invite, Vec::new()).unwrap();
    for (server, name) in [(&one, server_name!("one.example")), (&two, server_name!("two.example"))] {
        let report = run(&server.rooms.storage, name, false).unwrap();
        assert!(report.is_clean(), "{}: {report}", server.name);
    }
}

#[test]
fn a_missing_place_of_an_auth_chain_is_found() {
    let scene = scene();
    let row = scene.rooms.storage.scan(&CHAIN_PLACES, &CHAIN_PLACES.all(), Direction::Forward).nth(2);
    let (event, _) = row.unwrap().unwrap();
    scene.damage(|rows| rows.delete(&CHAIN_PLACES, &event));
    scene.finds("no place in the chain-cover index");
}

#[test]
fn a_token_of_no_device_is_found() {
    let scene = scene();
    let user = scene.rooms.storage.write(|rows| rows.intern_user(&RoomsFixture::user("alice"))).unwrap();
    let key = (user, "PHONE".into());
    scene.damage(|rows| rows.put(&ACCESS_TOKENS, &[1; 32], &key));
    scene.finds("a token names");
    scene.damage(|rows| {
        rows.delete(&ACCESS_TOKENS, &[1; 32]);
        rows.put(&REFRESH_TOKENS, &[2; 32], &key);
    });
    scene.finds("a refresh token names");
}
