//! Real client libraries against the real binary: matrix-nio and matrix-js-sdk.
//!
//! `tests/clients/run` installs what a script needs (once) and runs it; the chats themselves are in
//! `tests/clients/nio_chat.py` and `tests/clients/js_chat.mjs`. A failed installation fails the test.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

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

/// One address in front of a server that comes back on another one after each crash.
struct Front {
    address: SocketAddr,
    behind: Arc<Mutex<String>>,
}

impl Front {
    fn of(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let behind = Arc::new(Mutex::new(place(server)));
        let towards = behind.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(towards.lock().unwrap().as_str());
                if let Ok(server) = server {
                    join(client, server);
                }
            }
        });
        Self { address, behind }
    }

    fn now(&self, server: &Server) {
        *self.behind.lock().unwrap() = place(server);
    }
}

fn place(server: &Server) -> String {
    server.base_url().trim_start_matches("http://").to_owned()
}

/// Copies both ways until either end is closed.
fn join(client: TcpStream, server: TcpStream) {
    let ways = [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)];
    for (mut from, mut to) in ways {
        thread::spawn(move || {
            // A broken connection is the client's business.
            let _ = io::copy(&mut from, &mut to);
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        });
    }
}

#[test]
fn matrix_js_sdk_chats_encrypted_through_crashes() {
    let mut server = Server::start();
    let front = Front::of(&server);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/run");
    let mut chat = Command::new("bash")
        .args([script, "js-encrypted", &format!("http://{}", front.address), REGISTRATION_TOKEN])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bash runs");
    let (mut input, output) = (chat.stdin.take().unwrap(), BufReader::new(chat.stdout.take().unwrap()));
    let mut lines = Vec::new();
    let mut crashes = 0;
    for line in output.lines() {
        let line = line.unwrap();
        if line == "crash" {
            server.kill();
            server.restart();
            front.now(&server);
            crashes += 1;
            writeln!(input, "back").unwrap();
        }
        lines.push(line);
    }
    let mut err = String::new();
    chat.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    let status = chat.wait().unwrap();
    let out = lines.join("\n");
    assert!(status.success() && out.ends_with("all steps passed"), "it ended with {status}:\n{out}\n{err}");
    assert_eq!(crashes, 2);
    assert!(server.stop().success());
    server.assert_check_finds_nothing();
}
