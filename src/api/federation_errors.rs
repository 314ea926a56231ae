//! What clients are told when another server has not done its part.

use http::StatusCode;
use ruma::api::error::{ErrorKind, StandardErrorBody};
use serde_json::json;

use super::ApiError;
use crate::federation::{FederationError, ServerKeysError};

/// An answer of the other server that the client can do something about is passed on; that it gave none is a
/// 502 (504 when it was too slow).
impl From<FederationError> for ApiError {
    fn from(error: FederationError) -> Self {
        let text = error.to_string();
        let gateway = |status| Self::new(status, ErrorKind::Unknown, text.clone());
        match error {
            FederationError::Remote { status, errcode, message, .. } if status.is_client_error() => {
                // 401 would log the client out: it was our signature that was refused.
                if status == StatusCode::UNAUTHORIZED {
                    return gateway(StatusCode::BAD_GATEWAY);
                }
                Self::new(status, kind(&errcode), message)
            }
            FederationError::NotAllowed => Self::forbidden(text),
            FederationError::Timeout(_) => gateway(StatusCode::GATEWAY_TIMEOUT),
            FederationError::Local(why) => Self::internal(why),
            _ => gateway(StatusCode::BAD_GATEWAY),
        }
    }
}

/// The kind that an errcode alone stands for.
fn kind(errcode: &str) -> ErrorKind {
    let body = serde_json::from_value::<StandardErrorBody>(json!({ "errcode": errcode, "error": "" }));
    body.map_or(ErrorKind::Unknown, |body| body.kind)
}

impl From<ServerKeysError> for ApiError {
    fn from(error: ServerKeysError) -> Self {
        match error {
            ServerKeysError::Storage(error) => error.into(),
            other => Self::internal(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: FederationError) -> (StatusCode, ErrorKind) {
        match error.into() {
            ApiError::Standard { status, kind, .. } => (status, *kind),
            ApiError::Uiaa(_) => unreachable!(),
        }
    }

    fn remote(status: StatusCode, errcode: &str) -> FederationError {
        FederationError::Remote {
            status,
            errcode: errcode.to_owned(),
            message: "x".to_owned(),
            retry_after: None,
        }
    }

    #[test]
    fn what_the_other_server_refuses_is_passed_on() {
        let forbidden = told(remote(StatusCode::FORBIDDEN, "M_FORBIDDEN"));
        assert_eq!(forbidden, (StatusCode::FORBIDDEN, ErrorKind::Forbidden));
        let own = told(remote(StatusCode::NOT_FOUND, "ORG.TEST_ODD"));
        assert_eq!((own.0, own.1.errcode().as_str()), (StatusCode::NOT_FOUND, "ORG.TEST_ODD"));
        assert_eq!(told(remote(StatusCode::UNAUTHORIZED, "M_UNAUTHORIZED")).0, StatusCode::BAD_GATEWAY);
        assert_eq!(told(remote(StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN")).0, StatusCode::BAD_GATEWAY);
        assert_eq!(told(FederationError::NotAllowed).0, StatusCode::FORBIDDEN);
    }
}
