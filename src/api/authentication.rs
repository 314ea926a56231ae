//! Who makes a request (client-server API, "Using access tokens").
//!
//! [`Requester`] is the one way for a handler to learn it: a handler that does not ask for it serves
//! anybody.

use std::{net::IpAddr, sync::Arc};

use axum::extract::{FromRef, FromRequestParts};
use http::{StatusCode, header::AUTHORIZATION, request::Parts};
use ruma::{
    OwnedDeviceId, OwnedUserId, UserId,
    api::error::{ErrorKind, UnknownTokenErrorData},
};

use super::{ApiError, blocking};
use crate::{
    net::ClientAddress,
    storage::ShortUserId,
    users::{AccessToken, Session, Sessions},
};

/// The user and device that a request's access token stands for.
#[derive(Debug, Clone)]
pub struct Requester {
    /// The user.
    pub user_id: OwnedUserId,
    /// The user's short id.
    pub user: ShortUserId,
    /// The device.
    pub device_id: OwnedDeviceId,
    /// Whether the user administers this server.
    pub is_admin: bool,
}

impl Requester {
    /// Refuses with 403 what a user may do for themselves only, when `user` is somebody else.
    pub fn must_be(&self, user: &UserId) -> Result<(), ApiError> {
        if self.user_id == user {
            return Ok(());
        }
        Err(ApiError::forbidden("You can do this only for yourself"))
    }
}

impl<S> FromRequestParts<S> for Requester
where
    S: Send + Sync,
    Sessions: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // Asked for a second time, as where a rate limit came first.
        if let Some(known) = parts.extensions.get::<Self>() {
            return Ok(known.clone());
        }
        let Some(token) = access_token(parts) else {
            let message = "An access token is needed";
            return Err(ApiError::new(StatusCode::UNAUTHORIZED, ErrorKind::MissingToken, message));
        };
        let sessions = Sessions::from_ref(state);
        let Some(session) = find(&sessions, token).await? else {
            return Err(unknown_token());
        };
        sessions.seen(&session, client_address(parts));
        let requester = Self {
            user_id: session.user_id.clone(),
            user: session.user,
            device_id: session.device_id.clone(),
            is_admin: session.is_admin,
        };
        parts.extensions.insert(requester.clone());
        Ok(requester)
    }
}

/// Who makes a request that needs no access token. A token that is given must be valid all the same.
#[derive(Debug, Clone)]
pub struct MaybeRequester(pub Option<Requester>);

impl<S> FromRequestParts<S> for MaybeRequester
where
    S: Send + Sync,
    Sessions: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if access_token(parts).is_none() {
            return Ok(Self(None));
        }
        Requester::from_request_parts(parts, state).await.map(|requester| Self(Some(requester)))
    }
}

/// 401 `M_UNKNOWN_TOKEN`: the client is logged out.
pub(crate) fn unknown_token() -> ApiError {
    let kind = ErrorKind::UnknownToken(UnknownTokenErrorData::new());
    ApiError::new(StatusCode::UNAUTHORIZED, kind, "The access token is not valid")
}

async fn find(sessions: &Sessions, token: AccessToken) -> Result<Option<Arc<Session>>, ApiError> {
    if let Some(session) = sessions.find_cached(&token) {
        return Ok(Some(session));
    }
    let sessions = sessions.clone();
    blocking::run(move || sessions.find(&token)).await
}

/// The token in the header. One in the query, as old versions of the specification had it, is not looked at:
/// addresses end up in logs.
fn access_token(parts: &Parts) -> Option<AccessToken> {
    let (scheme, token) = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| AccessToken::new(token))
}

/// The client's address, where the server's shell has put it.
fn client_address(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ClientAddress>().map(|address| address.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::fixture::Fixture;

    #[derive(Clone)]
    struct State(Sessions);

    impl FromRef<State> for Sessions {
        fn from_ref(state: &State) -> Self {
            state.0.clone()
        }
    }

    async fn ask<E: FromRequestParts<State, Rejection = ApiError>>(
        server: &Fixture,
        uri: &str,
        header: Option<&str>,
    ) -> Result<E, (StatusCode, ErrorKind)> {
        let mut request = http::Request::get(uri);
        if let Some(header) = header {
            request = request.header(AUTHORIZATION, header);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let outcome = E::from_request_parts(&mut parts, &State(server.sessions.clone())).await;
        outcome.map_err(|error| match error {
            ApiError::Standard { status, kind, .. } => (status, *kind),
            ApiError::Uiaa(_) => unreachable!("no authentication by stages here"),
        })
    }

    #[tokio::test]
    async fn a_token_is_taken_from_the_header() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let token = &alice.access_token;
        let header = format!("Bearer {token}");
        let lower = format!("bearer  {token}");
        for header in [header, lower] {
            let requester: Requester = ask(&server, "/x", Some(&header)).await.unwrap();
            assert_eq!((requester.user_id, requester.user), (alice.user_id.clone(), alice.user));
            assert_eq!((requester.device_id, requester.is_admin), (alice.device_id.clone(), true));
        }
        let query = format!("/x?a=b&access_token={token}&c");
        let refused = ask::<Requester>(&server, &query, None).await.unwrap_err();
        assert_eq!((refused.0, refused.1), (StatusCode::UNAUTHORIZED, ErrorKind::MissingToken));
    }

    #[tokio::test]
    async fn missing_and_wrong_tokens_are_told_apart() {
        let server = Fixture::new();
        for header in [None, Some("Bearer "), Some("Basic abc"), Some("Bearer")] {
            let refused = ask::<Requester>(&server, "/x?access_token=", header).await.unwrap_err();
            assert_eq!((refused.0, refused.1), (StatusCode::UNAUTHORIZED, ErrorKind::MissingToken));
        }
        let refused = ask::<Requester>(&server, "/x", Some("Bearer abc")).await.unwrap_err();
        assert_eq!(refused.0, StatusCode::UNAUTHORIZED);
        assert!(matches!(refused.1, ErrorKind::UnknownToken(data) if !data.soft_logout));
    }

    #[tokio::test]
    async fn where_no_token_is_needed_a_wrong_one_is_still_refused() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let nobody: MaybeRequester = ask(&server, "/x", None).await.unwrap();
        assert!(nobody.0.is_none());
        let header = format!("Bearer {}", alice.access_token);
        let somebody: MaybeRequester = ask(&server, "/x", Some(&header)).await.unwrap();
        assert_eq!(somebody.0.unwrap().user_id, alice.user_id);
        assert!(ask::<MaybeRequester>(&server, "/x", Some("Bearer abc")).await.is_err());
    }

    #[test]
    fn only_oneself_is_oneself() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let requester = Requester {
            user_id: alice.user_id.clone(),
            user: alice.user,
            device_id: alice.device_id,
            is_admin: true,
        };
        assert!(requester.must_be(&alice.user_id).is_ok());
        assert!(requester.must_be(ruma::user_id!("@bob:example.org")).is_err());
    }
}
