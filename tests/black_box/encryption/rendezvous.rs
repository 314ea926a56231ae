//! Rendezvous sessions (MSC4108), in which two devices meet to log one of them in by QR code.

use crate::harness::{BinaryAnswer, Client, Server, ServerSettings};

const SESSIONS: &str = "/_matrix/client/unstable/org.matrix.msc4108/rendezvous";
const TEXT: (&str, &str) = ("Content-Type", "text/plain");

/// A session's path, and the tag of its first text.
fn create(client: &Client, text: &str) -> (String, String) {
    let created = client.binary("POST", SESSIONS, &[TEXT], text.as_bytes());
    assert_eq!(created.status, 201);
    let url = created.json()["url"].as_str().unwrap().to_owned();
    let (base, id) = url.split_once(SESSIONS).expect("an address below the endpoint");
    assert_eq!(base, "https://matrix.example.org", "the address that clients are told");
    (format!("{SESSIONS}{id}"), created.header("etag").to_owned())
}

fn write(client: &Client, path: &str, etag: &str, text: &str) -> BinaryAnswer {
    client.binary("PUT", path, &[TEXT, ("If-Match", etag)], text.as_bytes())
}

#[test]
fn two_devices_meet_and_neither_overwrites_what_it_has_not_seen() {
    let tables = "[well_known]\nclient = \"https://matrix.example.org\"\n".to_owned();
    let server = Server::start_with(&ServerSettings { tables, ..ServerSettings::default() });
    let versions = server.anonymous().get("/_matrix/client/versions").ok();
    assert_eq!(versions["unstable_features"]["org.matrix.msc4108"], true);
    // Nobody is logged in: that is what it is for.
    let (new, old) = (server.anonymous(), server.anonymous());
    let (path, first) = create(&new, "from the new device");

    let read = old.binary("GET", &path, &[], b"");
    assert_eq!((read.status, read.bytes.as_slice()), (200, b"from the new device".as_slice()));
    assert_eq!((read.header("etag"), read.header("content-type")), (first.as_str(), "text/plain"));
    assert_eq!((read.header("cache-control"), read.header("pragma")), ("no-store", "no-cache"));
    assert!(read.header("expires").ends_with("GMT") && read.header("last-modified").ends_with("GMT"));
    assert!(read.header("access-control-expose-headers").to_lowercase().contains("etag"));
    let same = old.binary("GET", &path, &[("If-None-Match", &first)], b"");
    assert_eq!((same.status, same.header("etag"), same.bytes.len()), (304, first.as_str(), 0));

    let written = write(&old, &path, &first, "from the old device");
    let second = written.header("etag").to_owned();
    assert_eq!(written.status, 202);
    assert_ne!(second, first);
    let late = write(&new, &path, &first, "without having seen");
    assert_eq!((late.status, late.header("etag")), (412, second.as_str()));
    assert_eq!(late.json()["org.matrix.msc4108.errcode"], "M_CONCURRENT_WRITE");
    let seen = new.binary("GET", &path, &[("If-None-Match", &first)], b"");
    assert_eq!((seen.status, seen.bytes.as_slice()), (200, b"from the old device".as_slice()));

    assert_eq!(new.binary("DELETE", &path, &[], b"").status, 204);
    new.binary("DELETE", &path, &[], b"").error(404, "M_NOT_FOUND");
    old.binary("GET", &path, &[], b"").error(404, "M_NOT_FOUND");
    write(&old, &path, &second, "too late").error(404, "M_NOT_FOUND");
}

#[test]
fn what_is_no_small_text_or_names_no_tag_is_refused() {
    let tables = "[well_known]\nclient = \"https://matrix.example.org\"\n".to_owned();
    let server = Server::start_with(&ServerSettings { tables, ..ServerSettings::default() });
    let client = server.anonymous();
    let json = ("Content-Type", "application/json");
    client.binary("POST", SESSIONS, &[json], b"{}").error(400, "M_INVALID_PARAM");
    client.binary("POST", SESSIONS, &[TEXT], &[0xff]).error(400, "M_INVALID_PARAM");
    let large = vec![b'x'; 4097];
    client.binary("POST", SESSIONS, &[TEXT], &large).error(413, "M_TOO_LARGE");
    let (path, etag) = create(&client, "text");
    client.binary("PUT", &path, &[TEXT], b"no tag").error(400, "M_MISSING_PARAM");
    for wrong in ["*", "W/\"x\"", "\"a\", \"b\""] {
        write(&client, &path, wrong, "text").error(400, "M_INVALID_PARAM");
    }
    client.binary("PUT", &path, &[TEXT, ("If-Match", &etag)], &large).error(413, "M_TOO_LARGE");
    client.binary("GET", &format!("{SESSIONS}/elsewhere"), &[], b"").error(404, "M_NOT_FOUND");
    assert_eq!(client.binary("GET", &path, &[], b"").bytes, b"text");
}

/// Web clients ask first whether they may send the headers.
#[test]
fn browsers_may_send_and_read_the_tags() {
    let server = Server::start();
    let asked = [
        ("Origin", "https://app.example"),
        ("Access-Control-Request-Method", "PUT"),
        ("Access-Control-Request-Headers", "if-match,content-type"),
    ];
    let answer = server.anonymous().binary("OPTIONS", &format!("{SESSIONS}/x"), &asked, b"");
    let allowed = answer.header("access-control-allow-headers").to_lowercase();
    assert!(allowed.contains("if-match") && allowed.contains("if-none-match"), "{allowed}");
}
