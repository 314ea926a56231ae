//! Previews of links, from a web server of the test's own.

use serde_json::json;

use super::{download, thumbnails::png};
use crate::harness::{Asked, FakeWeb, Server, ServerSettings, path_segment};

fn site() -> FakeWeb {
    FakeWeb::start(|asked: &Asked| {
        let page = |text: &str| (200, "text/html; charset=utf-8".to_owned(), text.as_bytes().to_vec());
        match asked.line.as_str() {
            "GET /page" => page(
                "<head><meta property='og:title' content='A page'><meta property='og:image' content='a.png'>",
            ),
            "GET /moved" => (302, String::new(), b"/page".to_vec()),
            "GET /broken" => page("<title>No image</title><meta property='og:image' content='/missing.png'>"),
            "GET /a.png" => (200, "image/png".to_owned(), png(40, 30)),
            "GET /text" => (200, "text/plain".to_owned(), b"hello".to_vec()),
            _ => (404, "text/plain".to_owned(), Vec::new()),
        }
    })
}

fn server(more: &str) -> Server {
    let extra = format!("outbound = {{ allowed_ranges = [\"127.0.0.0/8\"] }}\n{more}");
    Server::start_with(&ServerSettings { extra, ..ServerSettings::default() })
}

fn path(url: &str) -> String {
    format!("/_matrix/client/v1/media/preview_url?url={}", path_segment(url))
}

#[test]
fn a_page_is_previewed_with_its_image() {
    let (site, server) = (site(), server(""));
    let alice = server.register("alice");
    let found = alice.get(&path(&site.url("/moved"))).ok();
    assert_eq!(found["og:title"], "A page");
    assert_eq!(found["og:image:width"], 40);
    assert_eq!(found["og:image:height"], 30);
    assert_eq!(found["matrix:image:size"], png(40, 30).len());
    let image = found["og:image"].as_str().unwrap().strip_prefix("mxc://").unwrap();
    assert_eq!(download(&alice, image, &[]).bytes, png(40, 30));
    let asked: Vec<String> = (0..3).map(|_| site.next().line).collect();
    assert_eq!(asked, ["GET /moved", "GET /page", "GET /a.png"]);
    let old = alice.get(&path(&site.url("/moved")).replace("client/v1/media", "media/v3")).ok();
    assert_eq!(old, found, "and it is kept");
    assert!(site.next_within(std::time::Duration::ZERO).is_none());
}

#[test]
fn what_has_little_to_say_has_a_small_preview() {
    let (site, server) = (site(), server(""));
    let alice = server.register("alice");
    assert_eq!(alice.get(&path(&site.url("/broken"))).ok(), json!({"og:title": "No image"}));
    assert_eq!(alice.get(&path(&site.url("/text"))).ok(), json!({}));
    alice.get(&path(&site.url("/nothing"))).error(502, "M_UNKNOWN");
    alice.get(&path("ftp://example.org/")).error(400, "M_INVALID_PARAM");
    alice.get("/_matrix/client/v1/media/preview_url").error(400, "M_MISSING_PARAM");
    server.anonymous().get(&path("http://example.org")).error(401, "M_MISSING_TOKEN");
}

#[test]
fn private_addresses_and_denied_domains_are_never_asked() {
    let site = site();
    let closed = Server::start();
    let alice = closed.register("alice");
    alice.get(&path(&site.url("/page"))).error(403, "M_FORBIDDEN");
    alice.get(&path("http://[::1]:1/")).error(403, "M_FORBIDDEN");
    let denying = server("url_previews = { denied_domains = [\"127.0.0.1\"] }");
    denying.register("alice").get(&path(&site.url("/page"))).error(403, "M_FORBIDDEN");
    let off = server("url_previews = { enabled = false }");
    off.register("alice").get(&path(&site.url("/page"))).error(404, "M_UNRECOGNIZED");
    assert!(site.next_within(std::time::Duration::ZERO).is_none());
}
