//! Tells application services who is there, of the users that are theirs or share a room with one of theirs
//! ([MSC2409], "Pushing ephemeral data").
//!
//! Changes are remembered in memory, each user once, and only while somebody wants them.
//!
//! [MSC2409]: https://github.com/matrix-org/matrix-spec-proposals/pull/2409

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{json, value::RawValue};

use super::limits;
use crate::{
    storage::ShortUserId,
    users::{
        Appservices,
        presence::{Presence, UserPresence},
    },
};

/// Whose presence changed since the router looked last. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct PresenceNews {
    presence: Presence,
    changed: Arc<Mutex<BTreeSet<ShortUserId>>>,
}

impl PresenceNews {
    /// Notes changes from now on.
    pub(super) fn new(presence: Presence, appservices: Appservices) -> Self {
        let changed: Arc<Mutex<BTreeSet<ShortUserId>>> = Arc::default();
        let noted = changed.clone();
        presence.on_change(move |change| {
            let is_wanted =
                || appservices.current().all().iter().any(|service| service.registration.wants_ephemeral());
            if !change.is_repeat && is_wanted() {
                let mut users = noted.lock().unwrap_or_else(PoisonError::into_inner);
                if users.len() < limits::PRESENCE_USERS_MAX {
                    users.insert(change.user);
                }
            }
        });
        Self { presence, changed }
    }

    /// Takes who changed, with what is shown of them now.
    pub(super) fn take(&self) -> Vec<(ShortUserId, UserPresence)> {
        let changed = std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner));
        let shown = |user| self.presence.of(user).map(|shown| (user, shown));
        changed.into_iter().filter_map(shown).collect()
    }

    /// The event that tells of a user.
    pub(super) fn event(&self, shown: &UserPresence) -> Result<Box<RawValue>, serde_json::Error> {
        let mut content = json!({
            "presence": shown.state, "currently_active": shown.is_currently_active,
        });
        if let Some(ago) = self.presence.last_active_ago_ms(shown) {
            content["last_active_ago"] = json!(ago);
        }
        if let Some(message) = &shown.status_msg {
            content["status_msg"] = json!(message);
        }
        serde_json::value::to_raw_value(&json!({
            "type": "m.presence", "sender": shown.user_id, "content": content,
        }))
    }
}
