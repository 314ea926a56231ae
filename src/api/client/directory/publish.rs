//! `PUT /directory/list/room/{roomId}`: publishes a room, or takes it off the list.

use axum::extract::State;
use ruma::api::client::{
    directory::set_room_visibility::v3::{Request, Response},
    room::Visibility,
};

use crate::{
    api::{ApiError, ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    rooms::{RoomDirectory, Viewer},
};

/// The handler.
pub async fn publish(
    State(directory): State<RoomDirectory>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let published = match request.visibility {
        Visibility::Public => true,
        Visibility::Private => false,
        other => return Err(ApiError::invalid_param(format!("`{other}` is not a visibility"))),
    };
    let viewer = Viewer::from(requester);
    blocking::run(move || directory.publish(&viewer, &request.room_id, published)).await?;
    Ok(RumaResponse(Response::new()))
}
