//! Accounts: registering, passwords, closing an account.

mod change_password;
mod deactivate;
mod register;
mod registration_token_validity;
mod username_availability;
mod whoami;

use std::sync::Arc;

use axum::extract::FromRef;
use ruma::api::client::account as api;

use crate::{
    api::routes::Routes,
    net::{Action, RateLimiter},
    rooms::Memberships,
    users::{Accounts, Sessions, Uiaa},
};

/// Adds the endpoints of this folder.
pub fn routes<S>(routes: Routes<S>) -> Routes<S>
where
    S: Clone + Send + Sync + 'static,
    Accounts: FromRef<S>,
    Memberships: FromRef<S>,
    Sessions: FromRef<S>,
    Uiaa: FromRef<S>,
    Arc<RateLimiter>: FromRef<S>,
{
    routes
        .add_limited::<api::register::v3::Request, _, _>(Action::Registration, register::register)
        .add_limited::<api::check_registration_token_validity::v1::Request, _, _>(
            Action::Registration,
            registration_token_validity::check,
        )
        .add_limited::<api::get_username_availability::v3::Request, _, _>(
            Action::Registration,
            username_availability::check,
        )
        .add::<api::whoami::v3::Request, _, _>(whoami::whoami)
        .add::<api::change_password::v3::Request, _, _>(change_password::change_password)
        .add::<api::deactivate::v3::Request, _, _>(deactivate::deactivate)
}
