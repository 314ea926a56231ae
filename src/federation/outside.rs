//! Puts together what everything that talks to other servers stands on. Main type: [`Outside`].

use std::sync::Arc;

use super::{Backoff, Discovery, FederationClient, MatrixLocator, OwnKeys, ServerKeys, ServerPolicy};
use crate::{
    config::Config,
    matrix::SigningKey,
    net::outbound::Outbound,
    storage::{Storage, StorageError},
    users::Clock,
};

/// The ways to other hosts.
#[derive(Clone, Debug)]
pub struct Outside {
    /// Requests to other hosts in general.
    pub outbound: Outbound,
    /// Asks other servers.
    pub client: FederationClient,
    /// Verifies what comes from other servers.
    pub server_keys: ServerKeys,
    /// Which servers the operator allows.
    pub policy: ServerPolicy,
}

impl Outside {
    /// Over `outbound`, as the configuration says, with `key` as this server's own.
    pub fn new(
        config: &Config,
        storage: &Storage,
        clock: &Clock,
        outbound: Outbound,
        key: SigningKey,
    ) -> Result<Self, StorageError> {
        let policy = ServerPolicy::new(config);
        let backoff = Backoff::load(storage.clone(), clock.clone())?;
        let locator = Arc::new(MatrixLocator::new(outbound.resolver().clone()));
        let client = FederationClient::new(
            policy.clone(),
            key.clone(),
            outbound.located(locator),
            Discovery::new(outbound.public_secure()),
            backoff,
        );
        let server_keys = ServerKeys::new(
            storage.clone(),
            OwnKeys::new(config.server_name.clone(), key),
            policy.clone(),
            client.clone(),
            config.federation.trusted_key_servers.clone(),
            clock.clone(),
        );
        Ok(Self { outbound, client, server_keys, policy })
    }
}
