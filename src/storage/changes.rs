//! What a transaction tells those who wait for news.

use std::hash::{DefaultHasher, Hash, Hasher};

use ruma::DeviceId;

use super::{ShortRoomId, ShortServerId, ShortUserId, StreamPosition};

/// One change that a client may be waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The position handed out for it.
    pub position: StreamPosition,
    /// Who may see it.
    pub scope: ChangeScope,
}

/// Whom a change concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeScope {
    /// Everyone who may see the room (events, receipts, typing).
    Room(ShortRoomId),
    /// One user's devices (account data, invites, a membership of their own).
    User(ShortUserId),
    /// One device of a user (to-device messages).
    Device(ShortUserId, DeviceTag),
    /// Everyone who shares a room with the user, and the user's own devices: the user's device list or
    /// cross-signing keys have changed.
    DeviceListOf(ShortUserId),
    /// The queues to other servers: the outbox has a new event.
    Outbox,
    /// The queue to a server: an EDU waits for it.
    OutgoingEdu(ShortServerId),
    /// The queues to other servers: a user of this server has moved a public receipt in the room, which is the one
    /// at the change's position.
    OwnReceipt(ShortRoomId),
    /// Who asks other servers for profiles: what the directory knows of one of their users may be out of date.
    StaleProfile(ShortUserId),
}

/// Stands for a device id where a change has to be small: two ids with one tag are woken together, which costs
/// a look in vain. Valid within one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceTag(u64);

impl DeviceTag {
    /// The tag of a device id.
    pub fn of(device_id: &DeviceId) -> Self {
        let mut hasher = DefaultHasher::new();
        device_id.as_str().hash(&mut hasher);
        Self(hasher.finish())
    }
}
