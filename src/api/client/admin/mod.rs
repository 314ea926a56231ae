//! What Synapse's administration API has and its tools use: registration with the shared secret.

mod register;

use axum::extract::FromRef;
use http::Method;

use crate::{
    api::routes::Routes,
    users::{Accounts, Profiles, SharedSecret},
};

/// Adds the endpoints of this folder.
pub fn routes<S>(routes: Routes<S>) -> Routes<S>
where
    S: Clone + Send + Sync + 'static,
    Accounts: FromRef<S>,
    Profiles: FromRef<S>,
    Option<SharedSecret>: FromRef<S>,
{
    let path = "/_synapse/admin/v1/register";
    routes.add_at(Method::GET, path, register::nonce).add_at(Method::POST, path, register::register)
}
