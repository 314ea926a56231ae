//! `GET /thirdparty/location…` and `GET /thirdparty/user…`: places and people of other networks.

use axum::extract::{Path, State};
use http::Uri;
use serde_json::Value;

use crate::{
    api::{Requester, json::JsonResponse},
    appservices::AppserviceQueries,
};

/// Locations of one network, by the fields in the query.
pub async fn locations_of(
    State(queries): State<AppserviceQueries>,
    _requester: Requester,
    Path(protocol): Path<String>,
    uri: Uri,
) -> JsonResponse<Vec<Value>> {
    JsonResponse(queries.look_up("location", Some(&protocol), uri.query().unwrap_or_default()).await)
}

/// The locations behind an alias.
pub async fn locations(
    State(queries): State<AppserviceQueries>,
    _requester: Requester,
    uri: Uri,
) -> JsonResponse<Vec<Value>> {
    JsonResponse(queries.look_up("location", None, uri.query().unwrap_or_default()).await)
}

/// Users of one network, by the fields in the query.
pub async fn users_of(
    State(queries): State<AppserviceQueries>,
    _requester: Requester,
    Path(protocol): Path<String>,
    uri: Uri,
) -> JsonResponse<Vec<Value>> {
    JsonResponse(queries.look_up("user", Some(&protocol), uri.query().unwrap_or_default()).await)
}

/// The user of another network behind a user id.
pub async fn users(
    State(queries): State<AppserviceQueries>,
    _requester: Requester,
    uri: Uri,
) -> JsonResponse<Vec<Value>> {
    JsonResponse(queries.look_up("user", None, uri.query().unwrap_or_default()).await)
}
