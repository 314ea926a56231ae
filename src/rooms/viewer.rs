//! Who reads: a user, and the device the request came from.

use ruma::{OwnedDeviceId, OwnedUserId};

use crate::storage::{ShortStateKeyId, ShortUserId};

/// The reader of a room. What it may see is decided by [`Visibility`](super::Visibility).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// The user's short id.
    pub user: ShortUserId,
    /// The user.
    pub user_id: OwnedUserId,
    /// The device, for what only the sending device sees; `None` when no device reads (push, search).
    pub device_id: Option<OwnedDeviceId>,
}

impl Viewer {
    /// The state key of the reader's own member event.
    pub fn member_key(&self) -> ShortStateKeyId {
        ShortStateKeyId::member(self.user)
    }
}
