//! `GET /_matrix/client/v3/sync`

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use http::header::CONTENT_TYPE;
use ruma::api::client::sync::sync_events::v3;
use tokio::time::Instant;

use crate::{
    api::{ApiError, Requester, Ruma, blocking, client::sync::long_poll::LongPolls},
    rooms::{SyncToken, Viewer},
    sync::{
        limits,
        v3::{Answer, SyncRequest, SyncV3, response::StateUpTo},
    },
};

/// MSC4222's name of `use_state_after` before it was part of the specification.
const USE_STATE_AFTER_UNSTABLE: &str = "org.matrix.msc4222.use_state_after=true";

/// Answers at once if there is something to tell, and otherwise when there is, or when the time is over.
pub async fn sync_events(
    State(sync): State<SyncV3>,
    State(polls): State<LongPolls>,
    requester: Requester,
    RawQuery(query): RawQuery,
    Ruma(request): Ruma<v3::Request>,
) -> Result<Response, ApiError> {
    let start = Instant::now();
    let viewer = Viewer {
        user: requester.user,
        user_id: requester.user_id.clone(),
        device_id: Some(requester.device_id.clone()),
    };
    let since = request.since.as_deref().filter(|since| !since.is_empty()).map(parse_token).transpose()?;
    let waits = since.is_some() && !request.full_state;
    let timeout = request.timeout.filter(|_| waits).unwrap_or(Duration::ZERO).min(limits::WAIT_MAX);
    let state_up_to = state_up_to(request.use_state_after, query.as_deref());
    let full_state = request.full_state;
    let filter = {
        let (sync, viewer) = (sync.clone(), viewer.clone());
        blocking::run(move || sync.filter(&viewer, request.filter.as_ref())).await?
    };
    let wanted = SyncRequest { viewer, since, filter: Arc::new(filter), full_state, state_up_to };
    let poll = polls.begin(requester, request.set_presence);
    let look = |before: Option<&Answer>| {
        let since = before.map_or(wanted.since, |before| Some(before.token));
        let (sync, wanted) = (sync.clone(), SyncRequest { since, ..wanted.clone() });
        move || sync.answer(&wanted)
    };
    let is_news = |answer: &Answer| !waits || !answer.response.is_empty();
    write(&poll.answer(start + timeout, look, is_news).await?)
}

fn parse_token(token: &str) -> Result<SyncToken, ApiError> {
    token.parse().map_err(|_| ApiError::invalid_param(format!("`{token}` is not a token of this server")))
}

fn state_up_to(use_state_after: bool, query: Option<&str>) -> StateUpTo {
    let asks_unstable = query.is_some_and(|query| query.split('&').any(|it| it == USE_STATE_AFTER_UNSTABLE));
    match (use_state_after, asks_unstable) {
        (true, _) => StateUpTo::TimelineEnd,
        (false, true) => StateUpTo::TimelineEndUnstable,
        (false, false) => StateUpTo::TimelineStart,
    }
}

fn write(answer: &Answer) -> Result<Response, ApiError> {
    let body = serde_json::to_vec(&answer.response).map_err(ApiError::internal)?;
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_state_after_are_understood() {
        let unstable = Some("since=s1_2&org.matrix.msc4222.use_state_after=true");
        assert_eq!(state_up_to(false, unstable), StateUpTo::TimelineEndUnstable);
        assert_eq!(state_up_to(true, unstable), StateUpTo::TimelineEnd);
        assert_eq!(state_up_to(false, Some("since=s1_2")), StateUpTo::TimelineStart);
        assert_eq!(state_up_to(false, None), StateUpTo::TimelineStart);
    }

    #[test]
    fn tokens_of_others_are_refused() {
        assert!(parse_token("s1_2").is_ok());
        assert!(parse_token("batch").is_err() && parse_token("t1").is_err());
    }
}
