use ruma::{device_id, server_name, user_id};
use serde_json::{Value, json};

use super::*;
use crate::users::{
    NewDevice,
    fixture::{Fixture, TestUser},
};

const FAR: StreamPosition = StreamPosition(u64::MAX - 1);

fn sending(user: &TestUser) -> SendingDevice {
    SendingDevice { user_id: user.user_id.clone(), user: user.user, device_id: user.device_id.clone() }
}

fn messages(contents: Value) -> Messages {
    Messages { event_type: "m.test".to_owned(), contents: serde_json::from_value(contents).unwrap() }
}

fn send(server: &Fixture, from: &TestUser, id: &str, contents: Value) -> RemoteMessages {
    let mut sent = RemoteMessages::new();
    let remote = |_: &mut Transaction<'_>, remote| {
        sent = remote;
        Ok::<_, UserError>(())
    };
    server.to_device.send(&sending(from), id, &messages(contents), remote).unwrap();
    sent
}

fn waiting(server: &Fixture, user: &TestUser) -> Vec<Value> {
    let delivery = server.to_device.since(user.user, &user.device_id, StreamPosition(0), FAR, 100).unwrap();
    delivery.events.iter().map(|event| serde_json::from_str(event.get()).unwrap()).collect()
}

#[test]
fn a_repeated_request_sends_nothing_and_another_one_does() {
    let server = Fixture::new();
    let (alice, bob) = (server.user("alice"), server.user("bob"));
    let content = json!({ "@bob:example.org": { bob.device_id.as_str(): { "n": 1 }, "GONE": {} } });
    send(&server, &alice, "1", content.clone());
    send(&server, &alice, "1", content.clone());
    let message = json!({ "type": "m.test", "sender": "@alice:example.org", "content": { "n": 1 } });
    assert_eq!(waiting(&server, &bob), std::slice::from_ref(&message));
    send(&server, &alice, "2", content);
    assert_eq!(waiting(&server, &bob), [message.clone(), message]);
    assert!(waiting(&server, &alice).is_empty());
}

#[test]
fn a_star_means_all_devices() {
    let server = Fixture::new();
    let (alice, bob) = (server.user("alice"), server.user("bob"));
    let phone = NewDevice {
        device_id: Some(device_id!("PHONE").to_owned()),
        display_name: None,
        ..NewDevice::default()
    };
    server.sessions.start(&bob.user_id, phone).unwrap();
    send(
        &server,
        &alice,
        "1",
        json!({ "@bob:example.org": { "*": {} }, "@nobody:example.org": { "*": {} } }),
    );
    assert_eq!(waiting(&server, &bob).len(), 1);
    let phone = server.to_device.since(bob.user, device_id!("PHONE"), StreamPosition(0), FAR, 100).unwrap();
    assert_eq!(phone.events.len(), 1);
    server.sessions.end(bob.user, device_id!("PHONE")).unwrap();
    let phone = server.to_device.since(bob.user, device_id!("PHONE"), StreamPosition(0), FAR, 100).unwrap();
    assert!(phone.events.is_empty(), "a device's queue goes with it");
}

#[test]
fn messages_stay_until_they_are_acknowledged() {
    let server = Fixture::new();
    let (alice, bob) = (server.user("alice"), server.user("bob"));
    for n in 0..5 {
        send(&server, &alice, &n.to_string(), json!({ "@bob:example.org": { "*": { "n": n } } }));
    }
    let get = |from, limit| server.to_device.since(bob.user, &bob.device_id, from, FAR, limit).unwrap();
    let first = get(StreamPosition(0), 3);
    assert_eq!((first.events.len(), first.more), (3, true));
    let again = get(StreamPosition(0), 3);
    assert_eq!((again.events.len(), again.up_to), (3, first.up_to), "not acknowledged yet");
    server.to_device.acknowledge(bob.user, &bob.device_id, first.up_to).unwrap();
    assert_eq!(get(StreamPosition(0), 3).events.len(), 2, "also with an older token");
    let rest = get(first.up_to, 3);
    assert_eq!((rest.events.len(), rest.more, rest.up_to), (2, false, FAR));
    server.to_device.acknowledge(bob.user, &bob.device_id, rest.up_to).unwrap();
    assert!(waiting(&server, &bob).is_empty());
}

#[test]
fn large_messages_come_in_more_answers_and_too_large_ones_never() {
    let server = Fixture::new();
    let (alice, bob) = (server.user("alice"), server.user("bob"));
    let text = "x".repeat(limits::TO_DEVICE_CONTENT_BYTES_MAX - 20);
    let count = limits::TO_DEVICE_DELIVERED_BYTES_MAX / text.len() + 2;
    for n in 0..count {
        send(&server, &alice, &n.to_string(), json!({ "@bob:example.org": { "*": { "a": text } } }));
    }
    let (mut from, mut got) = (StreamPosition(0), 0);
    loop {
        let delivery = server.to_device.since(bob.user, &bob.device_id, from, FAR, 100).unwrap();
        got += delivery.events.len();
        from = delivery.up_to;
        if !delivery.more {
            break;
        }
    }
    assert_eq!(got, count);
    let larger = messages(json!({ "@bob:example.org": { "*": { "a": format!("{text}{text}") } } }));
    let refused = server.to_device.send(&sending(&alice), "x", &larger, |_, _| Ok::<_, UserError>(()));
    assert!(matches!(refused, Err(UserError::TooLarge { .. })));
}

#[test]
fn those_for_other_servers_are_handed_on_in_the_same_transaction() {
    let server = Fixture::new();
    let (alice, bob) = (server.user("alice"), server.user("bob"));
    let contents = json!({ "@bob:example.org": { "*": {} }, "@carol:elsewhere.org": { "C": { "n": 1 } } });
    let remote = send(&server, &alice, "1", contents.clone());
    assert_eq!(remote[server_name!("elsewhere.org")].len(), 1);
    assert!(send(&server, &alice, "1", contents.clone()).is_empty(), "once");
    let fails = |_: &mut Transaction<'_>, _| Err(UserError::Busy);
    assert!(server.to_device.send(&sending(&alice), "2", &messages(contents), fails).is_err());
    assert_eq!(waiting(&server, &bob).len(), 1, "all or nothing");
}

#[test]
fn other_servers_send_for_their_own_users_and_once() {
    let server = Fixture::new();
    let bob = server.user("bob");
    let carol = user_id!("@carol:elsewhere.org");
    let messages = messages(json!({ "@bob:example.org": { "*": {} }, "@dan:third.org": { "*": {} } }));
    for _ in 0..2 {
        server.to_device.receive(server_name!("elsewhere.org"), carol, "id", &messages).unwrap();
    }
    assert_eq!(waiting(&server, &bob).len(), 1);
    let forged = server.to_device.receive(server_name!("third.org"), carol, "id2", &messages);
    assert!(matches!(forged, Err(UserError::ForeignSender(_))));
}

#[test]
fn requests_are_forgotten_after_a_while() {
    let server = Fixture::new();
    let (alice, bob) = (server.user("alice"), server.user("bob"));
    let content = json!({ "@bob:example.org": { "*": {} } });
    send(&server, &alice, "0", content.clone());
    server.time.advance_ms(limits::TO_DEVICE_TRANSACTION_AGE_MS_MAX + 2);
    for n in 1..=limits::TO_DEVICE_TRANSACTION_SWEEP_EVERY {
        send(&server, &alice, &n.to_string(), json!({}));
    }
    send(&server, &alice, "0", content);
    assert_eq!(waiting(&server, &bob).len(), 2);
}
