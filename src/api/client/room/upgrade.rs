//! `POST /rooms/{roomId}/upgrade`: replaces a room by one of another version.

use axum::extract::State;
use ruma::api::client::room::upgrade_room::v3::{Request, Response};

use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse, blocking},
    rooms::{RoomCreator, RoomUpgrades, upgrades::Upgrade},
};

/// The handler.
pub async fn upgrade(
    State(creator): State<RoomCreator>,
    State(upgrades): State<RoomUpgrades>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    if !creator.is_for(requester.is_admin) {
        return Err(ApiError::forbidden("Only administrators may create rooms on this server"));
    }
    let successor = blocking::run(move || {
        upgrades.upgrade(&Upgrade {
            room_id: &request.room_id,
            user: &requester.user_id,
            version: &request.new_version,
            additional_creators: request.additional_creators,
        })
    })
    .await?;
    Ok(RumaResponse(Response::new(successor)))
}
