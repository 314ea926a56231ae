//! An account as the administrators' API shows it.

use serde_json::{Value, json};

use crate::{
    api::ApiError,
    users::{AccountDetails, Devices, Profile, Profiles},
};

/// An account in a list.
pub fn entry(account: &AccountDetails, profile: &Profile, last_seen_ms: Option<u64>) -> Value {
    let record = &account.record;
    json!({
        "name": account.user_id,
        "displayname": profile.display_name(),
        "avatar_url": profile.avatar_url(),
        "is_guest": record.is_guest,
        "admin": record.is_admin,
        "user_type": record.user_type,
        "deactivated": record.is_deactivated,
        "erased": record.is_erased,
        "shadow_banned": false,
        "locked": record.is_locked,
        "suspended": record.is_suspended,
        "creation_ts": record.created_at,
        "last_seen_ts": last_seen_ms,
        "approved": true,
    })
}

/// An account with everything.
pub fn details(profiles: &Profiles, devices: &Devices, account: &AccountDetails) -> Result<Value, ApiError> {
    let profile = profiles.of_account(account.user)?;
    let mut shown = entry(account, &profile, last_seen_ms(devices, account)?);
    if let Value::Object(shown) = &mut shown {
        // In seconds here, though in milliseconds in lists: tools know it so.
        let created_s = u64::from(account.record.created_at.get()) / 1_000;
        shown.insert("creation_ts".to_owned(), json!(created_s));
        // There are no third-party ids or other identity providers here, nor consent that is noted.
        for (name, value) in [
            ("threepids", json!([])),
            ("external_ids", json!([])),
            ("appservice_id", json!(account.record.appservice)),
            ("consent_server_notice_sent", Value::Null),
            ("consent_version", Value::Null),
            ("consent_ts", Value::Null),
        ] {
            shown.insert(name.to_owned(), value);
        }
    }
    Ok(shown)
}

/// When any device of the user was last seen.
pub fn last_seen_ms(devices: &Devices, account: &AccountDetails) -> Result<Option<u64>, ApiError> {
    let seen = devices.list(account.user)?.into_iter().filter_map(|device| device.last_seen_at);
    Ok(seen.max().map(|at| at.get().into()))
}
