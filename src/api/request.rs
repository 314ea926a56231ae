//! Requests and answers as ruma's types.

use axum::{
    body::Bytes,
    extract::{FromRequest, Path, Request},
    response::{IntoResponse, Response},
};
use http::Method;
use ruma::api::{IncomingRequest, IncomingRequestExt, OutgoingResponse, OutgoingResponseExt};

use super::ApiError;

/// A request parsed by its ruma type: path, query and body.
#[derive(Debug)]
pub struct Ruma<R>(pub R);

impl<R, S> FromRequest<S> for Ruma<R>
where
    R: IncomingRequest,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let path = path_arguments(&mut parts, state).await?;
        let body = Bytes::from_request(Request::from_parts(parts.clone(), body), state)
            .await
            .map_err(|rejection| body_error(&rejection))?;
        if R::METHOD != Method::GET && !body.is_empty() {
            // The spec tells bodies that aren't JSON from JSON that doesn't fit; ruma's types don't.
            serde_json::from_slice::<serde::de::IgnoredAny>(&body)
                .map_err(|e| ApiError::not_json(format!("The body is not JSON: {e}")))?;
        }
        let path: Vec<&str> = path.iter().map(|(_, value)| value.as_str()).collect();
        let request = http::Request::from_parts(parts, body.as_ref());
        Ok(Self(R::try_from_http_request(request, &path)?))
    }
}

async fn path_arguments<S: Send + Sync>(
    parts: &mut http::request::Parts,
    state: &S,
) -> Result<Vec<(String, String)>, ApiError> {
    use axum::extract::FromRequestParts;
    let path = Option::<Path<Vec<(String, String)>>>::from_request_parts(parts, state)
        .await
        .map_err(|e| ApiError::invalid_param(format!("The path is not valid: {e}")))?;
    Ok(path.map(|Path(arguments)| arguments).unwrap_or_default())
}

pub(super) fn body_error(rejection: &axum::extract::rejection::BytesRejection) -> ApiError {
    if rejection.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
        ApiError::too_large("The body is larger than this server accepts")
    } else {
        ApiError::not_json(format!("The body could not be read: {rejection}"))
    }
}

/// An answer as ruma's type.
#[derive(Debug)]
pub struct RumaResponse<T>(pub T);

impl<T: OutgoingResponse> IntoResponse for RumaResponse<T> {
    fn into_response(self) -> Response {
        match self.0.try_into_http_response::<bytes::BytesMut>() {
            Ok(response) => response.map(|body| axum::body::Body::from(body.freeze())).into_response(),
            Err(e) => ApiError::internal(format!("an answer could not be written: {e}")).into_response(),
        }
    }
}
