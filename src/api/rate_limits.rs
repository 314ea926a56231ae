//! How often a client may do what costs or annoys others: where requests meet [`RateLimiter`].
//!
//! What a whole endpoint counts as is said where it is registered (`Routes::add_limited`). Two things show
//! only in the body and are counted by handlers: at whose account a password is tried
//! ([`LoginAttempts`]), and whether a state event is an invite. Nothing here knows a limit's size.

use std::{convert::Infallible, net::IpAddr, pin::Pin, sync::Arc};

use axum::{
    extract::{FromRef, FromRequestParts, Request},
    handler::Handler,
    response::{IntoResponse, Response},
};
use http::request::Parts;
use ruma::UserId;

use super::{ApiError, Requester};
use crate::{
    net::{Action, Caller, ClientAddress, LimitExceeded, RateLimiter},
    users::Sessions,
};

/// A handler behind a limit: a request too many is answered 429 before its body is looked at.
#[derive(Clone, Debug)]
pub struct Limited<H> {
    /// What each request counts as.
    pub action: Action,
    /// Serves the requests within the limit.
    pub handler: H,
}

/// Tells axum's `Handler` for [`Limited`] from those for functions; never made.
#[derive(Debug)]
pub enum Counted {}

impl<H, T, S> Handler<(Counted, T), S> for Limited<H>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
    Arc<RateLimiter>: FromRef<S>,
    Sessions: FromRef<S>,
{
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, state: S) -> Self::Future {
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            match count(self.action, &mut parts, &state).await {
                Ok(()) => self.handler.call(Request::from_parts(parts, body), state).await,
                Err(error) => error.into_response(),
            }
        })
    }
}

/// Counts a request as `action`: of its user where one must be logged in, of its address elsewhere.
async fn count<S>(action: Action, parts: &mut Parts, state: &S) -> Result<(), ApiError>
where
    S: Send + Sync,
    Arc<RateLimiter>: FromRef<S>,
    Sessions: FromRef<S>,
{
    let limiter = Arc::<RateLimiter>::from_ref(state);
    match action {
        Action::Message
        | Action::Join
        | Action::Invite
        | Action::RoomCreation
        | Action::MediaUpload
        | Action::RemoteMedia
        | Action::UrlPreview
        | Action::Search
        | Action::Pusher => {
            let requester = Requester::from_request_parts(parts, state).await?;
            requester.count(&limiter, action)?;
        }
        Action::Login | Action::Registration => {
            let Ok(ClientAddress(address)) = ClientAddress::from_request_parts(parts, state).await;
            limiter.check(action, Caller::Address(address))?;
        }
    }
    Ok(())
}

impl Requester {
    /// Counts an action of the requester's: by the limit that an administrator gave them for sending, if there is one,
    /// else by everybody's.
    pub fn count(&self, limiter: &RateLimiter, action: Action) -> Result<(), LimitExceeded> {
        match self.message_rate {
            _ if !self.is_rate_limited() => Ok(()),
            Some(rate) if action == Action::Message => {
                limiter.check_own(&self.user_id, rate.messages_per_second, rate.burst)
            }
            _ => limiter.check(action, Caller::User(&self.user_id)),
        }
    }
}

/// Counts the attempts to prove who one is that come from a request's address, and those at an account
/// from wherever they come: neither one guesser at many accounts nor many at one get far.
#[derive(Clone, Debug)]
pub struct LoginAttempts {
    limiter: Arc<RateLimiter>,
    address: IpAddr,
}

impl LoginAttempts {
    /// Counts an attempt, at `account` if it names one (it need not exist); to be called before the
    /// password or token is looked at, as hashing is what costs.
    pub fn count(&self, account: Option<&UserId>) -> Result<(), LimitExceeded> {
        self.limiter.check(Action::Login, Caller::Address(self.address))?;
        account.map_or(Ok(()), |account| self.limiter.check(Action::Login, Caller::User(account)))
    }
}

impl<S> FromRequestParts<S> for LoginAttempts
where
    S: Send + Sync,
    Arc<RateLimiter>: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let ClientAddress(address) = ClientAddress::from_request_parts(parts, state).await?;
        Ok(Self { limiter: Arc::from_ref(state), address })
    }
}
