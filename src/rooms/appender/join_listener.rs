//! Who is told when a user of this server has joined a room: services above the rooms have things to do then.

use std::sync::OnceLock;

use ruma::UserId;

use super::{Appended, Inner};
use crate::{
    rooms::{RoomError, visibility::membership_of},
    state::tree::StateRoot,
    storage::{ShortRoomId, records::Membership},
};

type Listener = Box<dyn Fn(&UserId, ShortRoomId) + Send + Sync>;

/// The listener, once there is one.
#[derive(Default)]
pub(super) struct JoinListener(OnceLock<Listener>);

impl std::fmt::Debug for JoinListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("JoinListener").field(&self.0.get().is_some()).finish()
    }
}

impl JoinListener {
    pub(super) fn set(&self, listener: impl Fn(&UserId, ShortRoomId) + Send + Sync + 'static) {
        if self.0.set(Box::new(listener)).is_err() {
            tracing::error!("there is a listener for joins already");
        }
    }
}

impl Inner {
    /// Tells the listener of those events that were a local user's joining; a member who only changes their
    /// name has not joined. What happened is written: what can't be read is logged, not told.
    pub(super) fn tell_joins(&self, appended: &[Appended]) {
        let Some(listener) = self.joined.0.get() else { return };
        for event in appended {
            match self.joining(event) {
                Ok(Some((user, room))) => listener(user, room),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(event_id = %event.event.event_id(), "a join is not told: {error}");
                }
            }
        }
    }

    fn joining<'e>(&self, appended: &'e Appended) -> Result<Option<(&'e UserId, ShortRoomId)>, RoomError> {
        let event = &appended.event;
        if event.event_type() != "m.room.member"
            || event.sender().server_name() != self.server_name
            || event.state_key() != Some(event.sender().as_str())
            || membership_of(event) != Some(Membership::Join)
        {
            return Ok(None);
        }
        let Some(meta) = self.events.meta(appended.short)? else { return Ok(None) };
        let before = StateRoot::from_bytes(meta.state_before);
        let before = if before == StateRoot::EMPTY {
            None
        } else {
            self.states.get(before, "m.room.member", event.sender().as_str())?
        };
        let before = before.map(|before| self.events.get(before)).transpose()?.flatten();
        let was_in = before.is_some_and(|before| membership_of(&before.event) == Some(Membership::Join));
        Ok((!was_in).then(|| (event.sender(), meta.room)))
    }
}
