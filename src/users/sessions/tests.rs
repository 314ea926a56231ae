use ruma::{device_id, user_id};

use super::*;
use crate::users::fixture::Fixture;

fn find(server: &Fixture, token: &str) -> Option<Arc<Session>> {
    server.sessions.find(&AccessToken::new(token)).unwrap()
}

#[test]
fn a_token_finds_its_session_and_nothing_else_does() {
    let server = Fixture::new();
    let (alice, bob) = (server.user("alice"), server.user("bob"));
    for _cached in [false, true] {
        let session = find(&server, &bob.access_token).unwrap();
        assert_eq!((&session.user_id, &session.device_id), (&bob.user_id, &bob.device_id));
        assert_eq!(session.user, bob.user);
    }
    assert!(find(&server, &alice.access_token[1..]).is_none());
    assert!(find(&server, "").is_none());
}

#[test]
fn tokens_are_not_on_disk() {
    let server = Fixture::new();
    let alice = server.user("alice");
    let range = tables::DEVICE_TOKENS.all();
    let rows = server.storage.scan(&tables::DEVICE_TOKENS, &range, Direction::Forward);
    let rows: Vec<_> = rows.map(Result::unwrap).collect();
    assert_eq!(rows, [((alice.user, alice.device_id.clone()), secrets::hash(&alice.access_token))]);
}

#[test]
fn logging_out_ends_the_session_that_is_cached() {
    let server = Fixture::new();
    let alice = server.user("alice");
    let other = server.sessions.start(&alice.user_id, NewDevice::default()).unwrap();
    assert!(find(&server, &alice.access_token).is_some());

    assert!(server.sessions.end(alice.user, &alice.device_id).unwrap());
    assert!(find(&server, &alice.access_token).is_none());
    assert!(find(&server, &other.access_token).is_some(), "other devices stay");
    assert!(!server.sessions.end(alice.user, &alice.device_id).unwrap(), "there is no such device any more");
}

#[test]
fn logging_out_everywhere_leaves_other_users_alone() {
    let server = Fixture::new();
    let (alice, bob) = (server.user("alice"), server.user("bob"));
    let other = server.sessions.start(&alice.user_id, NewDevice::default()).unwrap();
    server.sessions.end_all(alice.user).unwrap();
    assert!(find(&server, &alice.access_token).is_none());
    assert!(find(&server, &other.access_token).is_none());
    assert!(find(&server, &bob.access_token).is_some());
}

#[test]
fn a_second_login_of_a_device_replaces_its_token_and_keeps_its_name() {
    let server = Fixture::new();
    let alice = server.user("alice");
    let login = |name: &str| {
        let device_id = Some(device_id!("PHONE").to_owned());
        let device = NewDevice { device_id, display_name: Some(name.to_owned()), ..NewDevice::default() };
        server.sessions.start(&alice.user_id, device).unwrap()
    };
    let first = login("first name");
    assert!(find(&server, &first.access_token).is_some());
    let second = login("second name");
    assert!(find(&server, &first.access_token).is_none());
    assert!(find(&server, &second.access_token).is_some());
    let device = server.devices.get(alice.user, device_id!("PHONE")).unwrap();
    assert_eq!(device.display_name.as_deref(), Some("first name"));
}

#[test]
fn a_session_that_ended_while_it_was_read_is_not_cached() {
    let server = Fixture::new();
    let alice = server.user("alice");
    let token = AccessToken::new(&alice.access_token);
    let inner = &*server.sessions.inner;
    // As `find` does it, with the log-out between reading and caching.
    let before = *inner.lock_forgotten();
    let session = Arc::new(inner.read(&token).unwrap().unwrap());
    server.sessions.end(alice.user, &alice.device_id).unwrap();
    let now = *inner.lock_forgotten();
    assert_ne!(before, now, "so `find` does not put {session:?} into the cache");
    assert!(server.sessions.find(&token).unwrap().is_none());
}

#[test]
fn long_ids_are_refused_and_long_names_are_cut() {
    let server = Fixture::new();
    let alice = server.user("alice");
    let long =
        NewDevice { device_id: Some("x".repeat(256).into()), display_name: None, ..NewDevice::default() };
    assert!(matches!(server.sessions.start(&alice.user_id, long), Err(UserError::DeviceIdTooLong)));

    let wordy = NewDevice { device_id: None, display_name: Some("ä".repeat(200)), ..NewDevice::default() };
    let session = server.sessions.start(&alice.user_id, wordy).unwrap();
    let device = server.devices.get(alice.user, &session.device_id).unwrap();
    assert_eq!(device.display_name.unwrap(), "ä".repeat(128));
}

#[test]
fn strangers_get_no_session() {
    let server = Fixture::new();
    let refused = server.sessions.start(user_id!("@nobody:example.org"), NewDevice::default());
    assert!(matches!(refused, Err(UserError::UnknownUser(_))));
}

#[test]
fn texts_are_cut_between_characters() {
    assert_eq!(cut("äöü".to_owned(), 3), "ä");
    assert_eq!(cut("äöü".to_owned(), 6), "äöü");
    assert_eq!(cut("ä".to_owned(), 0), "");
}
