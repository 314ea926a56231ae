//! Connections that do not speak HTTP, or stop in the middle.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use crate::harness::Server;

fn connect(server: &Server) -> TcpStream {
    let address = server.base_url().strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// What the server answers to raw bytes before it closes; the client closes its own side first.
fn exchange(server: &Server, bytes: &[u8]) -> String {
    let mut stream = connect(server);
    // The server may have closed already: then there is its answer, or nothing, to read.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn nonsense_on_the_wire_harms_nobody() {
    let server = Server::start();
    let alice = server.register("alice");
    let long_header =
        format!("GET /_matrix/client/versions HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    for bytes in [
        &b"nonsense\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /_matrix/client/versions HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /_matrix/client/v3/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        long_header.as_bytes(),
    ] {
        let answer = exchange(&server, bytes);
        assert!(!answer.starts_with("HTTP/1.1 2") && !answer.starts_with("HTTP/1.1 5"), "{answer}");
    }
    alice.get("/_matrix/client/v3/account/whoami").ok();
}

#[test]
fn a_body_that_never_comes_whole_is_never_acted_on() {
    let server = Server::start();
    let alice = server.register("alice");
    let token = alice.token.clone().unwrap();
    let request = format!(
        "POST /_matrix/client/v3/createRoom HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{}}"
    );
    exchange(&server, request.as_bytes());
    let rooms = alice.get("/_matrix/client/v3/joined_rooms").ok();
    assert_eq!(rooms["joined_rooms"], serde_json::json!([]));
}
