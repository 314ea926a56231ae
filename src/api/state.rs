//! The services that handlers can ask for. A handler names the ones it uses (`State<Accounts>`), and no more.

use axum::extract::FromRef;

use crate::{
    storage::Storage,
    users::{AccountData, Accounts, Devices, Filters, LoginTokens, Profiles, Sessions, Uiaa},
};

macro_rules! api_state {
    ($($(#[doc = $doc:literal])+ $field:ident: $service:ty,)*) => {
        /// Every service, each cheap to clone.
        #[derive(Clone, Debug)]
        pub struct ApiState {
            $($(#[doc = $doc])+ pub $field: $service,)*
        }

        $(impl FromRef<ApiState> for $service {
            fn from_ref(state: &ApiState) -> Self {
                state.$field.clone()
            }
        })*
    };
}

api_state! {
    /// The store, for the durability middleware.
    storage: Storage,
    /// Access tokens and what they stand for.
    sessions: Sessions,
    /// Accounts.
    accounts: Accounts,
    /// Devices.
    devices: Devices,
    /// Profiles.
    profiles: Profiles,
    /// Account data and tags.
    account_data: AccountData,
    /// Stored filters.
    filters: Filters,
    /// Tokens for `m.login.token`.
    login_tokens: LoginTokens,
    /// User-interactive authentication.
    uiaa: Uiaa,
}
