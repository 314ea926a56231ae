//! `GET /_synapse/admin/v2/users` and `v3/users`: the accounts of this server.

use std::cmp::Ordering;

use axum::extract::{FromRef, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shown;
use crate::{
    api::{
        ApiError, ApiState,
        admin::{Admin, FilterQuery, PageQuery},
        blocking,
        json::JsonResponse,
    },
    users::{AccountDetails, Accounts, Devices, Profile, Profiles},
};

/// Which accounts are asked for.
#[derive(Debug, Default, Deserialize)]
pub struct Filter {
    user_id: Option<String>,
    name: Option<String>,
    guests: Option<bool>,
    admins: Option<bool>,
    deactivated: Option<bool>,
    locked: Option<bool>,
    #[serde(default)]
    not_user_type: Vec<String>,
}

/// What the list is made from.
#[derive(Clone)]
pub struct UserList {
    accounts: Accounts,
    profiles: Profiles,
    devices: Devices,
}

impl FromRef<ApiState> for UserList {
    fn from_ref(state: &ApiState) -> Self {
        let users = &state.users;
        Self {
            accounts: users.accounts.clone(),
            profiles: users.profiles.clone(),
            devices: users.devices.clone(),
        }
    }
}

/// Version 2: closed and locked accounts are left out unless asked for.
pub async fn list_v2(
    State(list): State<UserList>,
    _admin: Admin,
    page: PageQuery,
    FilterQuery(mut filter): FilterQuery<Filter>,
) -> Result<JsonResponse<Value>, ApiError> {
    // `true` includes them beside the others.
    filter.deactivated = if filter.deactivated == Some(true) { None } else { Some(false) };
    filter.locked = if filter.locked == Some(true) { None } else { Some(false) };
    blocking::run(move || list.page(&page, &filter)).await
}

/// Version 3: `deactivated` chooses between closed accounts and others.
pub async fn list_v3(
    State(list): State<UserList>,
    _admin: Admin,
    page: PageQuery,
    FilterQuery(mut filter): FilterQuery<Filter>,
) -> Result<JsonResponse<Value>, ApiError> {
    filter.locked = if filter.locked == Some(true) { None } else { Some(false) };
    blocking::run(move || list.page(&page, &filter)).await
}

/// An account while the list is made.
struct Found {
    account: AccountDetails,
    profile: Profile,
    last_seen_ms: Option<u64>,
}

impl UserList {
    fn page(&self, page: &PageQuery, filter: &Filter) -> Result<JsonResponse<Value>, ApiError> {
        let order_by = page.order_by.as_deref().unwrap_or("name");
        let needs_last_seen = order_by == "last_seen_ts";
        let mut found = Vec::new();
        for account in self.accounts.all() {
            let account = account?;
            let profile = self.profiles.of_account(account.user)?;
            if filter.takes(&account, &profile) {
                let last_seen_ms =
                    if needs_last_seen { shown::last_seen_ms(&self.devices, &account)? } else { None };
                found.push(Found { account, profile, last_seen_ms });
            }
        }
        let order = order(order_by)?;
        found.sort_by(|a, b| a.account.user_id.cmp(&b.account.user_id));
        found.sort_by(|a, b| if page.is_backward == Some(true) { order(b, a) } else { order(a, b) });
        let total = found.len();
        let mut users = Vec::new();
        for Found { account, profile, last_seen_ms } in page.cut(found) {
            let last_seen_ms = match last_seen_ms {
                None if !needs_last_seen => shown::last_seen_ms(&self.devices, &account)?,
                known => known,
            };
            users.push(shown::entry(&account, &profile, last_seen_ms));
        }
        let mut answer = json!({ "users": users, "total": total });
        if let (Some(next), Value::Object(answer)) = (page.next(total), &mut answer) {
            answer.insert("next_token".to_owned(), json!(next.to_string()));
        }
        Ok(JsonResponse(answer))
    }
}

impl Filter {
    fn takes(&self, account: &AccountDetails, profile: &Profile) -> bool {
        let record = &account.record;
        let names = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
        let fits_name = match (&self.name, &self.user_id) {
            (Some(name), _) => {
                names(account.user_id.localpart(), name)
                    || profile.display_name().is_some_and(|display_name| names(display_name, name))
            }
            (None, Some(user_id)) => names(account.user_id.as_str(), user_id),
            (None, None) => true,
        };
        let is = |wanted: Option<bool>, value: bool| wanted.is_none_or(|wanted| wanted == value);
        let user_type = record.user_type.as_deref().unwrap_or_default();
        fits_name
            && (self.guests != Some(false) || !record.is_guest)
            && is(self.admins, record.is_admin)
            && is(self.deactivated, record.is_deactivated)
            && is(self.locked, record.is_locked)
            && !self.not_user_type.iter().any(|excluded| excluded == user_type)
    }
}

fn order(order_by: &str) -> Result<fn(&Found, &Found) -> Ordering, ApiError> {
    Ok(match order_by {
        "name" => |a, b| a.account.user_id.cmp(&b.account.user_id),
        "is_guest" => |a, b| a.account.record.is_guest.cmp(&b.account.record.is_guest),
        "admin" => |a, b| a.account.record.is_admin.cmp(&b.account.record.is_admin),
        "user_type" => |a, b| a.account.record.user_type.cmp(&b.account.record.user_type),
        "deactivated" => |a, b| a.account.record.is_deactivated.cmp(&b.account.record.is_deactivated),
        "erased" => |a, b| a.account.record.is_erased.cmp(&b.account.record.is_erased),
        "locked" => |a, b| a.account.record.is_locked.cmp(&b.account.record.is_locked),
        "suspended" => |a, b| a.account.record.is_suspended.cmp(&b.account.record.is_suspended),
        "shadow_banned" => |_, _| Ordering::Equal,
        "displayname" => |a, b| a.profile.display_name().cmp(&b.profile.display_name()),
        "avatar_url" => |a, b| a.profile.avatar_url().cmp(&b.profile.avatar_url()),
        "creation_ts" => |a, b| a.account.record.created_at.cmp(&b.account.record.created_at),
        "last_seen_ts" => |a, b| a.last_seen_ms.cmp(&b.last_seen_ms),
        _ => return Err(ApiError::invalid_param("Users can't be ordered by this")),
    })
}
