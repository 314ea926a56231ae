//! `GET /_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}`

use axum::{extract::State, response::Response};
use http::HeaderMap;
use ruma::api::client::authenticated_media::get_content_thumbnail::v1;

use crate::{
    api::{
        ApiError, Requester, Ruma,
        serve_media::{Audience, MediaFinder, ServedFile, thumbnail_request},
    },
    media::{MediaAddress, Thumbnails},
};

/// A small form of an image.
pub async fn thumbnail(
    State(finder): State<MediaFinder>,
    State(thumbnails): State<Thumbnails>,
    requester: Requester,
    headers: HeaderMap,
    Ruma(request): Ruma<v1::Request>,
) -> Result<Response, ApiError> {
    let address = MediaAddress::new(request.server_name, request.media_id)?;
    let wanted = thumbnail_request(request.width, request.height, request.method, request.animated)?;
    let media = finder.find(&address, request.timeout_ms, &Audience::User(requester.user_id)).await?;
    let thumbnail = thumbnails.of(&media, wanted).await?;
    finder.serve(ServedFile::of_thumbnail(&thumbnail), &headers).await
}
