//! Logging in and out.

mod login;
mod login_flows;
mod login_token;
mod logout;
mod refresh;

use std::sync::Arc;

use axum::extract::FromRef;
use ruma::api::client::session as api;

use crate::{
    api::routes::Routes,
    net::{Action, RateLimiter},
    users::{Accounts, LoginSecret, LoginTokens, Sessions, Uiaa},
};

/// Adds the endpoints of this folder.
pub fn routes<S>(routes: Routes<S>) -> Routes<S>
where
    S: Clone + Send + Sync + 'static,
    Accounts: FromRef<S>,
    LoginSecret: FromRef<S>,
    LoginTokens: FromRef<S>,
    Sessions: FromRef<S>,
    Uiaa: FromRef<S>,
    Arc<RateLimiter>: FromRef<S>,
{
    routes
        .add::<api::get_login_types::v3::Request, _, _>(login_flows::login_flows)
        .add::<api::login::v3::Request, _, _>(login::login)
        .add::<api::get_login_token::v1::Request, _, _>(login_token::login_token)
        .add_limited::<api::refresh_token::v3::Request, _, _>(Action::Login, refresh::refresh)
        .add::<api::logout::v3::Request, _, _>(logout::logout)
        .add::<api::logout_all::v3::Request, _, _>(logout::logout_all)
}
