//! Key backups.

mod add;
mod get;
mod remove;
mod stream;
mod versions;

use ruma::api::client::backup as api;
use serde::Serialize;

use crate::{
    api::{ApiError, routes::Routes},
    users::{UserError, backups::BackupState},
};

/// Adds the endpoints of this folder.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add::<api::create_backup_version::v3::Request, _, _>(versions::create)
        .add::<api::get_latest_backup_info::v3::Request, _, _>(versions::latest)
        .add::<api::get_backup_info::v3::Request, _, _>(versions::get)
        .add::<api::update_backup_version::v3::Request, _, _>(versions::update)
        .add::<api::delete_backup_version::v3::Request, _, _>(versions::delete)
        .add::<api::add_backup_keys::v3::Request, _, _>(add::all)
        .add::<api::add_backup_keys_for_room::v3::Request, _, _>(add::room)
        .add::<api::add_backup_keys_for_session::v3::Request, _, _>(add::session)
        .add::<api::get_backup_keys::v3::Request, _, _>(get::all)
        .add::<api::get_backup_keys_for_room::v3::Request, _, _>(get::room)
        .add::<api::get_backup_keys_for_session::v3::Request, _, _>(get::session)
        .add::<api::delete_backup_keys::v3::Request, _, _>(remove::all)
        .add::<api::delete_backup_keys_for_room::v3::Request, _, _>(remove::room)
        .add::<api::delete_backup_keys_for_session::v3::Request, _, _>(remove::session)
}

/// The number of a version; what is no number is no version.
fn number(version: &str) -> Result<u64, ApiError> {
    version.parse().map_err(|_| UserError::NoBackup.into())
}

/// The answer to what changes keys.
#[derive(Debug, Serialize)]
struct Changed {
    etag: String,
    count: u64,
}

impl From<BackupState> for Changed {
    fn from(state: BackupState) -> Self {
        Self { etag: state.etag.to_string(), count: state.count }
    }
}
