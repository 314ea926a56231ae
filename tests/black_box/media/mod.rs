//! Files that users share.

mod downloads;
mod hostile;
mod previews;
mod thumbnails;
mod uploads;

use crate::harness::{BinaryAnswer, Client, Server, ServerSettings};

/// A server whose old download endpoints are open, with further lines below `[media]`.
pub fn server(media: &str) -> Server {
    let extra = format!("media = {{ {media} }}");
    Server::start_with(&ServerSettings { extra, ..ServerSettings::default() })
}

/// Uploads a file; the parts of its address, as `server/media-id`.
#[track_caller]
pub fn upload(client: &Client, bytes: &[u8], content_type: &str, filename: &str) -> String {
    let query = if filename.is_empty() {
        String::new()
    } else {
        format!("?filename={}", crate::harness::path_segment(filename))
    };
    let path = format!("/_matrix/media/v3/upload{query}");
    let answer = client.binary("POST", &path, &[("Content-Type", content_type)], bytes);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
    let address = answer.json()["content_uri"].as_str().unwrap().to_owned();
    address.strip_prefix("mxc://").unwrap().to_owned()
}

/// Downloads a file.
#[track_caller]
pub fn download(client: &Client, address: &str, headers: &[(&str, &str)]) -> BinaryAnswer {
    client.binary("GET", &format!("/_matrix/client/v1/media/download/{address}"), headers, &[])
}
