//! Downloads: names, types, parts, caching, and the old endpoints.

use super::{download, server, upload};
use crate::harness::Server;

#[test]
fn a_file_comes_as_it_was_uploaded() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let address = upload(&alice, b"hello", "text/plain", "name;with \"quotes\"");
    let found = download(&bob, &address, &[]);
    assert_eq!(found.bytes, b"hello");
    assert_eq!(found.header("content-type"), "text/plain");
    assert_eq!(found.header("content-length"), "5");
    assert_eq!(found.header("content-disposition"), r#"inline; filename="name;with \"quotes\"""#);
    assert_eq!(found.header("cross-origin-resource-policy"), "cross-origin");
    assert!(found.header("content-security-policy").starts_with("sandbox; default-src 'none'"));
    assert_eq!(found.header("x-content-type-options"), "nosniff");
    let renamed =
        bob.binary("GET", &format!("/_matrix/client/v1/media/download/{address}/%E2%98%95"), &[], &[]);
    assert_eq!(renamed.header("content-disposition"), "inline; filename*=utf-8''%E2%98%95");
    let nameless = upload(&alice, b"<script>", "text/html", "");
    assert_eq!(download(&bob, &nameless, &[]).header("content-disposition"), "attachment");
    let untyped = alice.binary("POST", "/_matrix/media/v3/upload", &[], b"").json()["content_uri"]
        .as_str()
        .unwrap()
        .replace("mxc://", "");
    let empty = download(&bob, &untyped, &[]);
    assert_eq!((empty.status, empty.bytes.len()), (200, 0));
    assert_eq!(empty.header("content-type"), "application/octet-stream");
}

#[test]
fn parts_and_what_is_known_already() {
    let server = Server::start();
    let alice = server.register("alice");
    let address = upload(&alice, b"0123456789", "text/plain", "");
    let part = download(&alice, &address, &[("Range", "bytes=2-4")]);
    assert_eq!((part.status, part.bytes.as_slice()), (206, &b"234"[..]));
    assert_eq!(part.header("content-range"), "bytes 2-4/10");
    let end = download(&alice, &address, &[("Range", "bytes=-3")]);
    assert_eq!(end.bytes, b"789");
    let beyond = download(&alice, &address, &[("Range", "bytes=10-")]);
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */10"));
    let several = download(&alice, &address, &[("Range", "bytes=0-1,4-5")]);
    assert_eq!((several.status, several.bytes.len()), (200, 10));
    let etag = part.header("etag");
    let known = download(&alice, &address, &[("If-None-Match", etag)]);
    assert_eq!((known.status, known.bytes.len()), (304, 0));
    let other = download(&alice, &address, &[("Range", "bytes=2-4"), ("If-Range", "\"other\"")]);
    assert_eq!(other.status, 200);
    let head = alice.binary("HEAD", &format!("/_matrix/client/v1/media/download/{address}"), &[], &[]);
    assert_eq!((head.header("content-length"), head.bytes.len()), ("10", 0));
}

#[test]
fn the_old_endpoints_are_frozen_unless_they_are_not() {
    let old = |address: &str| format!("/_matrix/media/v3/download/{address}");
    let mut server = server("legacy_downloads = true");
    let alice = server.register("alice");
    let before = upload(&alice, b"before", "text/plain", "");
    let nobody = server.anonymous();
    assert_eq!(nobody.binary("GET", &old(&before), &[], &[]).bytes, b"before");
    let named = nobody.binary("GET", &format!("/_matrix/media/r0/download/{before}/n.txt"), &[], &[]);
    assert_eq!(named.header("content-disposition"), "inline; filename=n.txt");
    server.stop();
    let config = std::fs::read_to_string(server.config_path()).unwrap();
    let frozen = config.replace("legacy_downloads = true", "legacy_downloads = false");
    std::fs::write(server.config_path(), frozen).unwrap();
    server.restart();
    let (alice, nobody) = (alice.moved_to(server.base_url()), server.anonymous());
    let after = upload(&alice, b"after", "text/plain", "");
    assert_eq!(nobody.binary("GET", &old(&before), &[], &[]).bytes, b"before", "it stays where it was");
    nobody.get(&old(&after)).error(404, "M_NOT_FOUND");
    assert_eq!(download(&alice, &after, &[]).bytes, b"after");
    let pending = alice.post("/_matrix/media/v1/create", serde_json::json!({})).ok();
    let pending = pending["content_uri"].as_str().unwrap().replace("mxc://", "");
    nobody.get(&old(&pending)).error(404, "M_NOT_FOUND");
}

#[test]
fn what_cannot_be_an_address_is_not_found() {
    let server = Server::start();
    let alice = server.register("alice");
    for id in ["nothing", "..%2F..%2Fetc", "%2e%2e", "a%00b", "a.b", "%F0%9F%90%94"] {
        alice.get(&format!("/_matrix/client/v1/media/download/localhost/{id}")).error(404, "M_NOT_FOUND");
    }
    let bad_server = alice.get("/_matrix/client/v1/media/download/not%20a%20server/abc");
    assert_eq!(bad_server.status, 400, "{bad_server}");
}

#[test]
fn an_old_endpoint_makes_thumbnails_where_it_serves_files() {
    let server = server("legacy_downloads = true");
    let alice = server.register("alice");
    let address = upload(&alice, &super::thumbnails::png(600, 300), "image/png", "photo.png");
    let path = format!("/_matrix/media/v3/thumbnail/{address}?width=32&height=32&method=crop");
    let made = server.anonymous().binary("GET", &path, &[], &[]);
    assert_eq!((made.status, made.header("content-type")), (200, "image/png"));
}
