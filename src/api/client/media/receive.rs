//! Receives an upload's body into a file.

use axum::body::Body;
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::{
    api::ApiError,
    media::{IncomingFile, MediaError, MediaStore, WholeFile, limits},
    storage::ShortUserId,
};

/// Writes the body to disk as it comes, within the bounds of bytes and time.
pub(super) async fn receive(
    store: &MediaStore,
    user: ShortUserId,
    body: Body,
    announced_bytes: Option<u64>,
) -> Result<WholeFile, ApiError> {
    let mut file = store.begin_upload(user).await?;
    if let Some(bytes) = announced_bytes {
        file.announce(bytes)?;
    }
    let received = timeout(limits::UPLOAD_TIME_MAX, read_into(body, &mut file)).await;
    received.map_err(|_| MediaError::TooSlow)??;
    Ok(file.finish().await?)
}

async fn read_into(mut body: Body, file: &mut IncomingFile) -> Result<(), MediaError> {
    loop {
        let frame = timeout(limits::UPLOAD_STALLED_TIME_MAX, body.frame()).await;
        let Some(frame) = frame.map_err(|_| MediaError::TooSlow)? else { return Ok(()) };
        if let Ok(chunk) = frame.map_err(|_| MediaError::BrokenOff)?.into_data() {
            file.write(&chunk).await?;
        }
    }
}
