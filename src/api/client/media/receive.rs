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
    mut body: Body,
    announced_bytes: Option<u64>,
) -> Result<WholeFile, ApiError> {
    let received = receive_from(store, user, &mut body, announced_bytes).await;
    if received.is_err() {
        drain(body).await;
    }
    received
}

/// Reads on for a while what is not wanted: a client that is still sending when the connection ends never
/// sees the answer.
pub(super) async fn drain(mut body: Body) {
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    // What is left then is lost with the connection.
    let _ = timeout(limits::REFUSED_UPLOAD_READ_TIME_MAX, rest).await;
}

async fn receive_from(
    store: &MediaStore,
    user: ShortUserId,
    body: &mut Body,
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

async fn read_into(body: &mut Body, file: &mut IncomingFile) -> Result<(), MediaError> {
    loop {
        let frame = timeout(limits::UPLOAD_STALLED_TIME_MAX, body.frame()).await;
        let Some(frame) = frame.map_err(|_| MediaError::TooSlow)? else { return Ok(()) };
        if let Ok(chunk) = frame.map_err(|_| MediaError::BrokenOff)?.into_data() {
            file.write(&chunk).await?;
        }
    }
}
