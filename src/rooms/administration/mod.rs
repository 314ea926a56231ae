//! What administrators of this server see of its rooms and do in them, whether they are members or not.
//!
//! Lists walk all rooms of the server: this is for people who look after it, never on the way of a message. The
//! main type is [`RoomAdministration`].

mod media;
mod overview;
mod power;
mod reading;
#[cfg(test)]
mod tests;

pub use self::{
    overview::{RoomDetails, RoomFilter, RoomOverview},
    power::MadeAdmin,
    reading::AdminPage,
};
use super::{Appender, EventStore, Memberships, RoomError, RoomIndex, RoomStates};
use crate::storage::{ShortRoomId, Storage};
use ruma::RoomId;

/// Looks after rooms. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RoomAdministration {
    storage: Storage,
    index: RoomIndex,
    events: EventStore,
    states: RoomStates,
    appender: Appender,
    memberships: Memberships,
}

impl RoomAdministration {
    /// The service.
    pub fn new(appender: Appender, memberships: Memberships) -> Self {
        Self {
            storage: appender.storage().clone(),
            index: appender.index().clone(),
            events: appender.events().clone(),
            states: appender.states().clone(),
            appender,
            memberships,
        }
    }

    /// A room that this server knows.
    pub fn room(&self, room_id: &RoomId) -> Result<ShortRoomId, RoomError> {
        self.index.room(room_id)?.ok_or_else(|| RoomError::RoomNotFound(room_id.to_owned()))
    }
}
