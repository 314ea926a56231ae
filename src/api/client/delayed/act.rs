//! `POST …/delayed_events/{delay_id}/{action}`: send, cancel or restart. Whoever knows the random id may do so
//! without an access token, as the services do to which clients in a call hand it.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        ApiError, MaybeRequester, PathArguments, blocking,
        json::{JsonBody, JsonResponse},
    },
    net::{Action, Caller, RateLimiter},
    rooms::{DelayId, DelayedError, DelayedEvents},
};

/// What to do with the event.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DelayAction {
    /// Send it now.
    Send,
    /// Never send it.
    Cancel,
    /// Let the delay begin anew.
    Restart,
}

/// The handler.
pub async fn act(
    State(events): State<DelayedEvents>,
    State(limiter): State<Arc<RateLimiter>>,
    requester: MaybeRequester,
    PathArguments((id, action)): PathArguments<(String, String)>,
) -> Result<JsonResponse<Value>, ApiError> {
    let action = match action.as_str() {
        "send" => DelayAction::Send,
        "cancel" => DelayAction::Cancel,
        "restart" => DelayAction::Restart,
        _ => return Err(ApiError::unrecognized()),
    };
    run(events, limiter, requester, id, action).await
}

/// The body of a request as clients made it before the action was part of the path.
#[derive(Debug, Deserialize)]
pub struct Body {
    action: DelayAction,
}

/// The handler for clients that name the action in the body.
pub async fn act_by_body(
    State(events): State<DelayedEvents>,
    State(limiter): State<Arc<RateLimiter>>,
    requester: MaybeRequester,
    PathArguments(id): PathArguments<String>,
    JsonBody(body): JsonBody<Body>,
) -> Result<JsonResponse<Value>, ApiError> {
    run(events, limiter, requester, id, body.action).await
}

async fn run(
    events: DelayedEvents,
    limiter: Arc<RateLimiter>,
    MaybeRequester(requester): MaybeRequester,
    id: String,
    action: DelayAction,
) -> Result<JsonResponse<Value>, ApiError> {
    let id = DelayId::parse(&id).ok_or(DelayedError::NotFound)?;
    blocking::run(move || {
        let record = events.record(id)?;
        if requester.is_some_and(|requester| requester.user_id != record.sender) {
            return Err(DelayedError::NotFound.into());
        }
        // Each writes or sends something, so it counts as sending does.
        limiter.check(Action::Message, Caller::User(&record.sender))?;
        match action {
            DelayAction::Send => events.send(id)?,
            DelayAction::Cancel => events.cancel(id)?,
            DelayAction::Restart => events.restart(id)?,
        }
        Ok::<_, ApiError>(())
    })
    .await?;
    Ok(JsonResponse(json!({})))
}
