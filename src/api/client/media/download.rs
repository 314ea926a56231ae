//! `GET /_matrix/client/v1/media/download/{serverName}/{mediaId}`, and with `/{fileName}`

use axum::{extract::State, response::Response};
use http::HeaderMap;
use ruma::api::client::authenticated_media::{get_content, get_content_as_filename};

use crate::{
    api::{
        ApiError, Requester, Ruma,
        serve_media::{Audience, MediaFinder, ServedFile},
    },
    media::MediaAddress,
};

/// A file.
pub async fn download(
    State(finder): State<MediaFinder>,
    requester: Requester,
    headers: HeaderMap,
    Ruma(request): Ruma<get_content::v1::Request>,
) -> Result<Response, ApiError> {
    let address = MediaAddress::new(request.server_name, request.media_id)?;
    let media = finder.find(&address, request.timeout_ms, &Audience::User(requester.user_id)).await?;
    finder.serve(ServedFile::of_media(&media, None), &headers).await
}

/// A file under another name.
pub async fn download_as(
    State(finder): State<MediaFinder>,
    requester: Requester,
    headers: HeaderMap,
    Ruma(request): Ruma<get_content_as_filename::v1::Request>,
) -> Result<Response, ApiError> {
    let address = MediaAddress::new(request.server_name, request.media_id)?;
    let media = finder.find(&address, request.timeout_ms, &Audience::User(requester.user_id)).await?;
    finder.serve(ServedFile::of_media(&media, Some(request.filename)), &headers).await
}
