//! Requests and answers as ruma's types.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Request},
    response::{IntoResponse, Response},
};
use http::{Method, request::Parts};
use ruma::api::{IncomingRequest, IncomingRequestExt, OutgoingResponse, OutgoingResponseExt};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{ApiError, limits};

/// A request parsed by its ruma type: path, query and a body of JSON.
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
        parse(parts, &path, body).map(Self)
    }
}

/// The arguments of a path, for what no ruma type fits; those that can't be read are refused with 400
/// `M_INVALID_PARAM`.
#[derive(Debug)]
pub struct PathArguments<T>(pub T);

impl<T, S> FromRequestParts<S> for PathArguments<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(arguments)| Self(arguments))
            .map_err(|refused| ApiError::invalid_param(refused.body_text()))
    }
}

/// A request parsed by its ruma type but for its body, which the handler reads as a stream. Only requests of
/// which the server's shell says so (`client::media::takes_stream`) come with a body that was not read yet.
#[derive(Debug)]
pub struct RumaHead<R> {
    /// The request, with an empty body.
    pub request: R,
    /// How many bytes the body has, if the client says so.
    pub announced_bytes: Option<u64>,
    /// The body.
    pub body: Body,
}

impl<R, S> FromRequest<S> for RumaHead<R>
where
    R: IncomingRequest,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let path = path_arguments(&mut parts, state).await?;
        let path: Vec<&str> = path.iter().map(|(_, value)| value.as_str()).collect();
        let announced = parts.headers.get(http::header::CONTENT_LENGTH);
        let announced_bytes = announced.and_then(|length| length.to_str().ok()?.parse().ok());
        let request = R::try_from_http_request(http::Request::from_parts(parts, &[][..]), &path)?;
        Ok(Self { request, announced_bytes, body })
    }
}

/// Parses a request by its ruma type, from what was read of it.
pub(super) fn parse<R: IncomingRequest>(
    parts: http::request::Parts,
    path: &[(String, String)],
    body: Bytes,
) -> Result<R, ApiError> {
    if R::METHOD == Method::PUT || (R::METHOD != Method::GET && !body.is_empty()) {
        check_json(&body)?;
    }
    // Clients leave out the body of a POST or DELETE that has nothing to say; a PUT always says something.
    let body = if body.is_empty() { Bytes::from_static(b"{}") } else { body };
    let path: Vec<&str> = path.iter().map(|(_, value)| value.as_str()).collect();
    let request = http::Request::from_parts(parts, body.as_ref());
    Ok(R::try_from_http_request(request, &path)?)
}

/// The arguments in the path, in order.
pub(super) async fn path_arguments<S: Send + Sync>(
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
    let mut reader = serde_json::Deserializer::from_slice(body);
    let outcome = Level(0).deserialize(&mut reader).and_then(|()| reader.end());
    let Err(e) = outcome else { return Ok(()) };
    // What is too deep may also end early: the rest is only skimmed.
    if e.is_data() && serde_json::from_slice::<IgnoredAny>(body).is_ok() {
        return Err(ApiError::bad_json(format!("The body is refused: {e}")));
    }
    Err(ApiError::not_json(format!("The body is not JSON: {e}")))
}

/// Reads a value and keeps nothing of it: texts are decoded, so that escapes which stand for no character are
/// found, and each array or object is one level below what it stands in.
#[derive(Clone, Copy)]
struct Level(usize);

impl Level {
    fn below<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.0 >= limits::JSON_DEPTH_MAX {
            return Err(E::custom(format!("it is nested more than {} levels deep", limits::JSON_DEPTH_MAX)));
        }
        Ok(Self(self.0 + 1))
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let below = self.below()?;
        while items.next_element_seed(below)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let below = self.below()?;
        while members.next_key_seed(below)?.is_some() {
            members.next_value_seed(below)?;
        }
        Ok(())
    }
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
    fn deep_bodies_and_broken_ones_are_refused() {
        let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
        let errcode = |body: &[u8]| match check_json(body) {
            Err(ApiError::Standard { kind, .. }) => Some(kind.errcode().to_string()),
            _ => None,
        };
        assert_eq!(errcode(deep.as_bytes()).as_deref(), Some("M_BAD_JSON"));
        for body in [&b""[..], b"{", b"{\"a\":\"\xff\"}", br#"{"a":"\ud800"}"#, b"{} {}"] {
            assert_eq!(errcode(body).as_deref(), Some("M_NOT_JSON"), "{body:?}");
        }
        assert_eq!(errcode(br#"{"a":[{"b":-1.5e3}, null, true, "[[[{{"]}"#), None);
        let nearly = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(errcode(nearly.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_panic(body: Vec<u8>) {
            let _ = check_json(&body);
        }
    }
}
