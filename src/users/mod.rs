//! Users of this server: accounts, sessions and devices, profiles, account data, filters.
//!
//! Services here are synchronous and read and write the store on their caller's thread; none knows HTTP,
//! rooms' contents or sync. [`Accounts`] and [`Sessions`] are the main types.

mod account_data;
mod accounts;
pub mod appservices;
pub mod backups;
mod clock;
mod dehydrated_devices;
mod devices;
mod edu_outbox;
mod error;
mod filters;
#[cfg(test)]
pub(crate) mod fixture;
mod ignored_users;
mod invite_filter;
pub mod keys;
mod last_seen;
pub mod limits;
mod login_secret;
mod login_tokens;
mod openid_tokens;
mod passwords;
pub mod presence;
mod profiles;
mod refresh_tokens;
mod registration;
mod registration_tokens;
pub mod remote_devices;
pub mod rendezvous;
pub mod secrets;
mod sessions;
mod shared_secret;
mod tags;
mod terms;
pub mod to_device;
mod turn;
mod uiaa;
pub mod user_directory;
pub mod words;

pub use account_data::{AccountData, AccountDataEntry};
pub use accounts::{AccountDetails, Accounts, NewAccount, SERVER_USER_LOCALPART};
pub use appservices::{Appservice, Appservices};
pub use backups::KeyBackups;
pub use clock::{Clock, ManualClock};
pub use dehydrated_devices::{DehydratedDevice, DehydratedDevices, NewDehydratedDevice};
pub use devices::{Device, Devices};
pub use edu_outbox::EduOutbox;
pub use error::UserError;
pub use filters::Filters;
pub use ignored_users::ignored_users;
pub use invite_filter::{InviteFilter, InviteVerdict};
pub use keys::EncryptionKeys;
pub use last_seen::LastSeen;
pub use login_secret::LoginSecret;
pub use login_tokens::{LoginToken, LoginTokens};
pub use openid_tokens::{OpenIdToken, OpenIdTokens};
pub use passwords::Passwords;
pub use presence::Presence;
pub use profiles::{Profile, ProfileChange, Profiles};
pub use refresh_tokens::{RefreshGrant, Refreshed};
pub use registration::RegistrationPolicy;
pub use registration_tokens::{NewRegistrationToken, RegistrationTokenChange, RegistrationTokens};
pub use remote_devices::RemoteDevices;
pub use rendezvous::Rendezvous;
pub use secrets::random_bytes;
pub use sessions::{AccessToken, NewDevice, Session, Sessions, StartedSession};
pub use shared_secret::{SharedSecret, SignedRegistration};
pub use terms::Terms;
pub use to_device::ToDevice;
pub use turn::{TurnAuthentication, TurnCredentials, TurnServers};
pub use uiaa::{Operation, Outcome, Stage, Uiaa};
