//! Who is there, of those with whom the user shares a room (client-server API, "Presence").

use std::collections::{BTreeMap, btree_map};

use ruma::{OwnedUserId, presence::PresenceState};
use serde::Serialize;
use serde_json::value::to_raw_value;

use super::{Session, SyncError, response::SyncResponse};
use crate::{
    storage::{Read, ShortUserId},
    users::presence::UserPresence,
};

#[derive(Serialize)]
struct PresenceEvent {
    #[serde(rename = "type")]
    event_type: &'static str,
    sender: OwnedUserId,
    content: Content,
}

#[derive(Serialize)]
struct Content {
    presence: PresenceState,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_msg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_active_ago: Option<u64>,
    currently_active: bool,
}

impl Session<'_> {
    /// Adds whose presence changed since the token, and who of those is there with whom the user began to share a
    /// room; at a client's first sync, who is there. Comes after the device lists, which name the latter.
    pub(super) fn add_presence(&self, response: &mut SyncResponse) -> Result<(), SyncError> {
        let presence = &self.sources.presence;
        if !presence.is_on() || !self.filter().presence.allows_type("m.presence") {
            return Ok(());
        }
        let since = self.since.map_or(0, |since| since.presence);
        let mut seen = BTreeMap::new();
        for (user, shown) in presence.changed_between(since, self.token.presence) {
            let is_news = self.since.is_some() || shown.state != PresenceState::Offline;
            if is_news
                && self.may_show(&shown)
                && self.inner.device_lists.share_a_room(self.viewer().user, user)?
            {
                seen.insert(user, shown);
            }
        }
        self.add_newly_met(response, &mut seen)?;
        let event = |shown| {
            let ago = presence.last_active_ago_ms(&shown);
            to_raw_value(&event(shown, ago))
        };
        let events = seen.into_values().map(event);
        response.presence = events.collect::<Result<Vec<_>, _>>()?.into();
        Ok(())
    }

    fn add_newly_met(
        &self,
        response: &SyncResponse,
        seen: &mut BTreeMap<ShortUserId, UserPresence>,
    ) -> Result<(), SyncError> {
        for user_id in &response.device_lists.changed {
            let Some(user) = self.sources.storage.short_user_id(user_id)? else { continue };
            if let btree_map::Entry::Vacant(place) = seen.entry(user)
                && let Some(shown) = self.sources.presence.of(user)
                && shown.state != PresenceState::Offline
                && self.may_show(&shown)
            {
                place.insert(shown);
            }
        }
        Ok(())
    }

    fn may_show(&self, shown: &UserPresence) -> bool {
        !self.ignored.contains(&shown.user_id) && self.filter().presence.allows_sender(&shown.user_id)
    }
}

fn event(shown: UserPresence, last_active_ago: Option<u64>) -> PresenceEvent {
    let content = Content {
        last_active_ago,
        currently_active: shown.is_currently_active,
        presence: shown.state,
        status_msg: shown.status_msg,
    };
    PresenceEvent { event_type: "m.presence", sender: shown.user_id, content }
}
