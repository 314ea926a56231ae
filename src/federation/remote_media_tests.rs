use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, response::IntoResponse, routing::get};
use ruma::{ServerName, server_name};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::{
    config::AddressRange,
    federation::testing::Own,
    media::{ContentFiles, Media, MediaSettings, multipart::Frame},
    net::outbound::Outbound,
    users::Clock,
};

const SIGNED: &str = "/_matrix/federation/v1/media/download/abc";

struct World {
    own: Own,
    media: RemoteMedia,
    _folder: TempDir,
}

fn world() -> World {
    let own = Own::new();
    let folder = tempfile::tempdir().unwrap();
    let settings = MediaSettings {
        upload_bytes_max: 1_000,
        user_quota_bytes: None,
        legacy_downloads: false,
        remote_keep_ms: None,
        thumbnail_pixels_max: 1_000_000,
    };
    let files = ContentFiles::open(folder.path(), false).unwrap();
    let (storage, name) = (own.storage.clone(), server_name!("own.test").to_owned());
    let store = MediaStore::new(storage, files, name, Clock::system(), settings);
    let outbound = Outbound::new(Some(&own.ca_file()), &AddressRange::loopback()).unwrap();
    let media = RemoteMedia::new(store, own.client.clone(), outbound.public_secure());
    World { own, media, _folder: folder }
}

fn address(server: &ServerName) -> MediaAddress {
    MediaAddress::new(server.to_owned(), "abc".to_owned()).unwrap()
}

/// A file as servers send it.
fn framed(file: &[u8]) -> impl IntoResponse + use<> {
    let frame = Frame::new("image/png", "inline; filename=a.png").unwrap();
    let body = [frame.before.as_bytes(), file, frame.after.as_bytes()].concat();
    ([("content-type", frame.content_type)], body)
}

impl World {
    async fn fetch(&self, router: Router) -> Result<(Media, Vec<u8>), MediaError> {
        let other = self.own.other(router).await;
        let address = address(&other.name);
        self.media.fetch(&address, Duration::from_secs(1)).await?;
        let media = self.media.store.find(&address)?;
        let bytes = std::fs::read(self.media.store.files().path(&media.record.file)).unwrap();
        Ok((media, bytes))
    }
}

#[tokio::test]
async fn a_file_comes_with_its_name_and_type() {
    let world = world();
    let file: Vec<u8> = (0..=255).cycle().take(900).collect();
    let sent = file.clone();
    let router = Router::new().route(SIGNED, get(move || async move { framed(&sent) }));
    let (media, bytes) = world.fetch(router).await.unwrap();
    assert!(bytes == file);
    assert_eq!(media.record.content_type.as_deref(), Some("image/png"));
    assert_eq!(media.record.filename.as_deref(), Some("a.png"));
    assert_eq!((media.record.kind, media.record.uploader), (MediaKind::Remote, None));
}

#[tokio::test]
async fn all_who_ask_at_once_share_one_fetch() {
    let world = world();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let router = Router::new().route(
        SIGNED,
        get(move || async move {
            counted.fetch_add(1, Ordering::SeqCst);
            framed(b"x")
        }),
    );
    let other = world.own.other(router).await;
    let address = address(&other.name);
    let fetch = || world.media.fetch(&address, Duration::from_secs(1));
    let (one, two, three) = tokio::join!(fetch(), fetch(), fetch());
    one.and(two).and(three).unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_older_server_is_asked_in_the_old_way() {
    let world = world();
    let router = Router::new()
        .route(
            SIGNED,
            get(|| async { (StatusCode::NOT_FOUND, json!({"errcode": "M_UNRECOGNIZED"}).to_string()) }),
        )
        .route(
            "/_matrix/media/v3/download/{server}/abc",
            get(|request: Request<axum::body::Body>| async move {
                assert_eq!(request.uri().query(), Some("allow_remote=false"));
                ([("content-type", "text/plain"), ("content-disposition", "attachment; filename=o")], "old")
            }),
        );
    let (media, bytes) = world.fetch(router).await.unwrap();
    assert_eq!((bytes.as_slice(), media.record.filename.as_deref()), (&b"old"[..], Some("o")));
}

#[tokio::test]
async fn a_file_may_lie_elsewhere() {
    let world = world();
    let elsewhere = Router::new().route("/file", get(|| async { ([("content-type", "text/css")], "far") }));
    let elsewhere = world.own.other(elsewhere).await;
    let body =
        format!("--b\r\n\r\n{{}}\r\n--b\r\nLocation: https://{}/file\r\n\r\n\r\n--b--", elsewhere.name);
    let answer = move || async move { ([("content-type", "multipart/mixed; boundary=b")], body) };
    let (media, bytes) = world.fetch(Router::new().route(SIGNED, get(answer))).await.unwrap();
    assert_eq!((bytes.as_slice(), media.record.content_type.as_deref()), (&b"far"[..], Some("text/css")));
}

#[tokio::test]
async fn what_cannot_be_had_says_why() {
    let world = world();
    let large = Router::new().route(SIGNED, get(|| async { framed(&[7; 1_001]) }));
    assert!(matches!(world.fetch(large).await, Err(MediaError::RemoteTooLarge { bytes_max: 1_000 })));
    let refusing = |status, errcode: &'static str| {
        let answer = move || async move { (status, json!({ "errcode": errcode }).to_string()) };
        Router::new().route(SIGNED, get(answer))
    };
    let missing = world.fetch(refusing(StatusCode::NOT_FOUND, "M_NOT_FOUND")).await;
    assert!(matches!(missing, Err(MediaError::NotFound)));
    let pending = world.fetch(refusing(StatusCode::GATEWAY_TIMEOUT, "M_NOT_YET_UPLOADED")).await;
    assert!(matches!(pending, Err(MediaError::NotYetUploaded)));
    let odd = Router::new().route(SIGNED, get(|| async { "not multipart" }));
    assert!(matches!(world.fetch(odd).await, Err(MediaError::Unreachable(_))));
    let broken =
        || async { ([("content-type", "multipart/mixed; boundary=b")], "--b\r\n\r\n{}\r\n--b\r\n\r\nhalf") };
    let broken = world.fetch(Router::new().route(SIGNED, get(broken))).await;
    assert!(matches!(broken, Err(MediaError::Unreachable(_))));
    let nobody = world.media.fetch(&address(server_name!("127.0.0.1:1")), Duration::ZERO).await;
    assert!(matches!(nobody, Err(MediaError::Unreachable(_))));
}
