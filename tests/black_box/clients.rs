//! Real client libraries against the real binary: matrix-nio, matrix-js-sdk and matrix-sdk (Rust); and
//! synadm, a tool for administrators.
//!
//! `tests/clients/run` installs or builds what a chat needs (once) and runs it; the chats themselves are in
//! `tests/clients/` and `tests/sdk/`. A failed installation fails the test.

use std::{
    io::{self, BufRead, BufReader, Read},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use crate::harness::{Federation, REGISTRATION_TOKEN, Server};

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
fn synadm_administers() {
    chat("synadm");
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

    fn url(&self) -> String {
        format!("http://{}", self.address)
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

/// People of two servers talk end-to-end encrypted while devices come and go. At each line `crash home` or
/// `crash away` that server is killed and started again, without the talk waiting for it.
#[track_caller]
fn encrypted_chat(client: &str) {
    let mut federation = Federation::pair();
    let fronts = [0, 1].map(|number| Front::of(federation.server(number)));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/run");
    let mut chat = Command::new("bash")
        .args([script, client, &fronts[0].url(), REGISTRATION_TOKEN, &fronts[1].url()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bash runs");
    let mut complaints = chat.stderr.take().unwrap();
    let complaints = thread::spawn(move || {
        let mut text = String::new();
        complaints.read_to_string(&mut text).map(|_| text)
    });
    let mut lines = Vec::new();
    let mut crashes = [0, 0];
    for line in BufReader::new(chat.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let crashed = ["crash home", "crash away"].iter().position(|crash| *crash == line);
        if let Some(number) = crashed {
            let server = federation.server_mut(number);
            server.kill();
            server.restart();
            fronts[number].now(server);
            crashes[number] += 1;
        }
        println!("{line}");
        lines.push(line);
    }
    let status = chat.wait().unwrap();
    let (out, err) = (lines.join("\n"), complaints.join().unwrap().unwrap());
    assert!(status.success() && out.ends_with("all steps passed"), "it ended with {status}:\n{out}\n{err}");
    assert_eq!(crashes, [5, 2]);
    for number in [0, 1] {
        assert!(federation.server_mut(number).stop().success());
        federation.server(number).assert_check_finds_nothing();
    }
}

#[test]
fn matrix_js_sdk_chats_encrypted_through_crashes() {
    encrypted_chat("js-encrypted");
}

#[test]
fn matrix_rust_sdk_chats_encrypted_through_crashes() {
    encrypted_chat("sdk");
}
