//! Files and uploads that mean harm end in a clear error, and the server lives on.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use super::{server, thumbnails::png, upload};

#[test]
fn bombs_are_not_decoded() {
    let server = server("thumbnail_megapixels_max = 1");
    let alice = server.register("alice");
    let address = upload(&alice, &png(1_200, 1_000), "image/png", "");
    let path = format!("/_matrix/client/v1/media/thumbnail/{address}?width=32&height=32");
    alice.get(&path).error(413, "M_TOO_LARGE");
    let mut lying = png(100, 100);
    lying[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    let address = upload(&alice, &lying, "image/png", "");
    let path = format!("/_matrix/client/v1/media/thumbnail/{address}?width=32&height=32");
    assert!(matches!(alice.get(&path).status, 400 | 413));
    let mut half = png(500, 500);
    half.truncate(half.len() / 2);
    let address = upload(&alice, &half, "image/png", "");
    let path = format!("/_matrix/client/v1/media/thumbnail/{address}?width=32&height=32");
    alice.get(&path).error(400, "M_UNKNOWN");
    alice.get("/_matrix/client/v3/account/whoami").ok();
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing() {
    let server = server("max_upload_mb = 4");
    let alice = server.register("alice");
    let address = server.base_url().trim_start_matches("http://").to_owned();
    let mut connection = TcpStream::connect(&address).unwrap();
    let token = alice.token.clone().unwrap();
    write!(
        connection,
        "POST /_matrix/media/v3/upload HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: 1000000\r\n\r\nonly this"
    )
    .unwrap();
    connection.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    // The server may answer or just close; either way it is done with the upload when the stream ends.
    let _ = connection.read_to_string(&mut answer);
    assert!(!answer.contains("content_uri"), "{answer}");
    let incoming = server.config_path().parent().unwrap().join("data/media/incoming");
    let left = || std::fs::read_dir(&incoming).unwrap().count();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while left() > 0 {
        assert!(std::time::Instant::now() < until, "the half of an upload stays");
        // Another request, so that time passes without a sleep.
        alice.get("/_matrix/client/v3/account/whoami").ok();
    }
}
