//! `GET /thread_subscriptions`: changes that a sliding sync left out, newest first.

use axum::extract::State;
use ruma::{
    UInt,
    api::client::threads::get_thread_subscriptions_changes::unstable::{
        Request, Response, ThreadSubscription, ThreadUnsubscription,
    },
};

use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse, blocking},
    rooms::{PaginationToken, ReadError, ThreadSubscriptions, limits},
    storage::{StreamPosition, records::SubscriptionState},
};

/// The handler. `to` is a `pos` of sliding sync.
pub async fn changes(
    State(subscriptions): State<ThreadSubscriptions>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let limit = match request.limit.map(usize::try_from) {
        Some(Ok(0)) => return Err(ApiError::invalid_param("`limit` must be greater than zero")),
        Some(Ok(limit)) => limit,
        Some(Err(_)) | None => limits::SUBSCRIPTIONS_PAGE_MAX,
    };
    let since = request.to.as_deref().map(told_until).transpose()?;
    let until = request.from.as_deref().map(|from| from.parse().map(StreamPosition)).transpose();
    let until = until.map_err(|_| ApiError::invalid_param("`from` is not a token of this server"))?;
    let changes = blocking::run(move || subscriptions.page(requester.user, (since, until), limit)).await?;
    let mut response = Response::new();
    for (room_id, threads) in changes.threads {
        for (root, change) in threads {
            let bump_stamp = UInt::new_saturating(change.position.0);
            if change.state == SubscriptionState::Unsubscribed {
                let room = response.unsubscribed.entry(room_id.clone()).or_default();
                room.insert(root, ThreadUnsubscription::new(bump_stamp));
            } else {
                let is_automatic = change.state == SubscriptionState::Automatic;
                let room = response.subscribed.entry(room_id.clone()).or_default();
                room.insert(root, ThreadSubscription::new(is_automatic, bump_stamp));
            }
        }
    }
    response.end = changes.older.map(|older| older.0.to_string());
    Ok(RumaResponse(response))
}

/// Up to where the answer told that a `pos` came with.
fn told_until(pos: &str) -> Result<StreamPosition, ReadError> {
    match pos.parse()? {
        PaginationToken::Sync(token) => Ok(token.position),
        PaginationToken::Before(_) => Err(ReadError::InvalidToken(pos.to_owned())),
    }
}
