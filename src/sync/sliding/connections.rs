//! The connections of all devices, in bounded memory.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ruma::{DeviceId, OwnedDeviceId};

use super::{byte_lru::ByteLru, connection::Connection};
use crate::{
    rooms::Viewer,
    storage::ShortUserId,
    sync::{SyncError, limits},
    users::random_bytes,
};

/// A connection's owner and its name.
type Key = (ShortUserId, OwnedDeviceId, String);

/// The connections by device and `conn_id`. A `pos` is looked for among those of the device that sends it, so it
/// is of no use to any other.
pub(super) struct Connections {
    by_key: Mutex<ByteLru<Key, Arc<Mutex<Connection>>>>,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (connections, bytes) = self.lock().size();
        f.debug_struct("Connections").field("connections", &connections).field("bytes", &bytes).finish()
    }
}

impl Connections {
    /// None yet; they take this many bytes at most.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { by_key: Mutex::new(ByteLru::new(bytes_max)) }
    }

    /// A new connection in the place of the one with this name. Of a device's connections only the
    /// [`limits::CONNECTIONS_PER_DEVICE_MAX`] used last stay.
    pub(super) fn start(
        &self,
        viewer: &Viewer,
        conn_id: Option<&str>,
    ) -> Result<Arc<Mutex<Connection>>, SyncError> {
        let id = u64::from_le_bytes(random_bytes().map_err(|_| SyncError::NoRandomness)?);
        let connection = Arc::new(Mutex::new(Connection::new(id)));
        let key = key(viewer, conn_id);
        let mut by_key = self.lock();
        by_key.insert(key.clone(), connection.clone(), limits::CONNECTION_BYTES);
        let first = (key.0, key.1.clone(), String::new());
        let of_device = by_key.keys_from(&first, |other| (other.0, &other.1) == (key.0, &key.1));
        let too_many = of_device.len().saturating_sub(limits::CONNECTIONS_PER_DEVICE_MAX);
        of_device.iter().take(too_many).for_each(|oldest| by_key.remove(oldest));
        Ok(connection)
    }

    /// The connection with this name, if it was not forgotten.
    pub(super) fn get(&self, viewer: &Viewer, conn_id: Option<&str>) -> Option<Arc<Mutex<Connection>>> {
        self.lock().get(&key(viewer, conn_id))
    }

    /// Says how large a connection is now.
    pub(super) fn used(&self, viewer: &Viewer, conn_id: Option<&str>, bytes: usize) {
        self.lock().weigh(&key(viewer, conn_id), bytes);
    }

    fn lock(&self) -> MutexGuard<'_, ByteLru<Key, Arc<Mutex<Connection>>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(viewer: &Viewer, conn_id: Option<&str>) -> Key {
    let device = viewer.device_id.clone().unwrap_or_else(|| <&DeviceId>::from("").to_owned());
    (viewer.user, device, conn_id.unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::user_id;

    fn viewer(device: &str) -> Viewer {
        Viewer { user: ShortUserId(1), user_id: user_id!("@a:x").to_owned(), device_id: Some(device.into()) }
    }

    #[test]
    fn a_device_has_a_bounded_number_of_connections() {
        let connections = Connections::new(1 << 20);
        connections.start(&viewer("B"), Some("0")).unwrap();
        for number in 0..=limits::CONNECTIONS_PER_DEVICE_MAX {
            connections.start(&viewer("A"), Some(&number.to_string())).unwrap();
        }
        assert!(connections.get(&viewer("A"), Some("0")).is_none(), "the oldest went");
        assert!(connections.get(&viewer("A"), Some("1")).is_some());
        assert!(connections.get(&viewer("B"), Some("0")).is_some(), "another device's stays");
    }

    #[test]
    fn a_new_start_takes_the_place_of_the_old_connection() {
        let connections = Connections::new(1 << 20);
        let first = connections.start(&viewer("A"), None).unwrap();
        let second = connections.start(&viewer("A"), None).unwrap();
        let found = connections.get(&viewer("A"), None).unwrap();
        assert!(Arc::ptr_eq(&second, &found) && !Arc::ptr_eq(&first, &found));
    }
}
