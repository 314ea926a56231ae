//! Messages to devices: each comes once, whatever crashes.

use std::collections::HashSet;

use serde_json::json;

use crate::harness::{Client, Server, ServerSettings, path_segment};

fn send(sender: &Client, receiver: &Client, number: usize) -> bool {
    let path = format!("/_matrix/client/v3/sendToDevice/org.example.test/{number}");
    let content = json!({ "messages": { &receiver.user_id: { &receiver.device_id: { "n": number } } } });
    sender
        .try_raw("PUT", &path, Some(content.to_string().as_bytes()))
        .is_ok_and(|answer| answer.status == 200)
}

fn receive(receiver: &Client, since: &str) -> Option<(String, Vec<u64>)> {
    let path = format!("/_matrix/client/v3/sync?timeout=0&since={}", path_segment(since));
    let body = receiver.try_raw("GET", &path, None).ok()?.ok();
    let events = body["to_device"]["events"].as_array().cloned().unwrap_or_default();
    let numbers = events.iter().map(|event| event["content"]["n"].as_u64().unwrap()).collect();
    Some((body["next_batch"].as_str().unwrap().to_owned(), numbers))
}

#[test]
fn messages_wake_their_device_and_stay_until_it_comes_back() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let other = bob.log_in_again();
    let since = bob.sync(None, "").next_batch().to_owned();
    let other_since = other.sync(None, "").next_batch().to_owned();
    let waiting = std::thread::spawn({
        let (bob, since) = (bob.clone(), since.clone());
        move || bob.sync_until(&since, |answer| answer.body["to_device"].is_object())
    });
    assert!(send(&alice, &bob, 1));
    let answer = waiting.join().unwrap();
    assert_eq!(answer.body["to_device"]["events"][0]["sender"], alice.user_id.as_str());
    assert_eq!(receive(&bob, &since).unwrap().1, [1], "with the old token again");
    assert!(receive(&bob, answer.next_batch()).unwrap().1.is_empty());
    assert!(receive(&bob, &since).unwrap().1.is_empty(), "acknowledged");
    assert!(receive(&other, &other_since).unwrap().1.is_empty(), "another device's");
    assert!(send(&alice, &bob, 1), "a repeated request");
    assert!(receive(&bob, answer.next_batch()).unwrap().1.is_empty());
    for path in ["sendToDevice/a/b", "keys/upload", "keys/query"] {
        let nobody = server.anonymous();
        let method = if path.starts_with("send") { "PUT" } else { "POST" };
        nobody.raw(method, &format!("/_matrix/client/v3/{path}"), Some(b"{}")).error(401, "M_MISSING_TOKEN");
    }
}

#[test]
fn more_messages_than_an_answer_holds_come_one_after_the_other() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let mut since = bob.sync(None, "").next_batch().to_owned();
    for number in 0..230 {
        assert!(send(&alice, &bob, number));
    }
    let mut got = Vec::new();
    loop {
        let (next, numbers) = receive(&bob, &since).unwrap();
        since = next;
        if numbers.is_empty() {
            break;
        }
        assert!(numbers.len() <= 100);
        got.extend(numbers);
    }
    assert_eq!(got, (0..230).collect::<Vec<u64>>());
}

#[test]
fn no_message_is_lost_or_repeated_in_crashes() {
    let settings = ServerSettings { ..Default::default() };
    let mut server = Server::start_with(&settings);
    let (mut alice, mut bob) = (server.register("alice"), server.register("bob"));
    let mut since = bob.sync(None, "").next_batch().to_owned();
    let mut seen = Vec::new();
    let mut next = 0;
    for crash in 0..4 {
        // Some are received before the crash and some are not.
        for _ in 0..25 {
            assert!(send(&alice, &bob, next));
            next += 1;
            if next % (3 + crash) == 0 {
                let (token, numbers) = receive(&bob, &since).unwrap();
                since = token;
                seen.extend(numbers);
            }
        }
        server.kill();
        assert!(!send(&alice, &bob, next), "the server is gone");
        server.restart();
        alice = alice.moved_to(server.base_url());
        bob = bob.moved_to(server.base_url());
    }
    let (_, numbers) = receive(&bob, &since).unwrap();
    seen.extend(numbers);
    assert_eq!(seen, (0..next as u64).collect::<Vec<_>>(), "each once and in order");
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), seen.len());
    assert!(server.stop().success());
    server.assert_check_finds_nothing();
}
