//! The directory: who publishes, in which order, by which filter.

use ruma::{
    RoomId,
    directory::{Filter, RoomTypeFilter},
    room::JoinRuleKind,
    server_name,
};
use serde_json::json;

use super::{
    DirectoryError, DirectoryToken, Permissions, RoomDirectory,
    stored_room::{ALICE, BOB, StoredRoom},
};
use crate::storage::{
    Json, ShortRoomId, StorageError,
    records::RoomRecord,
    tables::{MEMBER_COUNTS, ROOMS},
};

fn directory(room: &StoredRoom) -> RoomDirectory {
    let (index, events, states) = (room.index.clone(), room.events.clone(), room.states.clone());
    let permissions = Permissions::new(index.clone(), events.clone(), states.clone());
    let server_name = server_name!("example.org").to_owned();
    RoomDirectory::new(room.storage.clone(), index, events, states, permissions, server_name)
}

/// Publishes a room without state that has so many joined members.
fn publish(room: &StoredRoom, name: &str, members: u64, room_type: Option<&str>) -> ShortRoomId {
    let room_id = <&RoomId>::try_from(name).unwrap();
    let create_event = room.stored(crate::storage::ShortEventId(1)).short;
    let version = ruma::RoomVersionId::V11;
    let record =
        RoomRecord { version, create_event, federate: true, room_type: room_type.map(str::to_owned) };
    let write = |tx: &mut crate::storage::Transaction<'_>| {
        let short = tx.intern_room(room_id)?;
        tx.put(&ROOMS, &short, &Json(record));
        tx.put(&MEMBER_COUNTS, &short, &(members, 0));
        RoomDirectory::put(tx, short, true)?;
        Ok::<_, DirectoryError>(short)
    };
    room.storage.write(write).unwrap()
}

fn ids(page: &super::DirectoryPage) -> Vec<&str> {
    page.rooms.iter().map(|room| room.room_id.as_str()).collect()
}

#[test]
fn a_room_is_listed_with_its_state() {
    let mut room = StoredRoom::new();
    let room_id = room.draft.room_id.clone().unwrap();
    room.member(BOB, "join");
    room.set("m.room.power_levels", json!({"users": {ALICE: 100}}));
    let directory = directory(&room);
    assert!(!directory.is_published(&room_id).unwrap());
    let refused = directory.publish(&room.viewer(BOB), &room_id, true);
    assert!(matches!(refused, Err(DirectoryError::NotAllowed)));
    let unknown = directory.publish(&room.viewer(ALICE), ruma::room_id!("!x:example.org"), true);
    assert!(matches!(unknown, Err(DirectoryError::UnknownRoom)));
    directory.publish(&room.viewer(ALICE), &room_id, true).unwrap();
    assert!(directory.is_published(&room_id).unwrap());

    let page = directory.page(None, 10, &Filter::new()).unwrap();
    let entry = &page.rooms[0];
    assert_eq!((page.rooms.len(), page.total, page.next, page.previous), (1, 1, None, None));
    assert_eq!(
        (entry.num_joined_members, entry.world_readable, entry.guest_can_join),
        (2_u32.into(), false, false)
    );
    assert_eq!((&entry.name, &entry.join_rule), (&None, &JoinRuleKind::Invite));

    room.set("m.room.name", json!({"name": "Tea"}));
    room.set("m.room.topic", json!({"topic": "Green and black"}));
    room.set("m.room.canonical_alias", json!({"alias": "#tea:example.org"}));
    room.set("m.room.avatar", json!({"url": "mxc://a/b"}));
    room.set("m.room.join_rules", json!({"join_rule": "public"}));
    room.set("m.room.guest_access", json!({"guest_access": "can_join"}));
    room.history("world_readable");
    let page = directory.page(None, 10, &Filter::new()).unwrap();
    let shown = serde_json::to_value(&page.rooms[0]).unwrap();
    let expected = json!({"room_id": room_id, "name": "Tea", "topic": "Green and black",
        "canonical_alias": "#tea:example.org", "avatar_url": "mxc://a/b", "num_joined_members": 2,
        "guest_can_join": true, "world_readable": true});
    assert_eq!(shown, expected);

    directory.publish(&room.viewer(ALICE), &room_id, false).unwrap();
    assert!(directory.page(None, 10, &Filter::new()).unwrap().rooms.is_empty());
}

#[test]
fn pages_go_from_the_largest_room_down_and_back() {
    let room = StoredRoom::new();
    for (name, members) in [("!a:e", 3), ("!b:e", 9), ("!c:e", 3), ("!d:e", 5), ("!empty:e", 0)] {
        publish(&room, name, members, None);
    }
    let directory = directory(&room);
    let first = directory.page(None, 2, &Filter::new()).unwrap();
    assert_eq!(ids(&first), ["!b:e", "!d:e"]);
    assert_eq!((first.previous, first.total), (None, 4));
    let second = directory.page(first.next, 2, &Filter::new()).unwrap();
    assert_eq!(ids(&second), ["!a:e", "!c:e"]);
    assert_eq!(second.next, None);
    assert_eq!(ids(&directory.page(second.previous, 2, &Filter::new()).unwrap()), ["!b:e", "!d:e"]);
    let middle = directory.page(second.previous, 1, &Filter::new()).unwrap();
    assert_eq!(ids(&middle), ["!d:e"]);
    assert!(middle.previous.is_some() && middle.next.is_some());
}

#[test]
fn filters_choose_by_type_and_words() {
    let mut room = StoredRoom::new();
    let own = room.draft.room_id.clone().unwrap();
    room.set("m.room.topic", json!({"topic": "Über TEA"}));
    room.storage.write(|tx| RoomDirectory::put(tx, room.room, true)).unwrap();
    publish(&room, "!space:e", 7, Some("m.space"));
    let directory = directory(&room);
    let find = |term: Option<&str>, types: Vec<RoomTypeFilter>| {
        let mut filter = Filter::new();
        filter.generic_search_term = term.map(str::to_owned);
        filter.room_types = types;
        ids(&directory.page(None, 10, &filter).unwrap()).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(find(None, vec![RoomTypeFilter::Space]), ["!space:e"]);
    assert_eq!(find(None, vec![RoomTypeFilter::Default]), [own.as_str()]);
    assert_eq!(find(None, vec![RoomTypeFilter::Space, RoomTypeFilter::Default]).len(), 2);
    assert_eq!(find(Some(" über tea "), Vec::new()), [own.as_str()]);
    assert!(find(Some("coffee"), Vec::new()).is_empty());
    assert_eq!(find(Some(" "), Vec::new()).len(), 2);
}

#[test]
fn tokens_round_trip_and_forged_ones_are_refused() {
    for token in [DirectoryToken::After(3, ShortRoomId(9)), DirectoryToken::Before(0, ShortRoomId(u64::MAX))]
    {
        assert_eq!(token.to_string().parse::<DirectoryToken>().unwrap(), token);
    }
    for forged in ["", "n", "n1", "x1_2", "n-1_2", "p1_", "n1_2_3"] {
        assert!(forged.parse::<DirectoryToken>().is_err(), "{forged}");
    }
}

#[test]
fn a_full_directory_takes_no_more() {
    let room = StoredRoom::new();
    let fill = |tx: &mut crate::storage::Transaction<'_>| {
        for number in 0..super::limits::DIRECTORY_ROOMS_MAX as u64 {
            tx.put(&crate::storage::tables::PUBLIC_ROOMS, &ShortRoomId(1_000 + number), &());
        }
        Ok::<_, StorageError>(())
    };
    room.storage.write(fill).unwrap();
    let refused = room.storage.write(|tx| RoomDirectory::put(tx, room.room, true));
    assert!(matches!(refused, Err(DirectoryError::Full)));
}
