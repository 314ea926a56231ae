//! `GET`, `PUT` and `DELETE /rooms/{roomId}/thread/{eventId}/subscription`: following one thread.

use axum::extract::State;
use http::StatusCode;
use ruma::api::client::threads::{get_thread_subscription, subscribe_thread, unsubscribe_thread};

use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse, blocking},
    rooms::{SubscriptionError, ThreadSubscriptions, Viewer},
    storage::records::SubscriptionState,
};

impl From<SubscriptionError> for ApiError {
    fn from(error: SubscriptionError) -> Self {
        let message = error.to_string();
        match error {
            SubscriptionError::Read(error) => error.into(),
            SubscriptionError::NotInThread => {
                Self::custom(StatusCode::BAD_REQUEST, "IO.ELEMENT.MSC4306.M_NOT_IN_THREAD", message)
            }
            SubscriptionError::Unsubscribed => {
                Self::custom(StatusCode::CONFLICT, "IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION", message)
            }
        }
    }
}

/// Answers how the user follows the thread.
pub async fn get(
    State(subscriptions): State<ThreadSubscriptions>,
    requester: Requester,
    Ruma(request): Ruma<get_thread_subscription::unstable::Request>,
) -> ApiResult<get_thread_subscription::unstable::Response> {
    let viewer = Viewer::from(requester);
    let work = move || subscriptions.get(&viewer, &request.room_id, &request.thread_root);
    let state = blocking::run(work).await?;
    let is_automatic = state == SubscriptionState::Automatic;
    Ok(RumaResponse(get_thread_subscription::unstable::Response::new(is_automatic)))
}

/// Subscribes.
pub async fn subscribe(
    State(subscriptions): State<ThreadSubscriptions>,
    requester: Requester,
    Ruma(request): Ruma<subscribe_thread::unstable::Request>,
) -> ApiResult<subscribe_thread::unstable::Response> {
    let viewer = Viewer::from(requester);
    blocking::run(move || {
        let cause = request.automatic.as_deref();
        subscriptions.subscribe(&viewer, &request.room_id, &request.thread_root, cause)
    })
    .await?;
    Ok(RumaResponse(subscribe_thread::unstable::Response::new()))
}

/// Unsubscribes.
pub async fn unsubscribe(
    State(subscriptions): State<ThreadSubscriptions>,
    requester: Requester,
    Ruma(request): Ruma<unsubscribe_thread::unstable::Request>,
) -> ApiResult<unsubscribe_thread::unstable::Response> {
    let viewer = Viewer::from(requester);
    blocking::run(move || subscriptions.unsubscribe(&viewer, &request.room_id, &request.thread_root)).await?;
    Ok(RumaResponse(unsubscribe_thread::unstable::Response::new()))
}
