//! `PUT /_matrix/media/v3/upload/{serverName}/{mediaId}`

use axum::extract::State;
use ruma::api::client::media::create_content_async::v3;
use serde_json::{Value, json};

use super::receive::{drain, receive};
use crate::{
    api::{ApiError, Requester, blocking, json::JsonResponse, request::RumaHead},
    media::{MediaAddress, MediaStore, NewMedia},
    storage::records::MediaKind,
};

/// Stores a file under an address made before.
pub async fn upload_to(
    State(store): State<MediaStore>,
    requester: Requester,
    head: RumaHead<v3::Request>,
) -> Result<JsonResponse<Value>, ApiError> {
    let user = requester.user;
    let address = MediaAddress::new(head.request.server_name, head.request.media_id)?;
    let (first, wanted) = (store.clone(), address.clone());
    if let Err(refused) = blocking::run(move || first.check_upload_to(user, &wanted)).await {
        drain(head.body).await;
        return Err(refused);
    }
    let _place = store.place(user)?;
    let file = receive(&store, user, head.body, head.announced_bytes).await?;
    let media = NewMedia {
        kind: MediaKind::Upload,
        uploader: Some(user),
        content_type: head.request.content_type,
        filename: head.request.filename,
    };
    blocking::run(move || store.keep_upload_to(&file, media, user, &address)).await?;
    // ruma's type of the answer can't be made from outside of it.
    Ok(JsonResponse(json!({})))
}
