//! Start, stop, and the one process that a folder belongs to.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::harness::{PASSWORD, Server, ServerSettings, event_ids};

#[test]
fn a_second_process_on_the_same_folder_is_refused() {
    let server = Server::start_with(&ServerSettings::default());
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    let second = server.run(&[]);
    assert!(!second.status.success(), "{second}");
    let message = second.text;
    let folder = server.config_path().with_file_name("data");
    assert!(message.contains(folder.to_str().unwrap()), "the message names the folder: {message}");
    let lower = message.to_lowercase();
    let says_why = ["in use", "another process", "already running", "already open", "is running"];
    assert!(says_why.iter().any(|words| lower.contains(words)), "the message says why: {message}");
    assert!(!lower.contains("panicked"), "{message}");
    // The first one is not disturbed.
    alice.send_text(&room, "still here");
    let check = server.run(&["check"]);
    assert!(!check.status.success(), "`check` wants the folder for itself: {check}");
    alice.send_text(&room, "and here");
}

#[test]
fn a_mistake_in_the_configuration_makes_no_second_database() {
    let mut server = Server::start_with(&ServerSettings::default());
    server.register("alice");
    assert!(server.stop().success());
    let config = std::fs::read_to_string(server.config_path()).unwrap();
    let with = |from: &str, to: &str| std::fs::write(server.config_path(), config.replace(from, to)).unwrap();

    with("/data\"", "/mistyped\"");
    let check = server.run(&["check"]);
    assert!(!check.status.success() && check.text.contains("there is no database in"), "{check}");
    assert!(!server.config_path().with_file_name("mistyped").exists(), "looking for one makes none");

    with("server_name = \"localhost\"", "server_name = \"other.example\"");
    let start = server.run(&[]);
    assert!(!start.status.success() && start.text.contains("belongs to the server localhost"), "{start}");

    std::fs::write(server.config_path(), config).unwrap();
    server.assert_check_finds_nothing();
}

#[test]
fn a_graceful_stop_keeps_everything() {
    let mut server = Server::start_with(&ServerSettings::default());
    let alice = server.register("alice");
    let room = alice.create_room(json!({ "name": "Kept" }));
    for n in 0..20 {
        alice.send_text(&room, &format!("message {n}"));
    }
    let since = alice.sync(None, "").next_batch().to_owned();
    let before = event_ids(&alice.all_messages(&room, 'f', 100));
    let status = server.stop();
    assert!(status.success(), "a stop on request is a success: {status}");
    server.assert_check_finds_nothing();
    server.restart();
    let alice = alice.moved_to(server.base_url());
    assert_eq!(event_ids(&alice.all_messages(&room, 'f', 100)), before);
    assert_eq!(alice.state(&room, "m.room.name", "").ok()["name"], "Kept");
    let sync = alice.sync(Some(&since), "");
    assert!(sync.joined(&room).is_null(), "an old token stays good, and nothing is news: {}", sync.body);
    let sent = alice.send_text(&room, "after");
    assert_eq!(event_ids(&alice.sync(Some(&since), "").timeline(&room)), [sent]);
}

#[test]
fn a_stop_does_not_wait_for_long_polls() {
    const POLL_MS: u64 = 50_000;
    let mut server = Server::start_with(&ServerSettings::default());
    let alice = server.register("alice");
    let since = alice.sync(None, "").next_batch().to_owned();
    let path = format!("/_matrix/client/v3/sync?timeout={POLL_MS}&since={since}");
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..4 {
            // Answered early or cut: both are fine.
            scope.spawn(|| drop(alice.try_raw("GET", &path, None)));
        }
        let status = server.stop();
        assert!(status.success(), "{status}");
    });
    assert!(start.elapsed() < Duration::from_secs(20), "stopped after {:?}", start.elapsed());
}

#[test]
fn the_log_tells_of_requests_and_holds_no_secrets() {
    let extra = "log.filter = \"trace\"\nlog.format = \"json\"\n".to_owned();
    let server = Server::start_with(&ServerSettings { extra, ..ServerSettings::default() });
    let alice = server.register("alice");
    let room = alice.create_room(json!({ "topic": "a very private topic" }));
    alice.send_text(&room, "a very private message");
    alice.log_in(&alice.user_id, "a-mistyped-password").error(403, "M_FORBIDDEN");
    alice.raw("PUT", "/_matrix/client/v3/rooms/!x:localhost/send/m.room.message/t", Some(b"{private text"));
    let asked = alice.get("/_matrix/client/versions?access_token=in-the-address");
    let id = asked.header("x-request-id");
    // The line is written beside the answer: it is there some requests later at the latest.
    let is_told = || server.log().lines().any(|line| line.contains(id) && line.contains("\"status\":200"));
    assert!((0..100).any(|_| is_told() || !alice.get("/_matrix/client/versions").ok().is_object()));
    let log = server.log();
    assert!(log.contains("/_matrix/client/versions"), "{log}");
    let token = alice.token.clone().unwrap();
    for secret in [
        PASSWORD,
        &token,
        "very private",
        "a-mistyped-password",
        "private text",
        "registration-token",
        "in-the-address",
    ] {
        assert!(!log.contains(secret), "{secret:?} in the log:\n{log}");
    }
}
