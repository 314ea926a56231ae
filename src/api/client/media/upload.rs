//! `POST /_matrix/media/v3/upload`

use axum::extract::State;
use ruma::api::client::media::create_content::v3;

use super::receive::receive;
use crate::{
    api::{ApiResult, Requester, RumaResponse, blocking, request::RumaHead},
    media::{MediaStore, NewMedia},
    storage::records::MediaKind,
};

/// Stores a file.
pub async fn upload(
    State(store): State<MediaStore>,
    requester: Requester,
    head: RumaHead<v3::Request>,
) -> ApiResult<v3::Response> {
    let user = requester.user;
    let _place = store.place(user)?;
    let file = receive(&store, user, head.body, head.announced_bytes).await?;
    let media = NewMedia {
        kind: MediaKind::Upload,
        uploader: Some(user),
        content_type: head.request.content_type,
        filename: head.request.filename,
    };
    let address = blocking::run(move || store.keep_upload(&file, media)).await?;
    Ok(RumaResponse(v3::Response::new(address.to_string().into())))
}
