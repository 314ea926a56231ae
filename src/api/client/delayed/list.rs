//! `GET …/delayed_events`: the events that the user has scheduled.

use axum::extract::State;
use serde_json::{Value, json};

use super::shown;
use crate::{
    api::{ApiError, Requester, blocking, json::JsonResponse},
    rooms::DelayedEvents,
};

/// The handler. All of them, as there may not be many.
pub async fn list(
    State(events): State<DelayedEvents>,
    requester: Requester,
) -> Result<JsonResponse<Value>, ApiError> {
    let events = blocking::run(move || events.of_user(requester.user)).await?;
    let events: Vec<_> = events.into_iter().map(|(id, record)| shown(id, record)).collect();
    Ok(JsonResponse(json!({ "delayed_events": events })))
}
