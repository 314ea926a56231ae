//! `POST /_matrix/client/unstable/org.matrix.simplified_msc3575/sync` (MSC4186)

use std::time::Duration;

use axum::extract::{RawQuery, State};
use ruma::{exports::serde_html_form, presence::PresenceState};
use serde::Deserialize;
use tokio::time::Instant;

use crate::{
    api::{
        ApiError, Requester, blocking,
        client::sync::long_poll::LongPolls,
        json::{JsonBody, JsonResponse},
    },
    rooms::{SlidingToken, Viewer},
    sync::{
        SyncError, limits,
        sliding::{
            SlidingAnswer, SlidingRequest, SlidingSync, request::SlidingBody, response::SlidingResponse,
        },
    },
};

/// What stands in the query.
#[derive(Debug, Default, Deserialize)]
struct Query {
    pos: Option<String>,
    /// Milliseconds. Without it the answer comes at once.
    timeout: Option<u64>,
    /// What the user is shown as meanwhile.
    #[serde(default)]
    set_presence: PresenceState,
}

impl Query {
    fn parse(query: Option<&str>) -> Result<Self, ApiError> {
        serde_html_form::from_str(query.unwrap_or_default())
            .map_err(|e| ApiError::invalid_param(format!("The query is not valid: {e}")))
    }

    /// The position; one that is none was not given out by this server, or not by one that still knows it.
    fn pos(&self) -> Result<Option<SlidingToken>, SyncError> {
        let pos = self.pos.as_deref().filter(|pos| !pos.is_empty());
        pos.map(|pos| pos.parse().map_err(|_| SyncError::UnknownPosition)).transpose()
    }
}

/// Answers at once if there is something to tell, and otherwise when there is, or when the time is over.
pub async fn sliding(
    State(sync): State<SlidingSync>,
    State(polls): State<LongPolls>,
    requester: Requester,
    RawQuery(query): RawQuery,
    JsonBody(body): JsonBody<SlidingBody>,
) -> Result<JsonResponse<SlidingResponse>, ApiError> {
    let start = Instant::now();
    let query = Query::parse(query.as_deref())?;
    body.check()?;
    let pos = query.pos()?;
    let timeout = Duration::from_millis(query.timeout.filter(|_| pos.is_some()).unwrap_or_default());
    let viewer = Viewer {
        user: requester.user,
        user_id: requester.user_id.clone(),
        device_id: Some(requester.device_id.clone()),
    };
    let poll = polls.begin(requester, query.set_presence);
    let turn = {
        let sync = sync.clone();
        blocking::run(move || sync.begin(SlidingRequest { viewer, pos, body })).await?
    };
    let look = |_: Option<&SlidingAnswer>| {
        let (sync, turn) = (sync.clone(), turn.clone());
        move || sync.answer(&turn)
    };
    let answer = poll.answer(start + timeout.min(limits::WAIT_MAX), look, |answer| answer.is_news).await?;
    Ok(JsonResponse(answer.response))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_positions_of_this_server_are_taken() {
        let pos = |query| Query::parse(Some(query)).unwrap().pos();
        assert!(matches!(pos("timeout=0"), Ok(None)));
        assert!(matches!(pos("pos="), Ok(None)));
        assert!(matches!(pos("pos=s1_2-3-4"), Ok(Some(_))));
        for other in ["pos=s1_2", "pos=5%2Fm", "pos=t1"] {
            assert!(matches!(pos(other), Err(SyncError::UnknownPosition)), "{other}");
        }
        assert!(Query::parse(Some("timeout=soon")).is_err());
        assert_eq!(Query::parse(Some("timeout=30000")).unwrap().timeout, Some(30_000));
    }
}
