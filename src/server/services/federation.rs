//! Puts together what talks to other servers.

use std::sync::Arc;

use super::{Foundation, RoomReaders, StartError};
use crate::{
    api::{FederationServices, RoomServices, UserServices},
    config::{self, Config},
    federation::{
        IncomingPdus, IncomingTransactions, OtherServers, OutgoingQueues, Outside, ProfileRefresh,
        RemoteKeys, RemoteProfiles, RemoteRooms, RemoteSpaces,
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
pub(super) fn outside(on: Foundation<'_>) -> Result<Outside, StartError> {
    let settings = &on.config.outbound;
    let outbound = Outbound::new(settings.ca_file.as_deref(), &settings.allowed_ranges)?;
    let key = SigningKeys::load_or_generate(on.storage)?.active().clone();
    Ok(Outside::new(on.config, on.storage, on.clock, outbound, key)?)
}

/// The queues to other servers; they send once they are run.
fn outgoing_queues(
    on: Foundation<'_>,
    outside: &Outside,
    typing: &Typing,
) -> Result<OutgoingQueues, StorageError> {
    let way = SignedWay::new(outside.client.clone(), outside.policy.clone(), on.clock());
    let queues = OutgoingQueues::new(on.storage(), on.server_name(), on.clock(), typing.clone(), way)?;
    queues.listen_to(outside.client.backoff());
    Ok(queues)
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
    let remote_profiles = RemoteProfiles::new(outside.client.clone(), on.server_name());
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
        outgoing_queues: outgoing_queues(on, &outside, &rooms.typing)?,
        admissions: Admissions::new(rooms.resident.clone(), outside.server_keys.clone()),
        incoming_invites: IncomingInvites::new(remote_rooms.clone(), acls.clone(), users.accounts.clone()),
        remote_rooms,
        profile_refresh: ProfileRefresh::new(on.storage(), remote_profiles.clone()),
        remote_profiles,
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
