//! Proving to other services who one is.

mod request_token;

use std::sync::Arc;

use axum::extract::FromRef;
use ruma::api::client::account::request_openid_token::v3 as api;

use crate::{
    api::routes::Routes,
    net::{Action, RateLimiter},
    users::{OpenIdTokens, Sessions},
};

/// Adds the endpoints of this folder.
pub fn routes<S>(routes: Routes<S>) -> Routes<S>
where
    S: Clone + Send + Sync + 'static,
    OpenIdTokens: FromRef<S>,
    Sessions: FromRef<S>,
    Arc<RateLimiter>: FromRef<S>,
{
    routes.add_limited::<api::Request, _, _>(Action::Message, request_token::request_token)
}
