//! `GET /query/directory`: the room behind an alias of this server, and the servers through which it can be
//! joined.

use axum::extract::State;
use ruma::api::federation::query::get_room_information::v1::{Request, Response};

use crate::api::{ApiResult, RumaResponse, federation::Signed, own_aliases::OwnAliases};

/// The handler.
pub async fn directory(
    State(aliases): State<OwnAliases>,
    Signed { request, .. }: Signed<Request>,
) -> ApiResult<Response> {
    let (room_id, servers) = aliases.resolve(request.room_alias).await?;
    Ok(RumaResponse(Response::new(room_id, servers)))
}
