//! Other servers ask for the keys of this one's users (server-server API, "End-to-End Encryption").

mod claim;
mod devices;
mod query;

use axum::extract::FromRef;
use ruma::api::federation::{device::get_devices, keys as api};

use crate::{api::routes::Routes, federation::ServerKeys, users::EncryptionKeys};

/// Adds the endpoints of this folder.
pub fn routes<S>(routes: Routes<S>) -> Routes<S>
where
    S: Clone + Send + Sync + 'static,
    ServerKeys: FromRef<S>,
    EncryptionKeys: FromRef<S>,
{
    routes
        .add::<api::get_keys::v1::Request, _, _>(query::query)
        .add::<api::claim_keys::v1::Request, _, _>(claim::claim)
        .add::<get_devices::v1::Request, _, _>(devices::devices)
}
