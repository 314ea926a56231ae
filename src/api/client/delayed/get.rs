//! `GET …/delayed_events/{delay_id}`: one of the user's events that are or were to be sent later.

use axum::extract::State;
use serde_json::Value;

use super::shown;
use crate::{
    api::{ApiError, PathArguments, Requester, blocking, json::JsonResponse},
    rooms::{DelayId, DelayedError, DelayedEvents},
};

/// The handler.
pub async fn get(
    State(events): State<DelayedEvents>,
    requester: Requester,
    PathArguments(id): PathArguments<String>,
) -> Result<JsonResponse<Value>, ApiError> {
    let id = DelayId::parse(&id).ok_or(DelayedError::NotFound)?;
    let record = blocking::run(move || events.get(id, &requester.user_id)).await?;
    Ok(JsonResponse(shown(id, record)))
}
