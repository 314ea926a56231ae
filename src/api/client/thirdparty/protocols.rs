//! `GET /thirdparty/protocols` and `GET /thirdparty/protocol/{protocol}`: the networks that bridges reach.

use axum::extract::{Path, State};

use crate::{
    api::{ApiError, Requester, json::JsonResponse},
    appservices::AppserviceQueries,
};

/// All networks.
pub async fn all(
    State(queries): State<AppserviceQueries>,
    _requester: Requester,
) -> JsonResponse<serde_json::Map<String, serde_json::Value>> {
    JsonResponse(queries.protocols().await)
}

/// One network.
pub async fn one(
    State(queries): State<AppserviceQueries>,
    _requester: Requester,
    Path(protocol): Path<String>,
) -> Result<JsonResponse<serde_json::Value>, ApiError> {
    let known = queries.protocol(&protocol).await;
    known.map(JsonResponse).ok_or_else(|| ApiError::not_found(format!("Nothing here bridges to {protocol}")))
}
