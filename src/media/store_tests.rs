use std::{io::Cursor, time::Duration};

use image::{DynamicImage, ImageFormat, RgbImage};
use ruma::server_name;
use tempfile::TempDir;

use super::*;
use crate::{
    media::{MediaCleanup, Method, NewMedia, ThumbnailRequest, Thumbnails, WholeFile},
    storage::{ShortUserId, tables::THUMBNAILS},
    users::ManualClock,
};

const ALICE: ShortUserId = ShortUserId(1);
const BOB: ShortUserId = ShortUserId(2);

struct World {
    _folder: TempDir,
    store: MediaStore,
    time: ManualClock,
}

fn world() -> World {
    world_with(|_| ())
}

fn world_with(change: impl FnOnce(&mut MediaSettings)) -> World {
    let folder = tempfile::tempdir().unwrap();
    let files = ContentFiles::open(folder.path(), false).unwrap();
    let (clock, time) = Clock::manual(1_700_000_000_000);
    let mut settings = MediaSettings {
        upload_bytes_max: 1_000,
        user_quota_bytes: None,
        legacy_downloads: false,
        remote_keep_ms: Some(1_000),
        thumbnail_pixels_max: 1_000_000,
    };
    change(&mut settings);
    let storage = Storage::in_memory().unwrap();
    let store = MediaStore::new(storage, files, server_name!("example.org").to_owned(), clock, settings);
    World { _folder: folder, store, time }
}

fn new_media(user: ShortUserId) -> NewMedia {
    NewMedia {
        kind: MediaKind::Upload,
        uploader: Some(user),
        content_type: Some("text/plain".to_owned()),
        filename: Some("a.txt".to_owned()),
    }
}

fn remote_media() -> NewMedia {
    NewMedia { kind: MediaKind::Remote, uploader: None, ..new_media(ALICE) }
}

impl World {
    async fn file(&self, bytes: &[u8]) -> WholeFile {
        let mut file = self.store.files.begin(1 << 20).await.unwrap();
        file.write(bytes).await.unwrap();
        file.finish().await.unwrap()
    }

    async fn upload(&self, user: ShortUserId, bytes: &[u8]) -> MediaAddress {
        self.store.keep_upload(&self.file(bytes).await, new_media(user)).unwrap()
    }

    fn on_disk(&self, file: &FileHash) -> bool {
        self.store.files.path(file).exists()
    }
}

fn elsewhere(media_id: &str) -> MediaAddress {
    MediaAddress::new(server_name!("elsewhere.org").to_owned(), media_id.to_owned()).unwrap()
}

#[tokio::test]
async fn equal_uploads_share_a_file_until_the_last_is_removed() {
    let world = world();
    let (one, other) = (world.upload(ALICE, b"same").await, world.upload(BOB, b"same").await);
    let file = world.store.find(&one).unwrap().record.file;
    assert_eq!(world.store.find(&other).unwrap().record.file, file);
    assert_eq!(world.store.storage.get(&MEDIA_FILES, &file).unwrap(), Some((2, 4)));
    assert!(world.store.remove(&one).unwrap());
    assert!(!world.store.remove(&one).unwrap());
    assert!(world.on_disk(&file) && matches!(world.store.find(&one), Err(MediaError::NotFound)));
    assert!(world.store.remove(&other).unwrap());
    assert!(!world.on_disk(&file));
    assert_eq!(world.store.usage(ALICE).unwrap(), crate::media::Usage::default());
    let again = world.upload(ALICE, b"same").await;
    assert!(world.on_disk(&world.store.find(&again).unwrap().record.file));
}

#[tokio::test]
async fn a_quota_bounds_what_a_user_has_uploaded() {
    let world = world_with(|settings| settings.user_quota_bytes = Some(10));
    let first = world.upload(ALICE, b"12345678").await;
    let too_much = world.store.keep_upload(&world.file(b"123").await, new_media(ALICE));
    assert!(matches!(too_much, Err(MediaError::QuotaExceeded)));
    world.upload(ALICE, b"12").await;
    assert!(matches!(world.store.begin_upload(ALICE).await, Err(MediaError::QuotaExceeded)));
    world.upload(BOB, b"12345678").await;
    world.store.remove(&first).unwrap();
    world.upload(ALICE, b"123").await;
    assert_eq!(world.store.usage(ALICE).unwrap().bytes, 5);
}

#[tokio::test]
async fn an_address_made_before_takes_one_upload_of_its_user_in_time() {
    let world = world();
    let store = &world.store;
    let pending = store.create(ALICE).unwrap();
    assert!(matches!(store.find(&pending.address), Err(MediaError::NotYetUploaded)));
    let keep = |file, user| store.keep_upload_to(&file, new_media(user), user, &pending.address);
    assert!(matches!(keep(world.file(b"x").await, BOB), Err(MediaError::NotYours)));
    let waiting = {
        let (store, address) = (store.clone(), pending.address.clone());
        tokio::spawn(async move { store.find_or_wait(&address, Duration::from_secs(30)).await })
    };
    keep(world.file(b"x").await, ALICE).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().record.bytes, 1);
    assert!(matches!(keep(world.file(b"y").await, ALICE), Err(MediaError::CannotOverwrite)));
    let late = store.create(ALICE).unwrap();
    world.time.advance_ms(limits::PENDING_UPLOAD_LIFETIME_MS + 1);
    assert!(matches!(store.check_upload_to(ALICE, &late.address), Err(MediaError::NotFound)));
    assert!(matches!(store.find(&late.address), Err(MediaError::NotFound)));
    assert_eq!(store.forget_expired_uploads().unwrap(), 1);
}

#[tokio::test]
async fn uploads_to_come_are_bounded() {
    let world = world();
    for _ in 0..limits::PENDING_UPLOADS_PER_USER_MAX {
        world.store.create(ALICE).unwrap();
    }
    assert!(matches!(world.store.create(ALICE), Err(MediaError::TooManyPending)));
    world.store.create(BOB).unwrap();
    world.time.advance_ms(limits::PENDING_UPLOAD_LIFETIME_MS + 1);
    world.store.create(ALICE).unwrap();
}

#[tokio::test]
async fn users_have_a_number_of_places() {
    let world = world();
    let places: Vec<_> =
        (0..limits::UPLOADS_CONCURRENT_PER_USER_MAX).map(|_| world.store.place(ALICE).unwrap()).collect();
    assert!(matches!(world.store.place(ALICE), Err(MediaError::Busy)));
    world.store.place(BOB).unwrap();
    drop(places);
    world.store.place(ALICE).unwrap();
}

#[tokio::test]
async fn quarantine_hides_and_protection_spares() {
    let world = world();
    let store = &world.store;
    let (one, other) = (world.upload(ALICE, b"1").await, world.upload(ALICE, b"2").await);
    store.protect(&other, true).unwrap();
    assert_eq!(store.quarantine_of_user(ALICE, "@admin:example.org").unwrap(), 1);
    assert!(matches!(store.find(&one), Err(MediaError::NotFound)));
    assert!(store.find(&other).is_ok());
    assert_eq!(store.of_user(ALICE, 0, 10).unwrap().len(), 2);
    store.quarantine(&one, None).unwrap();
    assert!(store.find(&one).is_ok());
    let removed = store.remove_local_before(u64::MAX, 0).unwrap();
    assert_eq!(removed.addresses, [one]);
    assert_eq!(store.remove_of_user(ALICE).unwrap().addresses, [other]);
}

#[tokio::test]
async fn remote_media_goes_when_nobody_asks_for_it() {
    let world = world();
    let store = &world.store;
    for id in ["asked", "forgotten", "quarantined"] {
        let file = world.file(id.as_bytes()).await;
        store.keep_remote(&file, remote_media(), &elsewhere(id)).unwrap();
        store.keep_remote(&world.file(b"another").await, remote_media(), &elsewhere(id)).unwrap();
    }
    assert_eq!(store.find(&elsewhere("asked")).unwrap().record.bytes, 5, "the first one stays");
    store.quarantine(&elsewhere("quarantined"), Some("@admin:example.org")).unwrap();
    world.time.advance_ms(limits::USE_NOTED_INTERVAL_MS + 1_000);
    store.find(&elsewhere("asked")).unwrap();
    let uploaded = world.upload(ALICE, b"stays").await;
    MediaCleanup::new(store.clone()).run_once().unwrap();
    assert!(store.find(&elsewhere("asked")).is_ok() && store.find(&uploaded).is_ok());
    assert!(!store.is_known(&elsewhere("forgotten")).unwrap());
    assert!(store.is_known(&elsewhere("quarantined")).unwrap(), "it would be fetched again");
}

#[tokio::test]
async fn files_without_rows_are_cleaned_up() {
    let world = world();
    let (file, kept) = (world.file(b"orphan").await, world.upload(ALICE, b"kept").await);
    let orphan = file.hash();
    world.store.files.keep(&file, || Ok::<_, MediaError>(())).unwrap();
    assert!(world.on_disk(&orphan));
    MediaCleanup::new(world.store.clone()).run_once().unwrap();
    assert!(!world.on_disk(&orphan));
    assert!(world.on_disk(&world.store.find(&kept).unwrap().record.file));
}

#[tokio::test]
async fn thumbnails_are_made_once_and_go_with_their_file() {
    let world = world();
    let mut png = Vec::new();
    let image = DynamicImage::ImageRgb8(RgbImage::new(400, 400));
    image.write_to(&mut Cursor::new(&mut png), ImageFormat::Png).unwrap();
    let address = world.upload(ALICE, &png).await;
    let media = world.store.find(&address).unwrap();
    let thumbnails = Thumbnails::new(world.store.clone());
    let request = ThumbnailRequest { width: 96, height: 96, method: Method::Crop, animated: false };
    let (first, second) = tokio::join!(thumbnails.of(&media, request), thumbnails.of(&media, request));
    let thumbnail = first.unwrap();
    assert_eq!(second.unwrap(), thumbnail);
    assert_eq!(thumbnail.content_type, "image/png");
    let rows =
        || world.store.storage.scan(&THUMBNAILS, &THUMBNAILS.all(), crate::storage::Direction::Forward);
    assert_eq!(rows().count(), 1);
    assert!(world.on_disk(&thumbnail.file));
    world.store.remove(&address).unwrap();
    assert_eq!(rows().count(), 0);
    assert!(!world.on_disk(&thumbnail.file) && !world.on_disk(&media.record.file));
}
