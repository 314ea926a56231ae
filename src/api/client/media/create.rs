//! `POST /_matrix/media/v1/create`

use axum::extract::State;
use ruma::{MilliSecondsSinceUnixEpoch, UInt, api::client::media::create_mxc_uri::v1};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    media::MediaStore,
};

/// Makes an `mxc://` address for an upload that comes later.
pub async fn create(
    State(store): State<MediaStore>,
    requester: Requester,
    Ruma(_): Ruma<v1::Request>,
) -> ApiResult<v1::Response> {
    let pending = blocking::run(move || store.create(requester.user)).await?;
    let mut response = v1::Response::new(pending.address.to_string().into());
    response.unused_expires_at = Some(MilliSecondsSinceUnixEpoch(UInt::new_saturating(pending.expires_ms)));
    Ok(RumaResponse(response))
}
