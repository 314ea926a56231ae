//! Real client libraries against the real binary: matrix-nio and matrix-js-sdk.
//!
//! `tests/clients/run` installs what a script needs (once) and runs it; the chats themselves are in
//! `tests/clients/nio_chat.py` and `tests/clients/js_chat.mjs`. A failed installation fails the test.

use std::process::{Command, Stdio};

use crate::harness::{REGISTRATION_TOKEN, Server};

#[track_caller]
fn chat(client: &str) {
    let server = Server::start();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/run");
    let output = Command::new("bash")
        .args([script, client, server.base_url(), REGISTRATION_TOKEN])
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{client} ended with {}:\n{out}\n{err}", output.status);
    assert!(out.lines().any(|line| line == "all steps passed"), "{client} came to its end:\n{out}\n{err}");
}

#[test]
fn matrix_nio_chats() {
    chat("nio");
}

#[test]
fn matrix_js_sdk_chats() {
    chat("js");
}
