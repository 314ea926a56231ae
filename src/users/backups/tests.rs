use ruma::{owned_room_id, room_id};
use serde_json::{json, value::to_raw_value};

use super::*;
use crate::users::fixture::{Fixture, TestUser};

const ALGORITHM: &str = "m.megolm_backup.v1.curve25519-aes-sha2";

fn auth_data(key: &str) -> Box<RawValue> {
    to_raw_value(&json!({ "public_key": key, "signatures": {} })).unwrap()
}

fn key(room: u32, session: &str, first_message_index: u64) -> BackedUpKey {
    let data = json!({
        "is_verified": false, "first_message_index": first_message_index, "forwarded_count": 0,
        "session_data": { "ciphertext": "c" },
    });
    BackedUpKey {
        room_id: format!("!{room}:x").try_into().unwrap(),
        session_id: session.to_owned(),
        data: to_raw_value(&data).unwrap(),
    }
}

fn server() -> (Fixture, TestUser, KeyBackups) {
    let server = Fixture::new();
    let alice = server.user("alice");
    let backups = KeyBackups::new(server.storage.clone());
    (server, alice, backups)
}

#[test]
fn versions_are_made_changed_and_deleted_and_never_given_again() {
    let (_server, alice, backups) = server();
    let user = alice.user;
    assert!(matches!(backups.latest(user), Err(UserError::NoBackup)));
    assert_eq!(backups.create(user, ALGORITHM, &auth_data("one")).unwrap(), 1);
    assert_eq!(backups.create(user, ALGORITHM, &auth_data("two")).unwrap(), 2);
    assert_eq!(backups.latest(user).unwrap().0, 2);
    backups.update(user, 1, ALGORITHM, &auth_data("three")).unwrap();
    assert!(backups.get(user, 1).unwrap().auth_data.get().contains("three"));
    assert!(matches!(backups.update(user, 1, "other", &auth_data("x")), Err(UserError::OtherBackup(_))));
    backups.delete(user, 2).unwrap();
    backups.delete(user, 2).unwrap();
    assert!(matches!(backups.delete(user, 9), Err(UserError::NoBackup)));
    assert!(matches!(backups.get(user, 2), Err(UserError::NoBackup)));
    assert_eq!(backups.latest(user).unwrap().0, 1);
    assert_eq!(backups.create(user, ALGORITHM, &auth_data("four")).unwrap(), 3);
}

#[test]
fn keys_are_written_to_the_newest_version_only_and_the_better_one_stays() {
    let (_server, alice, backups) = server();
    let user = alice.user;
    assert!(matches!(backups.add(user, 1, &[]), Err(UserError::NoBackup)));
    backups.create(user, ALGORITHM, &auth_data("one")).unwrap();
    let first = backups.add(user, 1, &[key(1, "a", 5), key(1, "b", 5)]).unwrap();
    assert_eq!(first.count, 2);
    let worse = backups.add(user, 1, &[key(1, "a", 6)]).unwrap();
    assert_eq!(worse, first, "nothing has changed");
    let better = backups.add(user, 1, &[key(1, "a", 4)]).unwrap();
    assert_eq!((better.count, better.etag != first.etag), (2, true));
    let data = backups.session(user, 1, room_id!("!1:x"), "a").unwrap();
    assert!(data.get().contains(r#""first_message_index":4"#));
    backups.create(user, ALGORITHM, &auth_data("two")).unwrap();
    assert!(matches!(backups.add(user, 1, &[key(1, "c", 1)]), Err(UserError::WrongBackupVersion(2))));
    let broken = BackedUpKey { data: to_raw_value(&json!({})).unwrap(), ..key(1, "c", 1) };
    assert!(matches!(backups.add(user, 2, &[broken]), Err(UserError::BadKeys(_))));
}

#[test]
fn keys_are_read_in_pages_and_removed_by_scope() {
    let (_server, alice, backups) = server();
    let user = alice.user;
    backups.create(user, ALGORITHM, &auth_data("one")).unwrap();
    let sessions: Vec<_> = (0..25).map(|n| format!("s{n:02}")).collect();
    let keys: Vec<_> = (1..=3).flat_map(|room| sessions.iter().map(move |s| key(room, s, 0))).collect();
    backups.add(user, 1, &keys).unwrap();
    let mut read = Vec::<BackedUpKey>::new();
    loop {
        let page = backups.page(user, 1, None, read.last(), 10).unwrap();
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    let names = |keys: &[BackedUpKey]| -> Vec<_> {
        keys.iter().map(|key| (key.room_id.clone(), key.session_id.clone())).collect()
    };
    assert_eq!(names(&read), names(&keys));
    let room = owned_room_id!("!2:x");
    let of_room = backups.page(user, 1, Some(&room), None, 100).unwrap();
    assert_eq!(of_room.len(), 25);
    let rest = backups.page(user, 1, Some(&room), of_room.get(20), 100).unwrap();
    assert_eq!(names(&rest), names(&of_room[21..]));

    let remove = |scope| backups.remove(user, 1, &scope).unwrap().count;
    assert_eq!(remove(KeyScope::Session(room.clone(), "s00".to_owned())), 74);
    assert_eq!(remove(KeyScope::Session(room.clone(), "s00".to_owned())), 74);
    assert!(matches!(backups.session(user, 1, &room, "s00"), Err(UserError::NoBackedUpKey)));
    assert_eq!(remove(KeyScope::Room(room)), 50);
    assert_eq!(remove(KeyScope::All), 0);
}
