//! Profiles.

mod delete_field;
mod get_field;
mod get_profile;
mod set_field;

use axum::extract::FromRef;
use ruma::api::client::profile as api;

use crate::{
    api::routes::Routes,
    users::{Profiles, Sessions},
};

/// Adds the endpoints of this folder.
pub fn routes<S>(routes: Routes<S>) -> Routes<S>
where
    S: Clone + Send + Sync + 'static,
    Profiles: FromRef<S>,
    Sessions: FromRef<S>,
{
    routes
        .add::<api::get_profile::v3::Request, _, _>(get_profile::get_profile)
        .add::<api::get_profile_field::v3::Request, _, _>(get_field::get_field)
        .add::<api::set_profile_field::v3::Request, _, _>(set_field::set_field)
        .add::<api::delete_profile_field::v3::Request, _, _>(delete_field::delete_field)
}
