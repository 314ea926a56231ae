//! `PUT /_synapse/admin/v2/users/{userId}`: makes an account, or changes one.

use axum::{
    extract::{FromRef, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use ruma::UserId;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::shown;
use crate::{
    api::{
        ApiError, ApiState, PathArguments,
        admin::{Admin, local_user_id, must_be_another, unknown_user},
        blocking,
        json::{JsonBody, JsonResponse},
    },
    rooms::Memberships,
    users::{AccountDetails, Accounts, Devices, NewAccount, Profiles},
};

/// What is to be set; what is left out stays as it is.
#[derive(Debug, Default, Deserialize)]
pub struct Body {
    password: Option<String>,
    logout_devices: Option<bool>,
    displayname: Option<String>,
    avatar_url: Option<String>,
    #[serde(default)]
    threepids: Vec<Value>,
    #[serde(default)]
    external_ids: Vec<Value>,
    admin: Option<bool>,
    deactivated: Option<bool>,
    locked: Option<bool>,
    suspended: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    user_type: Option<Option<String>>,
}

/// Tells a field that is `null` from one that is left out.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What changes accounts.
#[derive(Clone)]
pub struct AccountEditor {
    accounts: Accounts,
    profiles: Profiles,
    devices: Devices,
    memberships: Memberships,
}

impl FromRef<ApiState> for AccountEditor {
    fn from_ref(state: &ApiState) -> Self {
        Self {
            accounts: state.users.accounts.clone(),
            profiles: state.users.profiles.clone(),
            devices: state.users.devices.clone(),
            memberships: state.rooms.memberships.clone(),
        }
    }
}

/// The handler: 201 for an account that was made, 200 for one that was changed.
pub async fn modify(
    State(editor): State<AccountEditor>,
    Admin(admin): Admin,
    PathArguments(user_id): PathArguments<String>,
    JsonBody(body): JsonBody<Body>,
) -> Result<Response, ApiError> {
    blocking::run(move || {
        let user_id = local_user_id(&editor.accounts, &user_id)?;
        if !body.threepids.is_empty() || !body.external_ids.is_empty() {
            let message = "This server keeps neither third-party ids nor those of other identity providers";
            return Err(ApiError::invalid_param(message));
        }
        if body.admin == Some(false) || body.deactivated == Some(true) || body.locked == Some(true) {
            must_be_another(&admin, &user_id)?;
        }
        let is_new = editor.accounts.details(&user_id)?.is_none();
        if is_new {
            editor.create(&user_id, &body)?
        } else {
            editor.change(&user_id, &body)?
        }
        editor.set_rest(&user_id, body)?;
        tracing::info!(admin = %admin.user_id, %user_id, is_new, "an administrator changed an account");
        let account = editor.accounts.details(&user_id)?.ok_or_else(unknown_user)?;
        let shown = shown::details(&editor.profiles, &editor.devices, &account)?;
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        Ok((status, JsonResponse(shown)).into_response())
    })
    .await
}

impl AccountEditor {
    fn create(&self, user_id: &UserId, body: &Body) -> Result<(), ApiError> {
        let user_id = self.accounts.free_user_id(user_id.localpart())?;
        if let Some(password) = &body.password {
            self.accounts.passwords().check_rules(password)?;
        }
        let password = body.password.clone();
        let is_admin = body.admin.unwrap_or(false);
        self.accounts.register(&user_id, NewAccount { is_admin, password, ..NewAccount::default() })?;
        Ok(())
    }

    fn change(&self, user_id: &UserId, body: &Body) -> Result<(), ApiError> {
        let account = self.accounts.details(user_id)?.ok_or_else(unknown_user)?;
        if account.record.is_deactivated {
            return match body.deactivated {
                Some(false) => Ok(self.accounts.reactivate(user_id, body.password.as_deref())?),
                Some(true) => Ok(()),
                None => Err(ApiError::invalid_param("The account is deactivated")),
            };
        }
        if let Some(password) = &body.password {
            let ends_sessions = body.logout_devices.unwrap_or(true);
            self.accounts.reset_password(user_id, password, ends_sessions)?;
        }
        if body.deactivated == Some(true) {
            self.memberships.leave_all(user_id)?;
            self.accounts.deactivate(user_id, false)?;
        }
        Ok(())
    }

    fn set_rest(&self, user_id: &UserId, body: Body) -> Result<(), ApiError> {
        let account = self.accounts.details(user_id)?.ok_or_else(unknown_user)?;
        if account.record.is_deactivated {
            return Ok(());
        }
        let is_new_value = |wanted: Option<bool>, is: bool| wanted.filter(|wanted| *wanted != is);
        if let Some(is_admin) = is_new_value(body.admin, account.record.is_admin) {
            self.accounts.set_admin(user_id, is_admin)?;
        }
        if let Some(is_locked) = is_new_value(body.locked, account.record.is_locked) {
            self.accounts.set_locked(user_id, is_locked)?;
        }
        if let Some(is_suspended) = is_new_value(body.suspended, account.record.is_suspended) {
            self.accounts.set_suspended(user_id, is_suspended)?;
        }
        if let Some(user_type) = body.user_type {
            self.accounts.set_user_type(user_id, user_type)?;
        }
        self.set_field(&account, "displayname", body.displayname)?;
        self.set_field(&account, "avatar_url", body.avatar_url)
    }

    /// Sets a field of the profile, and tells the rooms; an empty value takes it away.
    fn set_field(
        &self,
        account: &AccountDetails,
        field: &str,
        value: Option<String>,
    ) -> Result<(), ApiError> {
        let Some(value) = value else { return Ok(()) };
        let change = if value.is_empty() {
            self.profiles.remove(account.user, field)?
        } else {
            self.profiles.set(account.user, field, json!(value))?
        };
        crate::api::client::follow_profile(&self.memberships, &account.user_id, &change)
    }
}
