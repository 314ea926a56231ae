//! Puts together what talks to other servers.

use std::sync::Arc;

use super::{Foundation, RoomReaders, StartError};
use crate::{
    api::{FederationServices, RoomServices, UserServices},
    config::{self, Config},
    federation::{
        Backoff, Discovery, FederationClient, IncomingPdus, IncomingTransactions, MatrixLocator,
        OtherServers, OutgoingQueues, OwnKeys, RemoteKeys, RemoteProfiles, RemoteRooms, RemoteSpaces,
        ServerKeys, ServerPolicy,
        joins::{Admissions, IncomingInvites},
        sending::SignedWay,
        transactions::{IncomingEduSources, IncomingEdus},
    },
    net::outbound::Outbound,
    rooms::{ServerAcls, SigningKeys, Typing},
    storage::StorageError,
    sync::Notifier,
    users::{Presence, RemoteDevices},
};

/// The ways to other hosts, which the services of federation and of media stand on.
#[derive(Clone)]
pub(super) struct Outside {
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
    /// As the configuration says.
    pub fn new(on: Foundation<'_>) -> Result<Self, StartError> {
        let config = on.config;
        let outbound = Outbound::new(config.outbound.ca_file.as_deref(), &config.outbound.allowed_ranges)?;
        let key = SigningKeys::load_or_generate(on.storage)?.active().clone();
        let policy = ServerPolicy::new(config);
        let backoff = Backoff::load(on.storage(), on.clock())?;
        let locator = Arc::new(MatrixLocator::new(outbound.resolver().clone()));
        let client = FederationClient::new(
            policy.clone(),
            key.clone(),
            outbound.located(locator),
            Discovery::new(outbound.public_secure()),
            backoff,
        );
        let server_keys = ServerKeys::new(
            on.storage(),
            OwnKeys::new(on.server_name(), key),
            policy.clone(),
            client.clone(),
            config.federation.trusted_key_servers.clone(),
            on.clock(),
        );
        Ok(Self { outbound, client, server_keys, policy })
    }

    /// The queues to other servers; they send once they are run.
    fn outgoing_queues(&self, on: Foundation<'_>, typing: &Typing) -> Result<OutgoingQueues, StorageError> {
        let way = SignedWay::new(self.client.clone(), self.policy.clone(), on.clock());
        let queues = OutgoingQueues::new(on.storage(), on.server_name(), on.clock(), typing.clone(), way)?;
        queues.listen_to(self.client.backoff());
        Ok(queues)
    }
}

/// The services of federation.
pub(super) fn build(
    on: Foundation<'_>,
    readers: &RoomReaders,
    outside: Outside,
    (users, rooms, acls): (&UserServices, &RoomServices, &ServerAcls),
) -> Result<FederationServices, StartError> {
    let remote_devices = RemoteDevices::new(on.storage(), on.server_name());
    let remote_keys = RemoteKeys::new(outside.client.clone(), remote_devices.clone());
    let incoming_pdus = incoming_pdus(on, readers, &outside, (rooms, acls))?;
    let remote_rooms = RemoteRooms::new(
        outside.client.clone(),
        outside.server_keys.clone(),
        rooms.received_events.clone(),
        rooms.memberships.clone(),
        readers.servers.clone(),
    );
    let is_presence_shared = is_presence_federated(on.config);
    let edus = IncomingEdus::new(IncomingEduSources {
        storage: on.storage(),
        index: readers.index.clone(),
        acls: acls.clone(),
        typing: rooms.typing.clone(),
        presence: if is_presence_shared { users.presence.clone() } else { Presence::off() },
        to_device: users.to_device.clone(),
        remote_devices,
        clock: on.clock(),
    });
    Ok(FederationServices {
        incoming_transactions: IncomingTransactions::new(on.storage(), incoming_pdus.clone(), edus),
        incoming_pdus,
        outgoing_queues: outside.outgoing_queues(on, &rooms.typing)?,
        admissions: Admissions::new(rooms.resident.clone(), outside.server_keys.clone()),
        incoming_invites: IncomingInvites::new(remote_rooms.clone(), acls.clone(), users.accounts.clone()),
        remote_rooms,
        remote_profiles: RemoteProfiles::new(outside.client.clone(), on.server_name()),
        remote_spaces: RemoteSpaces::new(outside.client.clone(), on.server_name()),
        remote_keys,
        federation_client: outside.client,
        server_keys: outside.server_keys,
        server_policy: outside.policy,
    })
}

/// What other servers push, worked off with the help of other servers.
fn incoming_pdus(
    on: Foundation<'_>,
    readers: &RoomReaders,
    outside: &Outside,
    (rooms, acls): (&RoomServices, &ServerAcls),
) -> Result<IncomingPdus, StorageError> {
    let others = OtherServers::new(outside.client.clone(), outside.server_keys.clone());
    IncomingPdus::new(
        rooms.received_events.clone(),
        acls.clone(),
        readers.servers.clone(),
        Arc::new(others),
        on.clock(),
    )
}

/// Tells waiting clients and other servers who is there.
pub(super) fn tell_presence(
    config: &Config,
    presence: &Presence,
    notifier: &Notifier,
    queues: &OutgoingQueues,
) {
    let is_federated = is_presence_federated(config);
    let (woken, told) = (notifier.clone(), queues.clone());
    presence.on_change(move |change| {
        if !change.is_repeat {
            woken.presence_changed(change.user);
        }
        if is_federated && change.is_own {
            told.presence_changed(&change.shown);
        }
    });
}

fn is_presence_federated(config: &Config) -> bool {
    config.presence == config::PresenceMode::On
}
