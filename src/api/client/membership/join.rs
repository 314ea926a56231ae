//! `POST /rooms/{roomId}/join`: joins a room by its id.

use axum::extract::State;
use ruma::api::client::membership::join_room_by_id::v3::{Request, Response};

use super::further_content::WithFurther;
use crate::{
    api::{ApiResult, Requester, RumaResponse, blocking},
    rooms::Memberships,
};

/// The handler.
pub async fn join(
    State(memberships): State<Memberships>,
    requester: Requester,
    WithFurther(request, further): WithFurther<Request>,
) -> ApiResult<Response> {
    let room_id = request.room_id.clone();
    blocking::run(move || memberships.join_with(&requester.user_id, &request.room_id, further)).await?;
    Ok(RumaResponse(Response::new(room_id)))
}
