//! Thumbnails over HTTP; what is made of which image is tested beside the code.

use super::upload;
use crate::harness::Server;

/// An uncompressed PNG of one colour.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let image = image::RgbImage::from_pixel(width, height, image::Rgb([200, 30, 90]));
    let format = image::ImageFormat::Png;
    image::DynamicImage::ImageRgb8(image).write_to(&mut std::io::Cursor::new(&mut bytes), format).unwrap();
    bytes
}

#[test]
fn a_thumbnail_is_made_and_kept() {
    let mut server = Server::start();
    let alice = server.register("alice");
    let address = upload(&alice, &png(600, 300), "image/png", "photo.png");
    let path = format!("/_matrix/client/v1/media/thumbnail/{address}?width=90&height=90&method=crop");
    let made = alice.binary("GET", &path, &[], &[]);
    assert_eq!((made.status, made.header("content-type")), (200, "image/png"));
    assert_eq!(made.header("content-disposition"), "inline; filename=thumbnail.png");
    let image = image::load_from_memory(&made.bytes).unwrap();
    assert_eq!((image.width(), image.height()), (96, 96));
    let kept = alice.binary("GET", &path, &[], &[]);
    assert_eq!((&kept.bytes, kept.header("etag")), (&made.bytes, made.header("etag")));
    let large = alice.binary("GET", &path.replace("=90", "=5000"), &[], &[]);
    assert_eq!(large.bytes, png(600, 300), "the image itself is all there is");
    server.stop();
    server.assert_check_finds_nothing();
}

#[test]
fn a_file_has_only_so_many_thumbnails() {
    let mut server = Server::start();
    let alice = server.register("alice");
    let address = upload(&alice, &png(700, 700), "image/png", "photo.png");
    let of = |width: u32, height: u32| {
        let query = format!("width={width}&height={height}&method=crop");
        let path = format!("/_matrix/client/v1/media/thumbnail/{address}?{query}");
        image::load_from_memory(&alice.binary("GET", &path, &[], &[]).bytes).unwrap()
    };
    // Thirty-two forms of two sizes: more than are kept.
    for part in 1..=16 {
        for (width, height) in [(96, part * 6), (320, part * 20)] {
            let image = of(width, height);
            assert!(image.width() >= width && image.height() >= height);
        }
    }
    // What isn't kept is served by a square one that is.
    assert_eq!((of(18, 96).width(), of(18, 96).height()), (96, 96));
    server.stop();
    server.assert_check_finds_nothing();
    let files = count_files(&server.config_path().with_file_name("data").join("media"));
    assert!(files <= 1 + 24 + 2, "{files} files");
}

fn count_files(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| if entry.file_type().unwrap().is_dir() { count_files(&entry.path()) } else { 1 })
        .sum()
}

#[test]
fn what_no_thumbnail_can_be_made_of_is_refused() {
    let server = Server::start();
    let alice = server.register("alice");
    let address = upload(&alice, b"just text", "image/png", "");
    let of = |address: &str, query: &str| {
        alice.get(&format!("/_matrix/client/v1/media/thumbnail/{address}?{query}"))
    };
    of(&address, "width=32&height=32").error(400, "M_UNKNOWN");
    of(&address, "width=32").error(400, "M_MISSING_PARAM");
    of(&address, "width=-1&height=32").error(400, "M_INVALID_PARAM");
    of(&address, "width=0&height=32").error(400, "M_INVALID_PARAM");
    of(&address, "width=32&height=32&method=stretch").error(400, "M_INVALID_PARAM");
    of("localhost/nothing", "width=32&height=32").error(404, "M_NOT_FOUND");
}
