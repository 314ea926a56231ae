//! Opens the store and puts the services together, each with just what it uses.

use std::sync::Arc;

use ruma::OwnedServerName;

use super::{
    appservice_services,
    federation_services::FederationServices,
    media_services::{media_finder, media_store, url_previews},
};
use crate::{
    api::{
        ApiState,
        client::{discovery::Advertised, voip::RtcFoci},
    },
    appservices::{AppserviceQueries, Deliveries},
    config::{self, Config},
    federation::{
        IncomingPdus, IncomingTransactions, OtherServers, OutgoingQueues, RemoteKeys, RemoteProfiles,
        RemoteRooms, RemoteSpaces,
        joins::{Admissions, IncomingInvites},
        transactions::{IncomingEduSources, IncomingEdus},
    },
    media::Thumbnails,
    net::{
        RateLimiter,
        outbound::{Outbound, OutboundSetupError},
    },
    push::{PushDelivery, PushRules, PushSources, Pushers, Successions, UnreadCounts, UnreadSources},
    rooms::{
        Aliases, Appender, ClientEvents, EventSender, EventStore, EventTimes, MemberProfiles, Members,
        Memberships, Permissions, Receipts, ReceivedEvents, Relations, Reports, Resident, RoomCreator,
        RoomDirectory, RoomError, RoomIndex, RoomServers, RoomStates, RoomSummaries, RoomUpgrades,
        ServerAcls, SigningKeys, Spaces, Timelines, Typing, Visibility,
    },
    storage::{Durability, MemoryShares, Read, Storage, StorageError, StorageOptions, tables::SERVER_NAME},
    sync::{
        Notifier,
        sliding::SlidingSync,
        v3::{SyncSources, SyncV3},
    },
    users::{
        AccountData, Accounts, Clock, Devices, EncryptionKeys, Filters, KeyBackups, LoginTokens,
        OpenIdTokens, Passwords, Presence, Profiles, RegistrationPolicy, RemoteDevices, Sessions,
        SharedSecret, ToDevice, TurnAuthentication, TurnServers, Uiaa, UserError,
    },
};

/// Why the services could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store could not be opened or read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There is no database to work on.
    #[error("there is no database in {0}: is data_dir right?")]
    NoDatabase(String),
    /// A service of the users could not be made.
    #[error(transparent)]
    Users(#[from] UserError),
    /// A service of the rooms could not be made.
    #[error(transparent)]
    Rooms(#[from] RoomError),
    /// Requests to other hosts could not be set up.
    #[error(transparent)]
    Outbound(#[from] OutboundSetupError),
    /// The folder for media could not be opened.
    #[error(
        "the folder for media, {folder}, can't be used: {source}; set media.dir, or mend its permissions"
    )]
    MediaFolder {
        /// The folder.
        folder: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database belongs to another server.
    #[error(
        "the database in {folder} belongs to the server {found}, and server_name is {configured}: a server's \
         name can't be changed; set server_name back, or choose another data_dir"
    )]
    OtherServer {
        /// The folder.
        folder: String,
        /// The name it was made with.
        found: OwnedServerName,
        /// The name configured.
        configured: OwnedServerName,
    },
}

/// As [`open_storage`], but never makes a database: for operator commands, where a folder without one is a
/// mistake.
pub fn open_existing_storage(config: &Config) -> Result<Storage, StartError> {
    if !Storage::exists_in(&config.data_dir) {
        return Err(StartError::NoDatabase(config.data_dir.display().to_string()));
    }
    open_storage(config)
}

/// Opens the database that the configuration names, and makes sure that it is this server's.
pub fn open_storage(config: &Config) -> Result<Storage, StartError> {
    let durability = match config.durability {
        config::Durability::PowerLoss => Durability::PowerLoss,
        config::Durability::Process => Durability::Process,
    };
    let memory_bytes = config.memory_budget_bytes();
    let options = StorageOptions { path: config.data_dir.clone(), durability, memory_bytes };
    let storage = Storage::open(&options)?;
    let found = storage.write(|rows| {
        let found = rows.get(&SERVER_NAME, &())?;
        if found.is_none() {
            rows.put(&SERVER_NAME, &(), &config.server_name);
        }
        Ok::<_, StorageError>(found.unwrap_or_else(|| config.server_name.clone()))
    })?;
    if found != config.server_name {
        let folder = config.data_dir.display().to_string();
        return Err(StartError::OtherServer { folder, found, configured: config.server_name.clone() });
    }
    Ok(storage)
}

/// What the services share below them: rooms' readers over one set of caches.
struct RoomReaders {
    index: RoomIndex,
    events: EventStore,
    states: RoomStates,
    visibility: Visibility,
    timelines: Timelines,
}

impl RoomReaders {
    fn new(storage: &Storage, shares: &MemoryShares) -> Self {
        let index = RoomIndex::new(storage.clone());
        let events = EventStore::new(storage.clone(), index.clone(), shares.events);
        let cache_bytes = usize::try_from(shares.state_nodes).unwrap_or(usize::MAX);
        let states = RoomStates::new(storage.clone(), cache_bytes);
        let visibility = Visibility::new(storage.clone(), index.clone(), events.clone(), states.clone());
        let timelines = Timelines::new(storage.clone(), events.clone(), states.clone());
        Self { index, events, states, visibility, timelines }
    }

    fn permissions(&self) -> Permissions {
        Permissions::new(self.index.clone(), self.events.clone(), self.states.clone())
    }

    fn members(&self, storage: &Storage) -> Members {
        Members::new(storage.clone(), self.index.clone(), self.states.clone(), self.timelines.clone())
    }

    fn aliases(
        &self,
        storage: &Storage,
        server_name: &OwnedServerName,
        permissions: &Permissions,
    ) -> Aliases {
        Aliases::new(storage.clone(), self.visibility.clone(), permissions.clone(), server_name.clone())
    }

    fn directory(
        &self,
        storage: &Storage,
        server_name: &OwnedServerName,
        permissions: Permissions,
    ) -> RoomDirectory {
        RoomDirectory::new(
            storage.clone(),
            self.index.clone(),
            self.events.clone(),
            self.states.clone(),
            permissions,
            server_name.clone(),
        )
    }

    fn receipts(&self, storage: &Storage, clock: &Clock) -> Receipts {
        Receipts::new(storage.clone(), self.events.clone(), self.visibility.clone(), clock.clone())
    }
}

/// What a sync tells beside rooms' events.
struct SyncedBeside {
    storage: Storage,
    to_device: ToDevice,
    keys: EncryptionKeys,
    client_events: ClientEvents,
    typing: Typing,
    presence: Presence,
    filters: Filters,
    push_rules: PushRules,
    unread: UnreadCounts,
}

impl RoomReaders {
    /// What syncs read.
    fn sync_sources(&self, beside: SyncedBeside) -> SyncSources {
        SyncSources {
            storage: beside.storage,
            index: self.index.clone(),
            events: self.events.clone(),
            states: self.states.clone(),
            timelines: self.timelines.clone(),
            visibility: self.visibility.clone(),
            to_device: beside.to_device,
            keys: beside.keys,
            client_events: beside.client_events,
            typing: beside.typing,
            presence: beside.presence,
            filters: beside.filters,
            push_rules: beside.push_rules,
            unread: beside.unread,
        }
    }
}

/// The rooms' services that write, over the readers' caches.
struct RoomWriters {
    creator: RoomCreator,
    memberships: Memberships,
    sender: EventSender,
    upgrades: RoomUpgrades,
    resident: Resident,
    received: ReceivedEvents,
    acls: ServerAcls,
}

impl RoomWriters {
    fn new(
        config: &Config,
        storage: &Storage,
        readers: &RoomReaders,
        push_rules: &PushRules,
        clock: &Clock,
    ) -> Result<Self, RoomError> {
        let appender = Appender::new(
            config.server_name.clone(),
            storage.clone(),
            readers.index.clone(),
            readers.events.clone(),
            readers.states.clone(),
            SigningKeys::load_or_generate(storage)?,
            clock.clone(),
        );
        let successions = Successions::new(
            storage.clone(),
            readers.index.clone(),
            readers.events.clone(),
            push_rules.clone(),
        );
        appender.on_join(move |user, room| successions.joined(user, room));
        let profiles = MemberProfiles::stored(storage.clone());
        let memberships = Memberships::new(appender.clone(), profiles.clone());
        let sender = EventSender::new(appender.clone(), memberships.clone());
        let creator = RoomCreator::new(appender.clone(), profiles, config.default_room_version.clone())
            .for_all(config.allow_room_creation);
        let acls = ServerAcls::new(readers.index.clone(), readers.events.clone(), readers.states.clone());
        let servers = RoomServers::new(storage.clone());
        Ok(Self {
            received: ReceivedEvents::new(appender.clone()),
            upgrades: RoomUpgrades::new(appender.clone(), creator.clone(), sender.clone()),
            sender,
            resident: Resident::new(appender.clone(), memberships.clone(), acls.clone(), servers),
            acls,
            memberships,
            creator,
        })
    }
}

/// Puts all services together over an open store.
pub fn build(config: &Config, storage: &Storage, clock: &Clock) -> Result<ApiState, StartError> {
    let federation = FederationServices::new(config, storage, clock)?;
    let server_name = &config.server_name;
    let sessions = Sessions::new(storage.clone(), clock.clone());
    let accounts = accounts(config, storage, &sessions, clock);
    let readers = RoomReaders::new(storage, &MemoryShares::of(config.memory_budget_bytes()));
    let push_rules = PushRules::new(storage.clone());
    let writers = RoomWriters::new(config, storage, &readers, &push_rules, clock)?;
    let (filters, typing) = (Filters::new(storage.clone()), Typing::new(clock.clone()));
    let client_events = ClientEvents::new(storage.clone(), readers.states.clone(), clock.clone());
    let presence = new_presence(config, clock);
    let (to_device, remote_keys) = for_devices(config, storage, &federation, clock);
    let encryption_keys = EncryptionKeys::new(storage.clone(), server_name.clone());
    let unread = unread_counts(storage, &readers, &push_rules);
    let sync_v3 = SyncV3::new(readers.sync_sources(SyncedBeside {
        storage: storage.clone(),
        to_device: to_device.clone(),
        keys: encryption_keys.clone(),
        client_events: client_events.clone(),
        typing: typing.clone(),
        presence: presence.clone(),
        filters: filters.clone(),
        push_rules: push_rules.clone(),
        unread: unread.clone(),
    }));
    let pushers = Pushers::new(storage.clone(), clock.clone());
    let media = media_store(config, storage, clock)?;
    let rate_limiter = Arc::new(RateLimiter::new(&config.rate_limits));
    let incoming_pdus = incoming_pdus(storage, &readers, &writers, &federation, clock)?;
    let (appservice_queries, deliveries) =
        appservices(storage, &readers, &typing, &sessions, (&federation.outbound, clock));
    let remote_rooms = remote_rooms(storage, &writers, &federation);
    let news = news_sources(&typing, &presence, &to_device, &remote_keys);
    let (notifier, outgoing_queues) = tell_news(config, storage, &federation, &news, clock)?;
    Ok(ApiState {
        incoming_transactions: transactions(config, storage, &readers, &incoming_pdus, &news, clock),
        outgoing_queues,
        profiles: Profiles::new(storage.clone(), accounts.clone()),
        admissions: Admissions::new(writers.resident.clone(), federation.server_keys.clone()),
        incoming_invites: IncomingInvites::new(remote_rooms.clone(), writers.acls.clone(), accounts.clone()),
        remote_rooms,
        remote_profiles: RemoteProfiles::new(federation.client.clone(), server_name.clone()),
        remote_spaces: RemoteSpaces::new(federation.client.clone(), server_name.clone()),
        media_finder: media_finder(&media, &federation, &rate_limiter),
        appservice_queries,
        deliveries,
        thumbnails: Thumbnails::new(media.clone()),
        push_delivery: push_delivery(storage, &readers, unread, &pushers, clock, &federation.outbound),
        pushers,
        url_previews: url_previews(config, &media, &federation.outbound),
        media,
        outbound: federation.outbound,
        federation_client: federation.client,
        server_keys: federation.server_keys,
        server_policy: federation.policy,
        openid_tokens: OpenIdTokens::new(storage.clone(), clock.clone()),
        notifier,
        rate_limiter,
        push_rules,
        sliding_sync: SlidingSync::new(sync_v3.clone()),
        to_device,
        encryption_keys,
        remote_keys,
        key_backups: KeyBackups::new(storage.clone()),
        device_lists: sync_v3.device_lists().clone(),
        sync_v3,
        devices: Devices::new(storage.clone(), sessions.last_seen().clone()),
        account_data: AccountData::new(storage.clone()),
        filters,
        login_tokens: LoginTokens::new(clock.clone()),
        uiaa: Uiaa::new(accounts.clone(), registration_policy(config), clock.clone()),
        shared_secret: shared_secret(config, clock)?,
        advertised: advertised(config),
        room_upgrades: writers.upgrades,
        event_times: EventTimes::new(storage.clone()),
        reports: reports(storage, &readers, clock),
        turn_servers: turn_servers(config, clock),
        rtc_foci: RtcFoci(livekit_urls(config)),
        spaces: spaces(storage, &readers),
        relations: Relations::new(storage.clone(), readers.timelines.clone()),
        client_events,
        members: readers.members(storage),
        aliases: readers.aliases(storage, server_name, &readers.permissions()),
        room_directory: readers.directory(storage, server_name, readers.permissions()),
        receipts: readers.receipts(storage, clock),
        typing,
        presence,
        room_creator: writers.creator,
        memberships: writers.memberships,
        event_sender: writers.sender,
        resident: writers.resident,
        incoming_pdus,
        received_events: writers.received,
        room_states: readers.states,
        visibility: readers.visibility,
        timelines: readers.timelines,
        sessions,
        accounts,
        storage: storage.clone(),
    })
}

/// What is said of this server that the operator chooses.
fn advertised(config: &Config) -> Advertised {
    Advertised {
        default_room_version: config.default_room_version.clone(),
        client_base_url: config.well_known.client.as_ref().map(|url| url.as_str().to_owned()),
        livekit_urls: livekit_urls(config),
        server: config.well_known.server.clone(),
    }
}

/// What sends notifications; its task is begun with the others.
fn push_delivery(
    storage: &Storage,
    readers: &RoomReaders,
    unread: UnreadCounts,
    pushers: &Pushers,
    clock: &Clock,
    outbound: &Outbound,
) -> PushDelivery {
    PushDelivery::new(PushSources {
        storage: storage.clone(),
        index: readers.index.clone(),
        events: readers.events.clone(),
        states: readers.states.clone(),
        timelines: readers.timelines.clone(),
        unread,
        pushers: pushers.clone(),
        clock: clock.clone(),
        gateways: outbound.public(),
    })
}

/// What is delivered to application services, and asked of them.
fn appservices(
    storage: &Storage,
    readers: &RoomReaders,
    typing: &Typing,
    sessions: &Sessions,
    outside: (&Outbound, &Clock),
) -> (AppserviceQueries, Deliveries) {
    let rooms = (&readers.events, &readers.states);
    appservice_services::build(storage, rooms, typing, sessions.appservices(), outside)
}

/// Memberships that go through other servers.
fn remote_rooms(storage: &Storage, writers: &RoomWriters, federation: &FederationServices) -> RemoteRooms {
    RemoteRooms::new(
        federation.client.clone(),
        federation.server_keys.clone(),
        writers.received.clone(),
        writers.memberships.clone(),
        RoomServers::new(storage.clone()),
    )
}

/// What is not in a room's history and yet told.
struct NewsSources<'a> {
    typing: &'a Typing,
    presence: &'a Presence,
    to_device: &'a ToDevice,
    remote_keys: &'a RemoteKeys,
}

fn news_sources<'a>(
    typing: &'a Typing,
    presence: &'a Presence,
    to_device: &'a ToDevice,
    remote_keys: &'a RemoteKeys,
) -> NewsSources<'a> {
    NewsSources { typing, presence, to_device, remote_keys }
}

fn new_presence(config: &Config, clock: &Clock) -> Presence {
    match config.presence {
        config::PresenceMode::Off => Presence::off(),
        config::PresenceMode::On | config::PresenceMode::Local => Presence::new(clock.clone()),
    }
}

fn is_presence_federated(config: &Config) -> bool {
    config.presence == config::PresenceMode::On
}

/// Tells waiting clients and other servers who types and who is there.
fn tell_news(
    config: &Config,
    storage: &Storage,
    federation: &FederationServices,
    news: &NewsSources<'_>,
    clock: &Clock,
) -> Result<(Notifier, OutgoingQueues), StorageError> {
    let notifier = start_notifier(storage, news.typing)?;
    let queues = federation.outgoing_queues(storage, clock, news.typing)?;
    let is_federated = is_presence_federated(config);
    let (woken, told) = (notifier.clone(), queues.clone());
    news.presence.on_change(move |change| {
        if !change.is_repeat {
            woken.presence_changed(change.user);
        }
        if is_federated && change.is_own {
            told.presence_changed(&change.shown);
        }
    });
    Ok((notifier, queues))
}

/// Transactions of other servers: events to who takes them, the rest to who it is for.
fn transactions(
    config: &Config,
    storage: &Storage,
    readers: &RoomReaders,
    pdus: &IncomingPdus,
    news: &NewsSources<'_>,
    clock: &Clock,
) -> IncomingTransactions {
    let edus = IncomingEdus::new(IncomingEduSources {
        storage: storage.clone(),
        index: readers.index.clone(),
        acls: ServerAcls::new(readers.index.clone(), readers.events.clone(), readers.states.clone()),
        typing: news.typing.clone(),
        presence: if is_presence_federated(config) { news.presence.clone() } else { Presence::off() },
        to_device: news.to_device.clone(),
        remote_devices: news.remote_keys.devices().clone(),
        clock: clock.clone(),
    });
    IncomingTransactions::new(storage.clone(), pdus.clone(), edus)
}

/// What other servers push, worked off with the help of other servers.
fn incoming_pdus(
    storage: &Storage,
    readers: &RoomReaders,
    writers: &RoomWriters,
    federation: &FederationServices,
    clock: &Clock,
) -> Result<IncomingPdus, StorageError> {
    let others = OtherServers::new(federation.client.clone(), federation.server_keys.clone());
    IncomingPdus::new(
        writers.received.clone(),
        ServerAcls::new(readers.index.clone(), readers.events.clone(), readers.states.clone()),
        RoomServers::new(storage.clone()),
        Arc::new(others),
        clock.clone(),
    )
}

/// Messages for devices, and keys of other servers' users.
fn for_devices(
    config: &Config,
    storage: &Storage,
    federation: &FederationServices,
    clock: &Clock,
) -> (ToDevice, RemoteKeys) {
    let devices = RemoteDevices::new(storage.clone(), config.server_name.clone());
    let to_device = ToDevice::new(storage.clone(), config.server_name.clone(), clock.clone());
    (to_device, RemoteKeys::new(federation.client.clone(), devices))
}

fn unread_counts(storage: &Storage, readers: &RoomReaders, rules: &PushRules) -> UnreadCounts {
    UnreadCounts::new(UnreadSources {
        storage: storage.clone(),
        index: readers.index.clone(),
        events: readers.events.clone(),
        states: readers.states.clone(),
        timelines: readers.timelines.clone(),
        rules: rules.clone(),
    })
}

/// The notifier, told by the store and by who is typing.
fn start_notifier(storage: &Storage, typing: &Typing) -> Result<Notifier, StorageError> {
    let notifier = Notifier::start(storage.clone())?;
    let told = notifier.clone();
    typing.on_change(move |room| told.room_changed(room));
    Ok(notifier)
}

fn registration_policy(config: &Config) -> RegistrationPolicy {
    let token = config.registration_token.as_ref().map(config::RegistrationToken::expose);
    RegistrationPolicy::from_options(config.allow_registration, token, config.allow_open_registration)
}

/// Registration with the shared secret, where the operator has set one.
fn shared_secret(config: &Config, clock: &Clock) -> Result<Option<SharedSecret>, UserError> {
    let secret = config.registration_shared_secret.as_ref();
    secret.map(|secret| SharedSecret::new(secret.expose(), clock.clone())).transpose()
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
    let lifetime = std::time::Duration::from_secs(calls.turn_lifetime_seconds);
    let servers = TurnServers::new(calls.turn_uris.clone(), authentication, lifetime, clock.clone());
    (!calls.turn_uris.is_empty()).then_some(servers)
}

fn livekit_urls(config: &Config) -> Vec<String> {
    config.calls.livekit_urls.iter().map(|url| url.as_str().to_owned()).collect()
}

fn reports(storage: &Storage, readers: &RoomReaders, clock: &Clock) -> Reports {
    let (visibility, timelines) = (readers.visibility.clone(), readers.timelines.clone());
    Reports::new(storage.clone(), readers.index.clone(), visibility, timelines, clock.clone())
}

fn spaces(storage: &Storage, readers: &RoomReaders) -> Spaces {
    let (events, states) = (readers.events.clone(), readers.states.clone());
    Spaces::new(RoomSummaries::new(storage.clone(), readers.index.clone(), events, states))
}

fn accounts(config: &Config, storage: &Storage, sessions: &Sessions, clock: &Clock) -> Accounts {
    let passwords = Passwords::new(usize::try_from(config.password_min_length).unwrap_or(usize::MAX));
    Accounts::new(storage.clone(), sessions.clone(), passwords, config.server_name.clone(), clock.clone())
}
