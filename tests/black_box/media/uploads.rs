//! Uploads, at once and to addresses made before.

use std::fs;

use serde_json::json;

use super::{download, server, upload};
use crate::harness::{Client, Server, ServerSettings};

fn create(client: &Client) -> String {
    let created = client.post("/_matrix/media/v1/create", json!({})).ok();
    assert!(created["unused_expires_at"].as_u64().is_some(), "{created}");
    created["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned()
}

#[test]
fn a_file_larger_than_any_other_body_survives_a_crash() {
    let mut server = Server::start();
    let alice = server.register("alice");
    // Above `max_request_bytes`, which bounds what is read into memory.
    let file: Vec<u8> = (0..251_u8).cycle().take(12_000_000).collect();
    let address = upload(&alice, &file, "application/zip", "a.zip");
    let same = upload(&alice, &file, "application/zip", "b.zip");
    assert_ne!(address, same);
    server.kill();
    server.restart();
    let alice = alice.moved_to(server.base_url());
    assert!(download(&alice, &address, &[]).bytes == file);
    assert!(download(&alice, &same, &[]).bytes == file);
    server.stop();
    server.assert_check_finds_nothing();
}

#[test]
fn equal_files_lie_on_disk_once_and_nothing_is_left_of_refused_ones() {
    let server = server("max_upload_mb = 1");
    let alice = server.register("alice");
    upload(&alice, b"the same", "text/plain", "one");
    upload(&alice, b"the same", "text/plain", "two");
    let too_large = vec![7; (1 << 20) + 1];
    alice.binary("POST", "/_matrix/media/v3/upload", &[], &too_large).error(413, "M_TOO_LARGE");
    let folder = server.config_path().parent().unwrap().join("data/media");
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        files.extend(fs::read_dir(entry.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    assert_eq!(files.len(), 1, "{files:?}");
    let config = alice.get("/_matrix/client/v1/media/config").ok();
    assert_eq!(config, json!({"m.upload.size": 1 << 20}));
    assert_eq!(alice.get("/_matrix/media/v3/config").ok(), config);
}

#[test]
fn who_is_not_logged_in_uploads_nothing() {
    let server = Server::start();
    let nobody = server.anonymous();
    nobody.binary("POST", "/_matrix/media/v3/upload", &[], b"x").error(401, "M_MISSING_TOKEN");
    nobody.post("/_matrix/media/v1/create", json!({})).error(401, "M_MISSING_TOKEN");
    nobody.get("/_matrix/client/v1/media/config").error(401, "M_MISSING_TOKEN");
    nobody.get("/_matrix/client/v1/media/download/localhost/abc").error(401, "M_MISSING_TOKEN");
    let thumbnail = "/_matrix/client/v1/media/thumbnail/localhost/abc";
    nobody.get(thumbnail).error(401, "M_MISSING_TOKEN");
}

#[test]
fn an_address_made_before_takes_one_upload_of_its_user() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let address = create(&alice);
    let put = |client: &Client, address: &str| {
        let path = format!("/_matrix/media/v3/upload/{address}?filename=x.png");
        client.binary("PUT", &path, &[("Content-Type", "image/png")], b"bytes")
    };
    let none = alice.get(&format!("/_matrix/client/v1/media/download/{address}?timeout_ms=0"));
    none.error(504, "M_NOT_YET_UPLOADED");
    put(&bob, &address).error(403, "M_FORBIDDEN");
    put(&alice, "localhost/unknown").error(404, "M_NOT_FOUND");
    put(&alice, "elsewhere.example/abc").error(404, "M_NOT_FOUND");
    let done = put(&alice, &address);
    assert_eq!((done.status, done.json()), (200, json!({})));
    put(&alice, &address).error(409, "M_CANNOT_OVERWRITE_MEDIA");
    let found = download(&alice, &address, &[]);
    assert_eq!((found.bytes, found.status), (b"bytes".to_vec(), 200));
}

#[test]
fn a_download_waits_for_the_upload() {
    let server = Server::start();
    let alice = server.register("alice");
    let address = create(&alice);
    let waiting = {
        let (alice, address) = (alice.clone(), address.clone());
        std::thread::spawn(move || download(&alice, &address, &[]))
    };
    let path = format!("/_matrix/media/v3/upload/{address}");
    assert_eq!(alice.binary("PUT", &path, &[], b"came").status, 200);
    assert_eq!(waiting.join().unwrap().bytes, b"came");
}

#[test]
fn uploads_of_one_user_are_limited() {
    let extra = "rate_limits.media_upload = { per_second = 0.001, burst = 2 }\nrate_limits.enabled = true\n";
    let folder = tempfile::tempdir().unwrap();
    let settings = ServerSettings { data_dir: Some(folder.path().to_owned()), ..ServerSettings::default() };
    let mut server = Server::start_with(&settings);
    server.stop();
    let config = fs::read_to_string(server.config_path()).unwrap();
    fs::write(server.config_path(), config.replace("[rate_limits]\nenabled = false\n", extra)).unwrap();
    server.restart();
    let alice = server.register("alice");
    upload(&alice, b"1", "text/plain", "");
    upload(&alice, b"2", "text/plain", "");
    alice.binary("POST", "/_matrix/media/v3/upload", &[], b"3").error(429, "M_LIMIT_EXCEEDED");
}
