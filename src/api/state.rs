//! The services that handlers can ask for. A handler names the ones it uses (`State<Accounts>`), and no more.

use std::sync::Arc;

use axum::extract::FromRef;

use super::{
    client::{discovery::Advertised, voip::RtcFoci},
    serve_media::MediaFinder,
};
use crate::{
    appservices::{AppserviceQueries, Deliveries},
    federation::{
        FederationClient, IncomingPdus, IncomingTransactions, OutgoingQueues, ProfileRefresh, RemoteKeys,
        RemoteProfiles, RemoteRooms, RemoteSpaces, ServerKeys, ServerPolicy,
        joins::{Admissions, IncomingInvites},
    },
    media::{MediaStore, Thumbnails, UrlPreviews},
    net::{RateLimiter, outbound::Outbound},
    push::{Notifications, PushDelivery, PushRules, Pushers},
    rooms::{
        Aliases, ClientEvents, DelayedEvents, EventSender, EventTimes, Members, Memberships, Receipts,
        ReceivedEvents, Relations, Reports, Resident, RoomAdministration, RoomBlocks, RoomCreator,
        RoomDeletions, RoomDirectory, RoomStates, RoomUpgrades, ServerNotices, Spaces, ThreadSubscriptions,
        Timelines, Typing, UserDirectory, Visibility,
        search::{EventSearch, SearchBacklog},
    },
    storage::Storage,
    sync::{AccountLooks, DeviceLists, Notifier, sliding::SlidingSync, v3::SyncV3},
    users::{
        AccountData, Accounts, DehydratedDevices, Devices, EncryptionKeys, Filters, KeyBackups, LoginSecret,
        LoginTokens, OpenIdTokens, Presence, Profiles, Rendezvous, Sessions, SharedSecret, ToDevice,
        TurnServers, Uiaa,
    },
};

macro_rules! api_state {
    ($($(#[doc = $group_doc:literal])+ $group:ident: $name:ident {
        $($(#[doc = $doc:literal])+ $field:ident: $service:ty,)*
    })*) => {
        /// Every service, each cheap to clone, by subject.
        #[derive(Clone, Debug)]
        pub struct ApiState {
            $($(#[doc = $group_doc])+ pub $group: $name,)*
        }

        $(
            $(#[doc = $group_doc])+
            #[derive(Clone, Debug)]
            pub struct $name {
                $($(#[doc = $doc])+ pub $field: $service,)*
            }

            $(impl FromRef<ApiState> for $service {
                fn from_ref(state: &ApiState) -> Self {
                    state.$group.$field.clone()
                }
            })*
        )*
    };
}

api_state! {
    /// What all subjects stand on.
    shared: SharedServices {
        /// The store, for the durability middleware.
        storage: Storage,
        /// How often a client may do what costs or annoys others.
        rate_limiter: Arc<RateLimiter>,
        /// Requests to other hosts.
        outbound: Outbound,
        /// What is said of this server that the operator chooses.
        advertised: Advertised,
    }
    /// Accounts, and what belongs to one user.
    users: UserServices {
        /// Access tokens and what they stand for.
        sessions: Sessions,
        /// Accounts.
        accounts: Accounts,
        /// Devices.
        devices: Devices,
        /// Dehydrated devices.
        dehydrated_devices: DehydratedDevices,
        /// Where two devices meet that do not know each other yet.
        rendezvous: Rendezvous,
        /// Profiles.
        profiles: Profiles,
        /// Account data and tags.
        account_data: AccountData,
        /// Stored filters.
        filters: Filters,
        /// Tokens for `m.login.token`.
        login_tokens: LoginTokens,
        /// Tokens that tell other services who a user is.
        openid_tokens: OpenIdTokens,
        /// User-interactive authentication.
        uiaa: Uiaa,
        /// Registration with the shared secret, if the operator has set one.
        shared_secret: Option<SharedSecret>,
        /// Logging users in for programs that know a secret.
        login_secret: LoginSecret,
        /// Who is there.
        presence: Presence,
        /// Messages for devices.
        to_device: ToDevice,
        /// Keys for end-to-end encryption.
        encryption_keys: EncryptionKeys,
        /// Key backups.
        key_backups: KeyBackups,
        /// TURN servers, if the operator has set some.
        turn_servers: Option<TurnServers>,
        /// Where group calls meet.
        rtc_foci: RtcFoci,
    }
    /// Rooms: their history, state and members.
    rooms: RoomServices {
        /// Looking after rooms.
        room_administration: RoomAdministration,
        /// Rooms that nobody may join.
        room_blocks: RoomBlocks,
        /// Deleting rooms.
        room_deletions: RoomDeletions,
        /// Notices to users.
        server_notices: ServerNotices,
        /// Making rooms.
        room_creator: RoomCreator,
        /// Who is in a room: changes.
        memberships: Memberships,
        /// Sending events.
        event_sender: EventSender,
        /// Sending events later.
        delayed_events: DelayedEvents,
        /// What other servers may see and do.
        resident: Resident,
        /// Taking in events of other servers.
        received_events: ReceivedEvents,
        /// Rooms' states.
        room_states: RoomStates,
        /// Who may see what of a room.
        visibility: Visibility,
        /// Rooms' histories.
        timelines: Timelines,
        /// What relates to events, and threads.
        relations: Relations,
        /// Replacing rooms.
        room_upgrades: RoomUpgrades,
        /// Events by their time.
        event_times: EventTimes,
        /// What users report.
        reports: Reports,
        /// Spaces, and summaries of rooms.
        spaces: Spaces,
        /// Searching for events.
        event_search: EventSearch,
        /// Adds to the index for it what is older.
        search_backlog: SearchBacklog,
        /// Which threads users follow.
        thread_subscriptions: ThreadSubscriptions,
        /// Who finds whom by name.
        user_directory: UserDirectory,
        /// Events as clients get them.
        client_events: ClientEvents,
        /// Who is in a room.
        members: Members,
        /// Names of rooms.
        aliases: Aliases,
        /// The published rooms.
        room_directory: RoomDirectory,
        /// How far users have read.
        receipts: Receipts,
        /// Who is typing.
        typing: Typing,
    }
    /// Telling clients what is new.
    sync: SyncServices {
        /// Whose devices changed for whom.
        device_lists: DeviceLists,
        /// Sync v3.
        sync_v3: SyncV3,
        /// Simplified sliding sync.
        sliding_sync: SlidingSync,
        /// Wakes waiting syncs.
        notifier: Notifier,
        /// How many looks an account has under way.
        account_looks: AccountLooks,
    }
    /// Notifications.
    push: PushServices {
        /// Push rules.
        push_rules: PushRules,
        /// Where notifications go.
        pushers: Pushers,
        /// What users have been notified of.
        notifications: Notifications,
        /// Sends notifications.
        push_delivery: PushDelivery,
    }
    /// Files that users share.
    media: MediaServices {
        /// Files that users share.
        media: MediaStore,
        /// Small forms of images.
        thumbnails: Thumbnails,
        /// Previews of links.
        url_previews: UrlPreviews,
        /// Finds media for requests and serves it.
        media_finder: MediaFinder,
    }
    /// Other servers.
    federation: FederationServices {
        /// Asking other servers.
        federation_client: FederationClient,
        /// Verifying what comes from other servers.
        server_keys: ServerKeys,
        /// Which servers the operator allows.
        server_policy: ServerPolicy,
        /// Transactions of other servers.
        incoming_transactions: IncomingTransactions,
        /// What is sent to other servers.
        outgoing_queues: OutgoingQueues,
        /// What other servers push.
        incoming_pdus: IncomingPdus,
        /// Invites from other servers.
        incoming_invites: IncomingInvites,
        /// Memberships of other servers' users in rooms here.
        admissions: Admissions,
        /// Memberships of this server's users that go through other servers.
        remote_rooms: RemoteRooms,
        /// Rooms that this server is not in.
        remote_spaces: RemoteSpaces,
        /// Profiles of other servers' users.
        remote_profiles: RemoteProfiles,
        /// Keeps the user directory's copies of them up to date.
        profile_refresh: ProfileRefresh,
        /// Keys of other servers' users.
        remote_keys: RemoteKeys,
    }
    /// Application services.
    appservices: AppserviceServices {
        /// What application services are asked.
        appservice_queries: AppserviceQueries,
        /// What application services are sent.
        deliveries: Deliveries,
    }
}
