//! `GET /_matrix/media/v3/download/…` and `GET /_matrix/media/v3/thumbnail/…`: the old endpoints, which ask
//! for no access token. They serve only what came while they were not frozen.

#![allow(deprecated, reason = "clients use the old endpoints")]

use std::time::Duration;

use axum::{extract::State, response::Response};
use http::HeaderMap;
use ruma::api::client::media::{get_content, get_content_as_filename, get_content_thumbnail};

use crate::{
    api::{
        ApiError, Ruma,
        serve_media::{Audience, MediaFinder, ServedFile, thumbnail_request},
    },
    media::{Media, MediaAddress, Thumbnails},
    net::ClientAddress,
};

/// A file.
pub async fn download(
    State(finder): State<MediaFinder>,
    client: ClientAddress,
    headers: HeaderMap,
    Ruma(request): Ruma<get_content::v3::Request>,
) -> Result<Response, ApiError> {
    let address = MediaAddress::new(request.server_name, request.media_id)?;
    let media = find(&finder, &address, request.timeout_ms, request.allow_remote, client).await?;
    finder.serve(ServedFile::of_media(&media, None), &headers).await
}

/// A file under another name.
pub async fn download_as(
    State(finder): State<MediaFinder>,
    client: ClientAddress,
    headers: HeaderMap,
    Ruma(request): Ruma<get_content_as_filename::v3::Request>,
) -> Result<Response, ApiError> {
    let address = MediaAddress::new(request.server_name, request.media_id)?;
    let media = find(&finder, &address, request.timeout_ms, request.allow_remote, client).await?;
    finder.serve(ServedFile::of_media(&media, Some(request.filename)), &headers).await
}

/// A small form of an image.
pub async fn thumbnail(
    State(finder): State<MediaFinder>,
    State(thumbnails): State<Thumbnails>,
    client: ClientAddress,
    headers: HeaderMap,
    Ruma(request): Ruma<get_content_thumbnail::v3::Request>,
) -> Result<Response, ApiError> {
    let address = MediaAddress::new(request.server_name, request.media_id)?;
    let wanted = thumbnail_request(request.width, request.height, request.method, request.animated)?;
    let media = find(&finder, &address, request.timeout_ms, request.allow_remote, client).await?;
    let thumbnail = thumbnails.of(&media, wanted).await?;
    finder.serve(ServedFile::of_thumbnail(&thumbnail), &headers).await
}

async fn find(
    finder: &MediaFinder,
    address: &MediaAddress,
    time_max: Duration,
    allow_remote: bool,
    client: ClientAddress,
) -> Result<Media, ApiError> {
    let audience = Audience::Anybody { address: client.0, may_fetch: allow_remote };
    finder.find(address, time_max, &audience).await
}
