//! Who talks: accounts, and the key of their secret storage.

use std::sync::{Arc, OnceLock};

use matrix_sdk::{
    Client,
    config::RequestConfig,
    ruma::{
        OwnedUserId, UserId,
        api::client::{
            account::register::v3::Request as RegisterRequest,
            uiaa::{AuthData, Dummy, RegistrationToken},
        },
    },
};

use crate::{Failure, device::Device};

pub const PASSWORD: &str = "correct horse battery staple";

/// A server is back within seconds; a request that meets none is made again so often.
const ATTEMPTS: usize = 20;

/// An account.
pub struct Account {
    pub url: String,
    pub user_id: OwnedUserId,
    /// The key of its secret storage, once there is one.
    pub recovery_key: OnceLock<String>,
}

impl Account {
    /// A new account on a server that wants a registration token.
    pub async fn register(url: &str, name: &str, token: &str) -> Result<Self, Failure> {
        let client = client(url).await?;
        let mut request = RegisterRequest::new();
        let unique = std::time::UNIX_EPOCH.elapsed()?.as_nanos();
        request.username = Some(format!("{name}-{unique:x}"));
        request.password = Some(PASSWORD.to_owned());
        request.inhibit_login = true;
        let mut answer = client.matrix_auth().register(request.clone()).await;
        // The stages in their order, as far as the server wants them.
        for stage in 0..2 {
            let Err(error) = &answer else { break };
            let wanted = error.as_uiaa_response().ok_or_else(|| format!("not registered: {error}"))?;
            request.auth = Some(match stage {
                0 => {
                    let mut auth = RegistrationToken::new(token.to_owned());
                    auth.session = wanted.session.clone();
                    AuthData::RegistrationToken(auth)
                }
                _ => {
                    let mut auth = Dummy::new();
                    auth.session = wanted.session.clone();
                    AuthData::Dummy(auth)
                }
            });
            answer = client.matrix_auth().register(request.clone()).await;
        }
        Ok(Self { url: url.to_owned(), user_id: answer?.user_id, recovery_key: OnceLock::new() })
    }

    /// Its first device: cross-signing without a password (MSC3967), secret storage and a key backup.
    pub async fn first_device(self: &Arc<Self>) -> Result<Arc<Device>, Failure> {
        let device = Device::log_in(self.clone(), "first").await?;
        let encryption = device.client().encryption();
        encryption.bootstrap_cross_signing(None).await?;
        let key = encryption.recovery().enable().wait_for_backups_to_upload().await?;
        self.recovery_key.set(key).map_err(|_| "there is a recovery key already")?;
        Ok(device)
    }

    /// Verifies a new device with the key of the secret storage, which connects it to the backup as well.
    pub async fn recover(&self, device: &Device) -> Result<(), Failure> {
        let key = self.recovery_key.get().ok_or("no recovery key")?;
        device.client().encryption().recovery().recover(key).await?;
        Ok(())
    }
}

/// A client of a server without a session.
pub async fn client(url: &str) -> Result<Client, Failure> {
    let requests = RequestConfig::new().retry_limit(ATTEMPTS);
    Ok(Client::builder().homeserver_url(url).request_config(requests).build().await?)
}

/// The name of a user, without what makes it unique.
pub fn short_name(user: &UserId) -> &str {
    user.localpart().split('-').next().unwrap_or_default()
}
