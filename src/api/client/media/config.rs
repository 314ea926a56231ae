//! `GET /_matrix/client/v1/media/config` and `GET /_matrix/media/v3/config`

use axum::extract::State;
use ruma::{
    UInt,
    api::client::{authenticated_media, media},
};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse},
    media::MediaStore,
};

fn upload_size(store: &MediaStore) -> UInt {
    UInt::new_saturating(store.settings().upload_bytes_max)
}

/// How large an upload may be.
pub async fn config(
    State(store): State<MediaStore>,
    _requester: Requester,
    Ruma(_): Ruma<authenticated_media::get_media_config::v1::Request>,
) -> ApiResult<authenticated_media::get_media_config::v1::Response> {
    let size = upload_size(&store);
    Ok(RumaResponse(authenticated_media::get_media_config::v1::Response::new(size)))
}

/// The same at its old place.
#[allow(deprecated, reason = "clients use the old endpoint")]
pub async fn legacy_config(
    State(store): State<MediaStore>,
    _requester: Requester,
    Ruma(_): Ruma<media::get_media_config::v3::Request>,
) -> ApiResult<media::get_media_config::v3::Response> {
    Ok(RumaResponse(media::get_media_config::v3::Response::new(upload_size(&store))))
}
