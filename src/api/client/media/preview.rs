//! `GET /_matrix/client/v1/media/preview_url` and `GET /_matrix/media/v3/preview_url`

#![allow(deprecated, reason = "clients use the old endpoint")]

use axum::extract::State;
use ruma::api::client::{authenticated_media, media};
use serde_json::Value;

use crate::{
    api::{ApiError, Requester, Ruma, json::JsonResponse},
    media::UrlPreviews,
};

/// The preview of a link.
pub async fn preview(
    State(previews): State<UrlPreviews>,
    _requester: Requester,
    Ruma(request): Ruma<authenticated_media::get_media_preview::v1::Request>,
) -> Result<JsonResponse<Value>, ApiError> {
    Ok(JsonResponse(previews.preview(&request.url).await?))
}

/// The same at its old place.
pub async fn legacy_preview(
    State(previews): State<UrlPreviews>,
    _requester: Requester,
    Ruma(request): Ruma<media::get_media_preview::v3::Request>,
) -> Result<JsonResponse<Value>, ApiError> {
    Ok(JsonResponse(previews.preview(&request.url).await?))
}
