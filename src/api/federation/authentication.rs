//! Who sends a request from another server (server-server API, "Request Authentication").

use axum::{
    body::Bytes,
    extract::{FromRef, FromRequest, Request},
};
use http::StatusCode;
use ruma::{
    OwnedServerName,
    api::{IncomingRequest, error::ErrorKind, federation::authentication::ServerSignatures},
};

use crate::{
    api::{
        ApiError,
        request::{body_error, parse, path_arguments},
    },
    federation::{RequestRefusal, RequestToVerify, ServerKeys},
};

/// A request that another server has signed, parsed by its ruma type.
#[derive(Debug)]
pub struct Signed<R> {
    /// The server that has signed it: not this one, and one that the operator lets ask.
    pub origin: OwnedServerName,
    /// The request.
    pub request: R,
}

impl<R, S> FromRequest<S> for Signed<R>
where
    R: IncomingRequest<Authentication = ServerSignatures>,
    S: Send + Sync,
    ServerKeys: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let path = path_arguments(&mut parts, state).await?;
        let body = Bytes::from_request(Request::from_parts(parts.clone(), body), state)
            .await
            .map_err(|rejection| body_error(&rejection))?;
        let to_verify = RequestToVerify {
            method: parts.method.clone(),
            uri: parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            headers: parts.headers.clone(),
            body: body.clone(),
        };
        let origin = ServerKeys::from_ref(state).verify_request(to_verify).await?;
        Ok(Self { origin, request: parse(parts, &path, body)? })
    }
}

impl From<RequestRefusal> for ApiError {
    fn from(refusal: RequestRefusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            RequestRefusal::NotAllowed(_) => Self::forbidden(message),
            RequestRefusal::Body(_) => Self::not_json(message),
            RequestRefusal::Failed(error) => error.into(),
            _ => Self::new(StatusCode::UNAUTHORIZED, ErrorKind::Unauthorized, message),
        }
    }
}
