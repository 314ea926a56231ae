//! Puts together accounts and what belongs to one user.

use std::time::Duration;

use super::{Foundation, StartError};
use crate::{
    api::{UserServices, client::voip::RtcFoci},
    config::{self, Config},
    users::{
        AccountData, Accounts, Clock, DehydratedDevices, Devices, EncryptionKeys, Filters, KeyBackups,
        LoginSecret, LoginTokens, OpenIdTokens, Passwords, Presence, Profiles, RegistrationPolicy,
        Rendezvous, Sessions, SharedSecret, Terms, ToDevice, TurnAuthentication, TurnServers, Uiaa,
        UserError,
    },
};

/// The services of users.
pub(super) fn build(on: Foundation<'_>) -> Result<UserServices, StartError> {
    let (config, storage) = (on.config, on.storage);
    let lifetime = Duration::from_secs(config.access_token_lifetime_seconds);
    let sessions = Sessions::new(storage.clone(), on.clock()).with_access_token_lifetime(lifetime);
    let passwords = Passwords::new(usize::try_from(config.password_min_length).unwrap_or(usize::MAX));
    let accounts = Accounts::new(storage.clone(), sessions.clone(), passwords, on.server_name(), on.clock());
    let appservices = sessions.appservices();
    let to_device =
        ToDevice::new(storage.clone(), on.server_name(), on.clock()).with_appservices(appservices.clone());
    Ok(UserServices {
        profiles: Profiles::new(storage.clone(), accounts.clone()),
        openid_tokens: OpenIdTokens::new(storage.clone(), on.clock()),
        dehydrated_devices: DehydratedDevices::new(sessions.clone(), to_device.clone()),
        rendezvous: Rendezvous::new(on.clock()),
        to_device,
        encryption_keys: EncryptionKeys::new(storage.clone(), on.server_name())
            .with_appservices(appservices.clone()),
        key_backups: KeyBackups::new(storage.clone()),
        devices: Devices::new(storage.clone(), sessions.last_seen().clone()),
        account_data: AccountData::new(storage.clone()),
        filters: Filters::new(storage.clone()),
        login_tokens: LoginTokens::new(on.clock()),
        uiaa: Uiaa::new(accounts.clone(), registration_policy(config), on.clock()).with_terms(terms(config)),
        shared_secret: shared_secret(config, on.clock)?,
        login_secret: login_secret(config),
        presence: presence(config, on.clock),
        turn_servers: turn_servers(config, on.clock),
        rtc_foci: RtcFoci(livekit_urls(config)),
        sessions,
        accounts,
    })
}

fn presence(config: &Config, clock: &Clock) -> Presence {
    match config.presence {
        config::PresenceMode::Off => Presence::off(),
        config::PresenceMode::On | config::PresenceMode::Local => Presence::new(clock.clone()),
    }
}

fn registration_policy(config: &Config) -> RegistrationPolicy {
    let token = config.registration_token.as_ref().map(config::RegistrationToken::expose);
    RegistrationPolicy::from_options(config.allow_registration, token, config.allow_open_registration)
}

/// What people have to accept who register.
fn terms(config: &Config) -> Option<Terms> {
    let url = config.terms_url.as_ref()?.as_str().to_owned();
    Some(Terms { url, name: "Terms of Service".to_owned(), version: config.terms_version.clone() })
}

/// Registration with the shared secret, where the operator has set one.
fn shared_secret(config: &Config, clock: &Clock) -> Result<Option<SharedSecret>, UserError> {
    let secret = config.registration_shared_secret.as_ref();
    secret.map(|secret| SharedSecret::new(secret.expose(), clock.clone())).transpose()
}

/// Logging in with a secret, where the operator has set one.
fn login_secret(config: &Config) -> LoginSecret {
    let secret = config.login_shared_secret.as_ref();
    secret.map_or_else(LoginSecret::default, |secret| LoginSecret::new(secret.expose()))
}

/// The TURN servers that the operator has set, if there is a way to prove oneself to them.
fn turn_servers(config: &Config, clock: &Clock) -> Option<TurnServers> {
    let calls = &config.calls;
    let authentication = match (&calls.turn_secret, &calls.turn_username, &calls.turn_password) {
        (Some(secret), ..) => TurnAuthentication::Secret(secret.expose().to_owned()),
        (None, Some(username), Some(password)) => {
            TurnAuthentication::Fixed { username: username.clone(), password: password.expose().to_owned() }
        }
        _ => return None,
    };
    let lifetime = Duration::from_secs(calls.turn_lifetime_seconds);
    let servers = TurnServers::new(calls.turn_uris.clone(), authentication, lifetime, clock.clone());
    (!calls.turn_uris.is_empty()).then_some(servers)
}

/// Where group calls meet.
pub(super) fn livekit_urls(config: &Config) -> Vec<String> {
    config.calls.livekit_urls.iter().map(|url| url.as_str().to_owned()).collect()
}
