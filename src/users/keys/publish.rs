//! Telling other servers what changes of users' devices (server-server API, "Device Management").
//!
//! Each update of a user's devices names the one before it, and is written to the queues of all servers that share a
//! room with the user in the transaction of the change itself: so a server has all of them in order, or finds that
//! one is missing and asks for the whole list.

use std::collections::BTreeSet;

use ruma::{
    DeviceId, OwnedServerName, UInt, UserId,
    api::federation::transactions::edu::{DeviceListUpdateContent, Edu, SigningKeyUpdateContent},
    serde::Raw,
};

use super::{KeyKind, device_list, query};
use crate::{
    storage::{
        Direction, Read, ShortUserId, StorageError, Transaction,
        records::Membership,
        tables::{DEVICE_KEYS, DEVICE_LIST_UPDATES, MEMBERSHIPS, ROOM_SERVERS},
    },
    users::EduOutbox,
};

/// What became of a device.
#[derive(Debug, Clone, Copy)]
pub(in crate::users) enum DeviceChange<'a> {
    /// It has these keys and this name, or got a signature.
    Is {
        /// Its identity keys, if it has any.
        keys: Option<&'a [u8]>,
    },
    /// It was deleted.
    Deleted,
}

/// Marks the change of a local user's device, and tells other servers.
pub(in crate::users) fn device_changed(
    tx: &mut Transaction<'_>,
    user: ShortUserId,
    device_id: &DeviceId,
    change: DeviceChange<'_>,
) -> Result<(), StorageError> {
    let position = device_list::mark_changed(tx, user)?;
    let before = tx.get(&DEVICE_LIST_UPDATES, &user)?;
    tx.put(&DEVICE_LIST_UPDATES, &user, &position);
    let user_id = tx.user_id(user)?;
    let servers = servers_sharing_a_room(tx, user, &user_id)?;
    if servers.is_empty() {
        return Ok(());
    }
    let stream_id = UInt::new_saturating(position.0);
    let mut update = DeviceListUpdateContent::new(user_id.clone(), device_id.to_owned(), stream_id);
    update.prev_id = before.map(|before| UInt::new_saturating(before.0)).into_iter().collect();
    match change {
        DeviceChange::Is { keys } => {
            if let Some(keys) = keys {
                let shown = query::device_for_servers(tx, (user, &user_id), device_id, keys)?;
                update.keys = shown.map(Raw::from_json);
            }
        }
        DeviceChange::Deleted => update.deleted = Some(true),
    }
    let edu = Edu::DeviceListUpdate(update);
    EduOutbox::add(tx, servers.iter().map(|server| &**server), &edu)
}

/// Marks that a local user's device has another name. It is told of devices without identity keys, too: other
/// servers show their names where they list them.
pub(in crate::users) fn device_renamed(
    tx: &mut Transaction<'_>,
    user: ShortUserId,
    device_id: &DeviceId,
) -> Result<(), StorageError> {
    let keys = tx.get(&DEVICE_KEYS, &(user, device_id.to_owned()))?;
    device_changed(tx, user, device_id, DeviceChange::Is { keys: keys.as_deref() })
}

/// Marks the change of a local user's cross-signing keys, and tells other servers.
pub(in crate::users) fn signing_keys_changed(
    tx: &mut Transaction<'_>,
    user: ShortUserId,
) -> Result<(), StorageError> {
    device_list::mark_changed(tx, user)?;
    let user_id = tx.user_id(user)?;
    let servers = servers_sharing_a_room(tx, user, &user_id)?;
    if servers.is_empty() {
        return Ok(());
    }
    let key = |kind| query::cross_signing_for_servers(tx, (user, &user_id), kind);
    let (master, self_signing) = (key(KeyKind::Master)?, key(KeyKind::SelfSigning)?);
    let mut update = SigningKeyUpdateContent::new(user_id);
    update.master_key = master.map(Raw::from_json);
    update.self_signing_key = self_signing.map(Raw::from_json);
    EduOutbox::add(tx, servers.iter().map(|server| &**server), &Edu::SigningKeyUpdate(update))
}

/// Other servers with a member in a room of the user's. Costs the user's rooms and their servers: devices change
/// seldom.
fn servers_sharing_a_room(
    tx: &Transaction<'_>,
    user: ShortUserId,
    user_id: &UserId,
) -> Result<BTreeSet<OwnedServerName>, StorageError> {
    let mut servers = BTreeSet::new();
    for row in tx.scan(&MEMBERSHIPS, &MEMBERSHIPS.prefix(&(user,)), Direction::Forward) {
        let ((_, room), row) = row?;
        if row.membership != Membership::Join {
            continue;
        }
        for server in tx.scan(&ROOM_SERVERS, &ROOM_SERVERS.prefix(&(room,)), Direction::Forward) {
            servers.insert(server?.0.1);
        }
    }
    let names = servers.into_iter().map(|server| tx.server_name(server));
    let names = names.collect::<Result<BTreeSet<_>, _>>()?;
    Ok(names.into_iter().filter(|server| server != user_id.server_name()).collect())
}
