//! `GET /rooms/{roomId}/hierarchy`: the rooms of a space, those of other servers included.

use axum::extract::State;
use ruma::{
    api::client::space::{
        SpaceHierarchyRoomsChunk,
        get_hierarchy::v1::{Request, Response},
    },
    serde::Raw,
};

use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse},
    federation::RemoteSpaces,
    rooms::{HierarchyRequest, SpaceRoom, Spaces, limits},
};

/// The handler.
pub async fn hierarchy(
    State(spaces): State<Spaces>,
    State(remote): State<RemoteSpaces>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let number = |number: Option<ruma::UInt>, otherwise: usize| {
        number.map_or(otherwise, |number| usize::try_from(number).unwrap_or(usize::MAX))
    };
    if request.limit == Some(ruma::uint!(0)) {
        return Err(ApiError::invalid_param("`limit` must be greater than zero"));
    }
    let wanted = HierarchyRequest {
        from: request.from,
        limit: number(request.limit, limits::HIERARCHY_PAGE_MAX),
        max_depth: number(request.max_depth, limits::HIERARCHY_DEPTH_MAX),
        suggested_only: request.suggested_only,
    };
    let page = remote.page(&spaces, requester.user, request.room_id, wanted).await?;
    let mut response = Response::new();
    response.rooms = page.rooms.into_iter().map(chunk).collect();
    response.next_batch = page.next;
    Ok(RumaResponse(response))
}

fn chunk(room: SpaceRoom) -> SpaceHierarchyRoomsChunk {
    let links = room.links.into_iter().map(|link| Raw::from_json(link.json));
    SpaceHierarchyRoomsChunk::new(room.summary, links.collect())
}
