//! Requests and answers as ruma's types.

use axum::{
    body::Bytes,
    extract::{FromRequest, Path, Request},
    response::{IntoResponse, Response},
};
use http::Method;
use ruma::api::{IncomingRequest, IncomingRequestExt, OutgoingResponse, OutgoingResponseExt};

use super::{ApiError, limits};

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
        // Clients leave out the body of a POST or DELETE that has nothing to say; a PUT always says something.
        if R::METHOD == Method::PUT || (R::METHOD != Method::GET && !body.is_empty()) {
            check_json(&body)?;
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

/// Refuses what is not JSON, and JSON that is nested too deeply. The spec tells bodies that aren't JSON from JSON
/// that doesn't fit; ruma's types don't.
pub(super) fn check_json(body: &[u8]) -> Result<(), ApiError> {
    let text =
        std::str::from_utf8(body).map_err(|e| ApiError::not_json(format!("The body is not UTF-8: {e}")))?;
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map_err(|e| ApiError::not_json(format!("The body is not JSON: {e}")))?;
    if depth(body) > limits::JSON_DEPTH_MAX {
        let max = limits::JSON_DEPTH_MAX;
        return Err(ApiError::bad_json(format!("The body is nested more than {max} levels deep")));
    }
    Ok(())
}

/// How many arrays and objects stand inside each other in a text that is JSON.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn depth_counts_brackets_outside_of_strings_only() {
        for (json, expected) in [
            ("1", 0),
            ("{}", 1),
            (r#"{"a":[1,{"b":[]}]}"#, 4),
            (r#"{"a":"[[[{{{"}"#, 1),
            (r#"{"a\"[":["\\"]}"#, 2),
        ] {
            assert_eq!(depth(json.as_bytes()), expected, "{json}");
        }
    }

    #[test]
    fn deep_bodies_and_broken_ones_are_refused() {
        let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
        let errcode = |body: &[u8]| match check_json(body) {
            Err(ApiError::Standard { kind, .. }) => Some(kind.errcode().to_string()),
            _ => None,
        };
        assert_eq!(errcode(deep.as_bytes()).as_deref(), Some("M_BAD_JSON"));
        for body in [&b""[..], b"{", b"{\"a\":\"\xff\"}", b"{} {}"] {
            assert_eq!(errcode(body).as_deref(), Some("M_NOT_JSON"), "{body:?}");
        }
        assert_eq!(errcode(br#"{"a":[{"b":1}]}"#), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_panic(body: Vec<u8>) {
            let _ = check_json(&body);
        }
    }
}
