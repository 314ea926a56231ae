//! Media: uploads, downloads, thumbnails (client-server API, "Content repository").
//!
//! Each read exists twice: with an access token below `/_matrix/client/v1/media/`, and in its old form below
//! `/_matrix/media/`, which is frozen unless the operator says otherwise. Bodies are streamed both ways.

mod config;
mod create;
mod download;
mod legacy;
mod preview;
mod receive;
mod thumbnail;
mod upload;
mod upload_to;

use http::Method;
use ruma::api::client::{authenticated_media, media};

use crate::{api::routes::Routes, net::Action};

/// Adds the endpoints.
#[allow(deprecated, reason = "clients use the old endpoints")]
pub fn routes(routes: Routes) -> Routes {
    routes
        .add_limited::<media::create_content::v3::Request, _, _>(Action::MediaUpload, upload::upload)
        .add_limited::<media::create_mxc_uri::v1::Request, _, _>(Action::MediaUpload, create::create)
        .add_limited::<media::create_content_async::v3::Request, _, _>(
            Action::MediaUpload,
            upload_to::upload_to,
        )
        .add::<authenticated_media::get_content::v1::Request, _, _>(download::download)
        .add::<authenticated_media::get_content_as_filename::v1::Request, _, _>(download::download_as)
        .add::<authenticated_media::get_content_thumbnail::v1::Request, _, _>(thumbnail::thumbnail)
        .add::<authenticated_media::get_media_config::v1::Request, _, _>(config::config)
        .add_limited::<authenticated_media::get_media_preview::v1::Request, _, _>(
            Action::UrlPreview,
            preview::preview,
        )
        .add_limited::<media::get_media_preview::v3::Request, _, _>(
            Action::UrlPreview,
            preview::legacy_preview,
        )
        .add::<media::get_content::v3::Request, _, _>(legacy::download)
        .add::<media::get_content_as_filename::v3::Request, _, _>(legacy::download_as)
        .add::<media::get_content_thumbnail::v3::Request, _, _>(legacy::thumbnail)
        .add::<media::get_media_config::v3::Request, _, _>(config::legacy_config)
}

/// Whether the body of a request is left to its handler, as a stream with bounds of its own: uploads may be
/// far larger than what is read into memory.
pub fn takes_stream(method: &Method, path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/_matrix/media/") else { return false };
    let mut segments = rest.split('/').skip_while(|segment| *segment == "unstable" || segment.contains('.'));
    // The version, unless it was an unstable one's name.
    let first = segments.next();
    let operation = if first == Some("upload") { first } else { segments.next() };
    operation == Some("upload") && (*method == Method::POST || *method == Method::PUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_uploads_are_streamed() {
        assert!(takes_stream(&Method::POST, "/_matrix/media/v3/upload"));
        assert!(takes_stream(&Method::POST, "/_matrix/media/r0/upload"));
        assert!(takes_stream(&Method::PUT, "/_matrix/media/v3/upload/example.org/abc"));
        assert!(takes_stream(&Method::PUT, "/_matrix/media/unstable/fi.mau.msc2246/upload/example.org/abc"));
        for path in
            ["/_matrix/media/v1/create", "/_matrix/client/v3/upload", "/_matrix/media/v3/download/upload/x"]
        {
            assert!(!takes_stream(&Method::POST, path), "{path}");
        }
        assert!(!takes_stream(&Method::GET, "/_matrix/media/v3/upload"));
    }
}
