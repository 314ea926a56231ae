//! Keys for end-to-end encryption.

mod changes;
mod claim;
mod device_signing;
mod query;
mod signatures;
mod upload;

use ruma::api::client::keys as api;

use crate::api::routes::Routes;

/// Adds the endpoints of this folder.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add::<api::upload_keys::v3::Request, _, _>(upload::upload)
        .add::<api::get_keys::v3::Request, _, _>(query::query)
        .add::<api::claim_keys::v3::Request, _, _>(claim::claim)
        .add::<api::get_key_changes::v3::Request, _, _>(changes::changes)
        .add::<api::upload_signing_keys::v3::Request, _, _>(device_signing::upload)
        .add::<api::upload_signatures::v3::Request, _, _>(signatures::upload)
}
