//! `GET /directory/list/room/{roomId}`: whether a room is published, for anybody.

use axum::extract::State;
use ruma::api::client::{
    directory::get_room_visibility::v3::{Request, Response},
    room::Visibility,
};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, blocking},
    rooms::RoomDirectory,
};

/// The handler.
pub async fn is_published(
    State(directory): State<RoomDirectory>,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let published = blocking::run(move || directory.is_published(&request.room_id)).await?;
    Ok(RumaResponse(Response::new(if published { Visibility::Public } else { Visibility::Private })))
}
