use ruma::{device_id, user_id};

use super::*;
use crate::users::{
    AccessToken,
    fixture::{Fixture, PASSWORD},
};

#[test]
fn the_first_user_administers_and_the_second_does_not() {
    let server = Fixture::new();
    let (alice, bob) = (server.user("alice"), server.user("bob"));
    assert!(server.accounts.is_admin(&alice.user_id).unwrap());
    assert!(!server.accounts.is_admin(&bob.user_id).unwrap());
}

#[test]
fn admin_rights_reach_sessions_that_are_in_use() {
    let server = Fixture::new();
    let (_alice, bob) = (server.user("alice"), server.user("bob"));
    let is_admin = || server.sessions.find(&AccessToken::new(&bob.access_token)).unwrap().unwrap().is_admin;
    assert!(!is_admin());
    server.accounts.set_admin(&bob.user_id, true).unwrap();
    assert!(is_admin());
    server.accounts.set_admin(&bob.user_id, false).unwrap();
    assert!(!is_admin());
}

#[test]
fn names_are_mapped_to_small_letters_and_checked() {
    let accounts = Fixture::new().accounts;
    assert_eq!(accounts.free_user_id("Alice.B-c_d=e/f+1").unwrap(), "@alice.b-c_d=e/f+1:example.org");
    let long = "a".repeat(255);
    for wrong in ["", "ä", "a b", "a:example.org", "@a", "a!", "a:b:example.org", long.as_str()] {
        assert!(matches!(accounts.free_user_id(wrong), Err(UserError::InvalidUsername)), "{wrong}");
    }
}

#[test]
fn a_name_is_given_once_even_to_many_at_once() {
    let server = Fixture::new();
    let id = user_id!("@alice:example.org");
    let made = std::thread::scope(|scope| {
        let attempts: Vec<_> =
            (0..8).map(|_| scope.spawn(|| server.accounts.register(id, NewAccount::default()))).collect();
        attempts.into_iter().filter_map(|attempt| attempt.join().unwrap().ok()).count()
    });
    assert_eq!(made, 1);
    assert!(matches!(server.accounts.free_user_id("ALICE"), Err(UserError::UserInUse(_))));
}

#[test]
fn a_refused_registration_leaves_nothing() {
    let server = Fixture::new();
    let alice = server.user("alice");
    let again = NewAccount { device: Some(NewDevice::default()), ..NewAccount::default() };
    let refused = server.accounts.register(&alice.user_id, again);
    assert!(matches!(refused, Err(UserError::UserInUse(_))));
    assert_eq!(server.devices.list(alice.user).unwrap().len(), 1);
}

#[test]
fn passwords_log_in_by_id_or_local_part_in_any_case() {
    let server = Fixture::new();
    let alice = server.user("alice");
    for name in ["alice", "@alice:example.org", "Alice", "@ALICE:example.org"] {
        assert_eq!(server.accounts.check_password(name, PASSWORD).unwrap(), alice.user_id, "{name}");
    }
    for name in ["bob", "@alice:elsewhere.org", "", "@", "a\0b"] {
        let refused = server.accounts.check_password(name, PASSWORD);
        assert!(matches!(refused, Err(UserError::WrongCredentials)), "{name}");
    }
    let refused = server.accounts.check_password("alice", "correct house");
    assert!(matches!(refused, Err(UserError::WrongCredentials)));
}

#[test]
fn a_new_password_ends_the_other_sessions() {
    let server = Fixture::new();
    let alice = server.user("alice");
    let other = server.sessions.start(&alice.user_id, NewDevice::default()).unwrap();
    let find = |token: &str| server.sessions.find(&AccessToken::new(token)).unwrap();
    assert!(find(&other.access_token).is_some());

    server.accounts.change_password(&alice.user_id, "battery staple", Some(&alice.device_id)).unwrap();
    assert!(find(&other.access_token).is_none());
    assert!(find(&alice.access_token).is_some());
    assert!(server.accounts.check_password("alice", PASSWORD).is_err());
    assert!(server.accounts.check_password("alice", "battery staple").is_ok());
}

#[test]
fn a_new_password_can_leave_sessions_alone_but_not_the_rules() {
    let server = Fixture::new();
    let alice = server.user("alice");
    let other = server.sessions.start(&alice.user_id, NewDevice::default()).unwrap();
    let short = server.accounts.change_password(&alice.user_id, "short", None);
    assert!(matches!(short, Err(UserError::PasswordTooShort(8))));
    server.accounts.change_password(&alice.user_id, "battery staple", None).unwrap();
    assert!(server.sessions.find(&AccessToken::new(&other.access_token)).unwrap().is_some());
}

#[test]
fn a_deactivated_account_keeps_its_name_and_nothing_else() {
    let server = Fixture::new();
    let alice = server.user("alice");
    server.accounts.deactivate(&alice.user_id, true).unwrap();

    assert!(server.sessions.find(&AccessToken::new(&alice.access_token)).unwrap().is_none());
    assert!(server.devices.list(alice.user).unwrap().is_empty());
    assert_eq!(server.accounts.local_user(&alice.user_id).unwrap(), None);
    assert!(!server.accounts.is_admin(&alice.user_id).unwrap());
    assert!(matches!(server.accounts.check_password("alice", PASSWORD), Err(UserError::WrongCredentials)));
    let device =
        NewDevice { device_id: Some(device_id!("A").to_owned()), display_name: None, ..NewDevice::default() };
    assert!(matches!(server.sessions.start(&alice.user_id, device), Err(UserError::Deactivated)));
    assert!(matches!(server.accounts.free_user_id("alice"), Err(UserError::UserInUse(_))));
    assert!(matches!(server.accounts.deactivate(&alice.user_id, false), Err(UserError::Deactivated)));
}

#[test]
fn only_accounts_of_this_server_are_local() {
    let server = Fixture::new();
    let alice = server.user("alice");
    assert_eq!(server.accounts.local_user(&alice.user_id).unwrap(), Some(alice.user));
    assert_eq!(server.accounts.local_user(user_id!("@alice:elsewhere.org")).unwrap(), None);
    assert_eq!(server.accounts.local_user(user_id!("@bob:example.org")).unwrap(), None);
    assert!(server.accounts.is_local(user_id!("@bob:example.org")));
}
