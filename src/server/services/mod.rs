//! Opens the store and puts the services together, each with just what it uses: one file a subject, as
//! [`ApiState`] groups them, over the [`Foundation`] and the readers of rooms. [`build`] is the order.

mod appservices;
mod federation;
mod media;
mod push;
mod readers;
mod rooms;
mod sync;
mod users;

use std::sync::Arc;

use ruma::OwnedServerName;

use self::readers::RoomReaders;
use crate::{
    api::{
        ApiState, SharedServices,
        client::discovery::{Advertised, Support},
    },
    config::{self, Config},
    net::{RateLimiter, outbound::OutboundSetupError},
    rooms::RoomError,
    storage::{Durability, MemoryShares, Read, Storage, StorageError, StorageOptions, tables::SERVER_NAME},
    users::{Clock, UserError},
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

/// What everything stands on.
#[derive(Clone, Copy)]
struct Foundation<'a> {
    config: &'a Config,
    storage: &'a Storage,
    clock: &'a Clock,
}

impl Foundation<'_> {
    /// The store, to keep.
    fn storage(&self) -> Storage {
        self.storage.clone()
    }

    /// The clock, to keep.
    fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// This server's name, to keep.
    fn server_name(&self) -> OwnedServerName {
        self.config.server_name.clone()
    }
}

/// Puts all services together over an open store.
pub fn build(config: &Config, storage: &Storage, clock: &Clock) -> Result<ApiState, StartError> {
    let on = Foundation { config, storage, clock };
    let outside = federation::outside(on)?;
    let readers = RoomReaders::new(storage, &MemoryShares::of(config.memory_budget_bytes()));
    let users = users::build(on)?;
    let rules = push::rules(on);
    let (rooms, acls) = rooms::build(on, &readers, &rules, &users.accounts)?;
    let unread = push::unread_counts(on, &readers, &rules);
    let sync = sync::build(on, &readers, (&users, &rooms, &rules, &unread))?;
    let shared = SharedServices {
        storage: on.storage(),
        rate_limiter: Arc::new(RateLimiter::new(&config.rate_limits)),
        outbound: outside.outbound.clone(),
        advertised: advertised(config),
    };
    let federation = federation::build(on, &readers, outside.clone(), (&users, &rooms, &acls))?;
    federation::tell_presence(config, &users.presence, &sync.notifier, &federation.outgoing_queues);
    Ok(ApiState {
        push: push::build(on, &readers, (rules, unread), &shared.outbound),
        media: media::build(on, &outside, &shared.rate_limiter)?,
        appservices: appservices::build(on, &readers, (&users, &rooms.typing), &shared.outbound),
        shared,
        users,
        rooms,
        sync,
        federation,
    })
}

/// What is said of this server that the operator chooses.
fn advertised(config: &Config) -> Advertised {
    Advertised {
        thread_subscriptions: config.thread_subscriptions,
        default_room_version: config.default_room_version.clone(),
        client_base_url: config.well_known.client.as_ref().map(|url| url.as_str().to_owned()),
        livekit_urls: users::livekit_urls(config),
        support: Support {
            page: config.well_known.support_page.as_ref().map(|url| url.as_str().to_owned()),
            email: config.well_known.support_email.clone(),
            user: config.well_known.support_user.clone(),
        },
        server: config.well_known.server.clone(),
        event_delay_ms_max: config.event_delay_seconds_max.saturating_mul(1_000),
    }
}
