//! `/room_keys/version`: making, reading, changing and deleting versions of a user's key backup.

use axum::extract::State;
use ruma::{
    api::client::backup::{
        BackupAlgorithm, create_backup_version, delete_backup_version, get_backup_info,
        get_latest_backup_info, update_backup_version,
    },
    serde::Raw,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::number;
use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse, blocking, json::JsonResponse},
    storage::records::BackupRecord,
    users::{KeyBackups, UserError},
};

/// The body of what makes or changes a version.
#[derive(Deserialize)]
struct Description {
    algorithm: String,
    auth_data: Box<RawValue>,
    version: Option<String>,
}

fn description(body: &Raw<BackupAlgorithm>) -> Result<Description, ApiError> {
    serde_json::from_str(body.json().get()).map_err(|e| {
        let message = e.to_string();
        if message.starts_with("missing field") {
            ApiError::missing_param(message)
        } else {
            ApiError::bad_json(message)
        }
    })
}

/// A version as clients see it.
#[derive(Debug, Serialize)]
pub struct Shown {
    algorithm: String,
    auth_data: Box<RawValue>,
    count: u64,
    etag: String,
    version: String,
}

fn shown(version: u64, record: BackupRecord) -> JsonResponse<Shown> {
    JsonResponse(Shown {
        algorithm: record.algorithm,
        auth_data: record.auth_data,
        count: record.count,
        etag: record.etag.to_string(),
        version: version.to_string(),
    })
}

/// Begins a new version.
pub async fn create(
    State(backups): State<KeyBackups>,
    requester: Requester,
    Ruma(request): Ruma<create_backup_version::v3::Request>,
) -> ApiResult<create_backup_version::v3::Response> {
    let Description { algorithm, auth_data, .. } = description(&request.algorithm)?;
    let version = blocking::run(move || backups.create(requester.user, &algorithm, &auth_data)).await?;
    Ok(RumaResponse(create_backup_version::v3::Response::new(version.to_string())))
}

/// The version that is written to.
pub async fn latest(
    State(backups): State<KeyBackups>,
    requester: Requester,
    _request: Ruma<get_latest_backup_info::v3::Request>,
) -> Result<JsonResponse<Shown>, ApiError> {
    let (version, record) = blocking::run(move || backups.latest(requester.user)).await?;
    Ok(shown(version, record))
}

/// One version.
pub async fn get(
    State(backups): State<KeyBackups>,
    requester: Requester,
    Ruma(request): Ruma<get_backup_info::v3::Request>,
) -> Result<JsonResponse<Shown>, ApiError> {
    let version = number(&request.version)?;
    let record = blocking::run(move || backups.get(requester.user, version)).await?;
    Ok(shown(version, record))
}

/// Changes what is said of a version.
pub async fn update(
    State(backups): State<KeyBackups>,
    requester: Requester,
    Ruma(request): Ruma<update_backup_version::v3::Request>,
) -> ApiResult<update_backup_version::v3::Response> {
    let Description { algorithm, auth_data, version: named } = description(&request.algorithm)?;
    if named.is_some_and(|named| named != request.version) {
        return Err(UserError::OtherBackup("the version in the body is another one").into());
    }
    let version = number(&request.version)?;
    blocking::run(move || backups.update(requester.user, version, &algorithm, &auth_data)).await?;
    Ok(RumaResponse(update_backup_version::v3::Response::new()))
}

/// Deletes a version with its keys.
pub async fn delete(
    State(backups): State<KeyBackups>,
    requester: Requester,
    Ruma(request): Ruma<delete_backup_version::v3::Request>,
) -> ApiResult<delete_backup_version::v3::Response> {
    let version = number(&request.version)?;
    blocking::run(move || backups.delete(requester.user, version)).await?;
    Ok(RumaResponse(delete_backup_version::v3::Response::new()))
}
