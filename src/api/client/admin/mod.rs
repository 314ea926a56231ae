//! Moderating accounts, and what of Synapse's administration API asks for no administrator: registration with the
//! shared secret.

mod moderation;
mod register;

use axum::extract::FromRef;
use http::Method;
use ruma::api::client::admin::{is_user_locked, is_user_suspended, lock_user, suspend_user};

use crate::{
    api::routes::Routes,
    users::{Accounts, Profiles, Sessions, SharedSecret},
};

/// Adds the endpoints of this folder.
pub fn routes<S>(routes: Routes<S>) -> Routes<S>
where
    S: Clone + Send + Sync + 'static,
    Accounts: FromRef<S>,
    Profiles: FromRef<S>,
    Option<SharedSecret>: FromRef<S>,
    Sessions: FromRef<S>,
{
    let path = "/_synapse/admin/v1/register";
    routes
        .add_at(Method::GET, path, register::nonce)
        .add_at(Method::POST, path, register::register)
        .add::<is_user_locked::v1::Request, _, _>(moderation::is_locked)
        .add::<lock_user::v1::Request, _, _>(moderation::lock)
        .add::<is_user_suspended::v1::Request, _, _>(moderation::is_suspended)
        .add::<suspend_user::v1::Request, _, _>(moderation::suspend)
}
