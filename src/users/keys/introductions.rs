//! Telling servers of the devices of a user with whom they begin to share a room (server-server API, "Device
//! Management": an update is due "when that user joins a room which contains servers which are not already receiving
//! updates").
//!
//! Such an update names the newest change that all others know as the one before, and is no change itself: who has an
//! old list from an earlier time asks for a new one, and all others hear nothing and miss nothing. Main type:
//! [`DeviceIntroductions`].

use std::collections::BTreeSet;

use ruma::{
    OwnedServerName, UInt, UserId,
    api::federation::transactions::edu::{DeviceListUpdateContent, Edu},
    serde::Raw,
};

use super::query;
use crate::{
    storage::{
        Direction, Read, ShortRoomId, ShortServerId, ShortUserId, Storage, StorageError, Transaction,
        records::Membership,
        tables::{DEVICE_KEYS, DEVICE_LIST_UPDATES, DEVICES, MEMBERSHIPS, ROOM_SERVERS},
    },
    users::{EduOutbox, limits},
};

/// Introduces users' devices to servers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DeviceIntroductions {
    storage: Storage,
}

impl DeviceIntroductions {
    /// Over `storage`.
    pub fn new(storage: Storage) -> Self {
        Self { storage }
    }

    /// A local user has joined a room: tells those servers in it that shared no room with the user before. In a room
    /// of more than [`limits::SERVERS_INTRODUCED_MAX`] servers none is told; they ask when they need to know.
    pub fn joined(&self, user_id: &UserId, room: ShortRoomId) {
        let outcome = self.storage.write(|tx| {
            let Some(user) = tx.short_user_id(user_id)? else { return Ok(()) };
            let range = ROOM_SERVERS.prefix(&(room,));
            let in_room = tx.scan(&ROOM_SERVERS, &range, Direction::Forward);
            let in_room: BTreeSet<ShortServerId> = in_room
                .take(limits::SERVERS_INTRODUCED_MAX + 1)
                .map(|row| row.map(|((_, server), _)| server))
                .collect::<Result<_, _>>()?;
            if in_room.len() > limits::SERVERS_INTRODUCED_MAX {
                return Ok(());
            }
            let known = servers_of_rooms(tx, user, Some(room))?;
            introduce(tx, user, user_id, in_room.difference(&known).copied())
        });
        if let Err(error) = outcome {
            tracing::error!(%user_id, "servers are not told of a user's devices: {error}");
        }
    }

    /// Tells those of `servers` that share a room with a local user, whether or not they did before: they may have
    /// missed changes.
    pub fn repeat(
        tx: &mut Transaction<'_>,
        user: ShortUserId,
        servers: &BTreeSet<ShortServerId>,
    ) -> Result<(), StorageError> {
        if servers.len() > limits::SERVERS_INTRODUCED_MAX {
            return Ok(());
        }
        let user_id = tx.user_id(user)?;
        let sharing = servers_of_rooms(tx, user, None)?;
        introduce(tx, user, &user_id, servers.intersection(&sharing).copied())
    }
}

/// The servers in the rooms that a user is in, but one. Costs the rooms and their servers.
fn servers_of_rooms(
    tx: &Transaction<'_>,
    user: ShortUserId,
    but: Option<ShortRoomId>,
) -> Result<BTreeSet<ShortServerId>, StorageError> {
    let mut servers = BTreeSet::new();
    for row in tx.scan(&MEMBERSHIPS, &MEMBERSHIPS.prefix(&(user,)), Direction::Forward) {
        let ((_, room), row) = row?;
        if row.membership != Membership::Join || Some(room) == but {
            continue;
        }
        for server in tx.scan(&ROOM_SERVERS, &ROOM_SERVERS.prefix(&(room,)), Direction::Forward) {
            servers.insert(server?.0.1);
        }
    }
    Ok(servers)
}

fn introduce(
    tx: &mut Transaction<'_>,
    user: ShortUserId,
    user_id: &UserId,
    servers: impl Iterator<Item = ShortServerId>,
) -> Result<(), StorageError> {
    let names = servers.map(|server| tx.server_name(server)).collect::<Result<Vec<OwnedServerName>, _>>()?;
    let others: Vec<_> = names.into_iter().filter(|name| name != user_id.server_name()).collect();
    if others.is_empty() {
        return Ok(());
    }
    let mut before = tx.get(&DEVICE_LIST_UPDATES, &user)?;
    let devices: Vec<_> = tx
        .scan(&DEVICES, &DEVICES.prefix(&(user,)), Direction::Forward)
        .take(limits::DEVICES_INTRODUCED_MAX)
        .map(|row| row.map(|((_, device), _)| device))
        .collect::<Result<_, _>>()?;
    for device_id in devices {
        let position = tx.next_position();
        let stream_id = UInt::new_saturating(position.0);
        let mut update = DeviceListUpdateContent::new(user_id.to_owned(), device_id.clone(), stream_id);
        update.prev_id = before.map(|before| UInt::new_saturating(before.0)).into_iter().collect();
        if let Some(keys) = tx.get(&DEVICE_KEYS, &(user, device_id.clone()))? {
            let shown = query::device_for_servers(tx, (user, user_id), &device_id, &keys)?;
            update.keys = shown.map(Raw::from_json);
        }
        EduOutbox::add(tx, others.iter().map(|server| &**server), &Edu::DeviceListUpdate(update))?;
        before = Some(position);
    }
    Ok(())
}
