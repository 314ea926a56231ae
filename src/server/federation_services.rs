//! Puts together what talks to other servers.

use std::sync::Arc;

use super::services::StartError;
use crate::{
    config::Config,
    federation::{
        Backoff, Discovery, FederationClient, MatrixLocator, OutgoingQueues, OwnKeys, ServerKeys,
        ServerPolicy, sending::SignedWay,
    },
    net::outbound::Outbound,
    rooms::{SigningKeys, Typing},
    storage::{Storage, StorageError},
    users::Clock,
};

/// The services that others of federation stand on.
pub struct FederationServices {
    /// Requests to other hosts in general.
    pub outbound: Outbound,
    /// Asks other servers.
    pub client: FederationClient,
    /// Verifies what comes from other servers.
    pub server_keys: ServerKeys,
    /// Which servers the operator allows.
    pub policy: ServerPolicy,
}

impl FederationServices {
    /// As the configuration says.
    pub fn new(config: &Config, storage: &Storage, clock: &Clock) -> Result<Self, StartError> {
        let outbound = Outbound::new(config.outbound.ca_file.as_deref(), &config.outbound.allowed_ranges)?;
        let key = SigningKeys::load_or_generate(storage)?.active().clone();
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

    /// The queues to other servers; they send once they are run.
    pub fn outgoing_queues(
        &self,
        storage: &Storage,
        clock: &Clock,
        typing: &Typing,
    ) -> Result<OutgoingQueues, StorageError> {
        let way = SignedWay::new(self.client.clone(), self.policy.clone(), clock.clone());
        let own_name = self.policy.own_name().to_owned();
        let queues = OutgoingQueues::new(storage.clone(), own_name, clock.clone(), typing.clone(), way)?;
        queues.listen_to(self.client.backoff());
        Ok(queues)
    }
}
