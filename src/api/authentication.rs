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
    exports::serde_html_form,
};
use serde::Deserialize;

use super::{ApiError, account_status, blocking};
use crate::{
    net::ClientAddress,
    storage::{ShortUserId, records::MessageRateOverride},
    users::{AccessToken, Appservice, Session, Sessions, UserError, appservices::ActingFor},
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
    /// Whether the user's account is suspended: what it may not do at all was refused before.
    pub is_suspended: bool,
    /// How often the user may send events, where that is not as for everybody.
    pub message_rate: Option<MessageRateOverride>,
    /// The application service that makes the request for the user, if one does. Then the device id may be
    /// empty, for none.
    pub appservice: Option<Arc<Appservice>>,
}

impl Requester {
    /// Refuses with 403 what a user may do for themselves only, when `user` is somebody else.
    pub fn must_be(&self, user: &UserId) -> Result<(), ApiError> {
        if self.user_id == user {
            return Ok(());
        }
        Err(ApiError::forbidden("You can do this only for yourself"))
    }

    /// Refuses with 401 whose session has ended since the request came: who was logged out while waiting is told
    /// nothing more. Reads the store. An application service has no session that could end.
    pub fn check_session(&self, sessions: &Sessions) -> Result<(), ApiError> {
        if self.appservice.is_none() && !sessions.is_logged_in(self.user, &self.device_id)? {
            return Err(unknown_token());
        }
        Ok(())
    }

    /// Whether the limits on how often one may do things hold: not for application services that are
    /// registered so, nor for their own users.
    pub fn is_rate_limited(&self) -> bool {
        self.appservice.as_ref().is_none_or(|appservice| {
            appservice.registration.is_rate_limited && appservice.sender != self.user_id
        })
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
        if let Some(appservice) = sessions.appservice(&token) {
            let requester = act(sessions, appservice, parts).await?;
            parts.extensions.insert(requester.clone());
            return Ok(requester);
        }
        let Some(session) = find(&sessions, token).await? else {
            return Err(unknown_token());
        };
        if sessions.has_expired(&session) {
            return Err(UserError::AccessTokenExpired.into());
        }
        if session.is_locked && !account_status::is_allowed_while_locked(parts) {
            return Err(UserError::Locked.into());
        }
        if session.is_suspended && !account_status::is_allowed_while_suspended(parts) {
            return Err(UserError::Suspended.into());
        }
        sessions.seen(&session, client_address(parts));
        let requester = Self {
            user_id: session.user_id.clone(),
            user: session.user,
            device_id: session.device_id.clone(),
            is_admin: session.is_admin,
            is_suspended: session.is_suspended,
            message_rate: session.message_rate,
            appservice: None,
        };
        parts.extensions.insert(requester.clone());
        Ok(requester)
    }
}

/// The user that an application service makes the request for (application service API, "Identity assertion").
async fn act(sessions: Sessions, appservice: Arc<Appservice>, parts: &Parts) -> Result<Requester, ApiError> {
    #[derive(Deserialize)]
    #[expect(clippy::struct_field_names, reason = "the query's own names")]
    struct Query {
        user_id: Option<OwnedUserId>,
        device_id: Option<OwnedDeviceId>,
        /// Its name in MSC3202, before it was in the specification.
        #[serde(rename = "org.matrix.msc3202.device_id")]
        msc3202_device_id: Option<OwnedDeviceId>,
    }
    let query: Query = serde_html_form::from_str(parts.uri.query().unwrap_or_default())
        .map_err(|_| ApiError::invalid_param("`user_id` in the query is not a user id"))?;
    let device_id = query.device_id.or(query.msc3202_device_id);
    let acting = ActingFor { user_id: query.user_id, device_id };
    blocking::run(move || {
        let actor = sessions.act(&appservice, acting)?;
        Ok::<_, ApiError>(Requester {
            user_id: actor.user_id,
            user: actor.user,
            device_id: actor.device_id,
            is_admin: actor.is_admin,
            is_suspended: false,
            message_rate: None,
            appservice: Some(appservice),
        })
    })
    .await
}

/// The application service whose token a request shows, for what only application services may do.
#[derive(Debug, Clone)]
pub struct AppserviceToken(pub Arc<Appservice>);

impl<S> FromRequestParts<S> for AppserviceToken
where
    S: Send + Sync,
    Sessions: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Some(token) = access_token(parts) else {
            let message = "The application service's token is needed";
            return Err(ApiError::new(StatusCode::UNAUTHORIZED, ErrorKind::MissingToken, message));
        };
        Sessions::from_ref(state).appservice(&token).map(Self).ok_or_else(unknown_token)
    }
}

/// As [`AppserviceToken`], where only some requests need one: it is up to the handler to refuse.
#[derive(Debug)]
pub struct MaybeAppserviceToken(pub Result<AppserviceToken, ApiError>);

impl<S> FromRequestParts<S> for MaybeAppserviceToken
where
    S: Send + Sync,
    Sessions: FromRef<S>,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(AppserviceToken::from_request_parts(parts, state).await))
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

/// The token in the header, or else the one in the query. Queries are in no log of ours.
fn access_token(parts: &Parts) -> Option<AccessToken> {
    let Some(header) = parts.headers.get(AUTHORIZATION) else { return access_token_of_query(parts) };
    let (scheme, token) = header.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| AccessToken::new(token))
}

/// The token where clients had it before version 1.11 of the specification deprecated that: old ones still do.
fn access_token_of_query(parts: &Parts) -> Option<AccessToken> {
    #[derive(Deserialize)]
    struct Query {
        access_token: String,
    }
    let query: Query = serde_html_form::from_str(parts.uri.query()?).ok()?;
    (!query.access_token.is_empty()).then(|| AccessToken::new(&query.access_token))
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
    async fn a_token_is_taken_from_the_header_and_of_old_clients_from_the_query() {
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
        let requester: Requester = ask(&server, &query, None).await.unwrap();
        assert_eq!(requester.user, alice.user);
        assert!(
            ask::<Requester>(&server, &query, Some("Bearer abc")).await.is_err(),
            "the header comes first"
        );
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
            is_suspended: false,
            message_rate: None,
            appservice: None,
        };
        assert!(requester.must_be(&alice.user_id).is_ok());
        assert!(requester.must_be(ruma::user_id!("@bob:example.org")).is_err());
    }
}
