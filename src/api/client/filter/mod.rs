//! Stored filters.

mod create;
mod get;

use axum::extract::FromRef;
use ruma::api::client::filter as api;

use crate::{
    api::routes::Routes,
    users::{Filters, Sessions},
};

/// Adds the endpoints of this folder.
pub fn routes<S>(routes: Routes<S>) -> Routes<S>
where
    S: Clone + Send + Sync + 'static,
    Filters: FromRef<S>,
    Sessions: FromRef<S>,
{
    routes
        .add::<api::create_filter::v3::Request, _, _>(create::create)
        .add::<api::get_filter::v3::Request, _, _>(get::get)
}
