//! `GET /_matrix/federation/v1/media/download/{mediaId}` and `…/thumbnail/{mediaId}`: this server's media, for
//! other servers.

use axum::{body::Body, extract::State, response::Response};
use http::{
    HeaderValue,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use ruma::api::federation::authenticated_media::{get_content, get_content_thumbnail};

use super::Signed;
use crate::{
    api::{
        ApiError,
        file_body::FileBody,
        routes::Routes,
        serve_media::{Audience, MediaFinder, ServedFile, thumbnail_request},
    },
    media::{MediaAddress, MediaStore, Thumbnails, multipart::Frame},
};

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add::<get_content::v1::Request, _, _>(download)
        .add::<get_content_thumbnail::v1::Request, _, _>(thumbnail)
}

/// A file.
async fn download(
    State(finder): State<MediaFinder>,
    State(store): State<MediaStore>,
    Signed { request, .. }: Signed<get_content::v1::Request>,
) -> Result<Response, ApiError> {
    let address = MediaAddress::new(store.server_name().to_owned(), request.media_id)?;
    let media = finder.find(&address, request.timeout_ms, &Audience::Server).await?;
    framed(&store, ServedFile::of_media(&media, None)).await
}

/// A small form of an image.
async fn thumbnail(
    State(finder): State<MediaFinder>,
    State(store): State<MediaStore>,
    State(thumbnails): State<Thumbnails>,
    Signed { request, .. }: Signed<get_content_thumbnail::v1::Request>,
) -> Result<Response, ApiError> {
    let address = MediaAddress::new(store.server_name().to_owned(), request.media_id)?;
    let wanted = thumbnail_request(request.width, request.height, request.method, request.animated)?;
    let media = finder.find(&address, request.timeout_ms, &Audience::Server).await?;
    let thumbnail = thumbnails.of(&media, wanted).await?;
    framed(&store, ServedFile::of_thumbnail(&thumbnail)).await
}

/// A file in the form in which servers send them to each other.
async fn framed(store: &MediaStore, served: ServedFile) -> Result<Response, ApiError> {
    let frame = Frame::new(&served.content_type, &served.disposition)?;
    let file = store.open(&served.file).await?;
    let length = (frame.before.len() + frame.after.len()) as u64 + served.bytes;
    let body = FileBody::within(frame.before.into(), file, served.bytes, frame.after.into());
    let mut response = Response::new(Body::new(body));
    let content_type = HeaderValue::try_from(frame.content_type)
        .map_err(|e| ApiError::internal(format!("media can't be sent: {e}")))?;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    Ok(response)
}
