//! `GET /hierarchy/{roomId}`: a space with the rooms in it, as far as another server may know of them.

use axum::extract::State;
use ruma::{
    api::federation::space::{
        SpaceHierarchyParentSummary,
        get_hierarchy::v1::{Request, Response},
    },
    serde::Raw,
};

use crate::{
    api::{ApiError, ApiResult, RumaResponse, blocking, federation::Signed},
    rooms::{Resident, Spaces},
};

/// The handler.
pub async fn hierarchy(
    State(resident): State<Resident>,
    State(spaces): State<Spaces>,
    Signed { origin, request }: Signed<Request>,
) -> ApiResult<Response> {
    let work = move || {
        let found = resident.hierarchy(&spaces, &origin, &request.room_id, request.suggested_only)?;
        let links = found.room.links.into_iter().map(|link| Raw::from_json(link.json)).collect();
        let mut response = Response::new(SpaceHierarchyParentSummary::new(found.room.summary, links));
        response.children = found.children;
        response.inaccessible_children = found.inaccessible;
        Ok::<_, ApiError>(response)
    };
    blocking::run(work).await.map(RumaResponse)
}
