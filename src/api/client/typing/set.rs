//! `PUT /rooms/{roomId}/typing/{userId}`: says whether the user is typing.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request as HttpRequest, State},
};
use ruma::api::client::typing::create_typing_event::v3::{Request, Response, Typing as Wanted};
use serde_json::{Map, Value};

use crate::{
    api::{
        ApiError, ApiResult, Ruma, RumaResponse, authentication::Requester, blocking, request::body_error,
    },
    rooms::{ReadError, Typing, Viewer, Visibility},
};

/// How long a client types that does not say it, in milliseconds.
const TIMEOUT_MS: u64 = 30_000;

/// The request. The specification lets clients leave `timeout` out, which ruma's type does not.
#[derive(Debug)]
pub struct WithTimeout(pub Request);

impl<S: Send + Sync> FromRequest<S> for WithTimeout {
    type Rejection = ApiError;

    async fn from_request(request: HttpRequest, state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let body = Bytes::from_request(HttpRequest::from_parts(parts.clone(), body), state)
            .await
            .map_err(|rejection| body_error(&rejection))?;
        // What is no such object is told by the next step.
        let body = match serde_json::from_slice::<Map<String, Value>>(&body) {
            Ok(mut object) => {
                object.entry("timeout").or_insert_with(|| TIMEOUT_MS.into());
                Bytes::from(serde_json::to_vec(&object).map_err(ApiError::internal)?)
            }
            Err(_) => body,
        };
        let request = HttpRequest::from_parts(parts, Body::from(body));
        Ruma::from_request(request, state).await.map(|Ruma(request)| Self(request))
    }
}

/// The handler.
pub async fn set(
    State(visibility): State<Visibility>,
    State(typing): State<Typing>,
    requester: Requester,
    WithTimeout(request): WithTimeout,
) -> ApiResult<Response> {
    requester.must_be(&request.user_id)?;
    let viewer = Viewer::from(requester);
    let work = move || {
        let room = visibility.joined(&viewer, &request.room_id)?.room();
        match request.state {
            Wanted::Yes(info) => typing.start(room, viewer.user, info.timeout),
            Wanted::No => typing.stop(room, viewer.user),
        }
        Ok::<_, ReadError>(())
    };
    blocking::run(work).await?;
    Ok(RumaResponse(Response::new()))
}
