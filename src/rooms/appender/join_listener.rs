//! Who is told when a user of this server has joined a room: services above the rooms have things to do then.

use std::sync::{Arc, PoisonError, RwLock};

use ruma::UserId;

use super::{Appended, Inner};
use crate::{
    rooms::{RoomError, visibility::membership_of},
    state::tree::StateRoot,
    storage::{ShortRoomId, records::Membership},
};

type Listener = Arc<dyn Fn(&UserId, ShortRoomId) + Send + Sync>;

/// The listeners, in the order in which they came.
#[derive(Default)]
pub(super) struct JoinListeners(RwLock<Vec<Listener>>);

impl std::fmt::Debug for JoinListeners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("JoinListeners").field(&self.all().len()).finish()
    }
}

impl JoinListeners {
    pub(super) fn add(&self, listener: impl Fn(&UserId, ShortRoomId) + Send + Sync + 'static) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(listener));
    }

    fn all(&self) -> Vec<Listener> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Inner {
    /// Tells the listeners of those events that were a local user's joining; a member who only changes their
    /// name has not joined. What happened is written: what can't be read is logged, not told.
    pub(super) fn tell_joins(&self, appended: &[Appended]) {
        let listeners = self.joined.all();
        for event in appended {
            match self.joining(event) {
                Ok(Some((user, room))) => listeners.iter().for_each(|listener| listener(user, room)),
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
