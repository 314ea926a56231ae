//! Auth chains: the events that allow an event, those that allow them, and so on.
//!
//! Only other servers ask for whole chains, and each costs a read of every event in it. Nothing of this server's
//! own work uses them.

use std::collections::HashSet;

use ruma::OwnedEventId;
use serde::Deserialize;

use super::{Resident, ResidentError};
use crate::{
    rooms::limits,
    storage::{Read, ShortEventId, tables::EVENT_JSON},
};

/// The references of an event, in either form: ids, or in room versions 1 and 2 pairs of id and hashes.
#[derive(Deserialize)]
struct References {
    auth_events: Vec<Reference>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Reference {
    Id(OwnedEventId),
    Pair(OwnedEventId, serde::de::IgnoredAny),
}

impl Resident {
    /// The auth chains of these events together, without the events themselves unless one is in another's
    /// chain, oldest known first. At most [`limits::AUTH_CHAIN_EVENTS_MAX`].
    pub(super) fn auth_chain(
        &self,
        of: impl IntoIterator<Item = ShortEventId>,
    ) -> Result<Vec<ShortEventId>, ResidentError> {
        let mut chain = HashSet::new();
        let mut open: Vec<ShortEventId> = Vec::new();
        for event in of {
            self.add_auth_events(event, &mut chain, &mut open)?;
        }
        while let Some(event) = open.pop() {
            if chain.len() >= limits::AUTH_CHAIN_EVENTS_MAX {
                tracing::warn!("an auth chain is cut off at {} events", limits::AUTH_CHAIN_EVENTS_MAX);
                break;
            }
            self.add_auth_events(event, &mut chain, &mut open)?;
        }
        let mut chain: Vec<_> = chain.into_iter().collect();
        chain.sort_unstable();
        Ok(chain)
    }

    /// Adds what an event refers to, as far as it is new.
    fn add_auth_events(
        &self,
        event: ShortEventId,
        chain: &mut HashSet<ShortEventId>,
        open: &mut Vec<ShortEventId>,
    ) -> Result<(), ResidentError> {
        // Read past the cache of parsed events: a long chain would push out what clients look at.
        let Some(json) = self.storage.get(&EVENT_JSON, &event)? else { return Ok(()) };
        let Ok(references) = serde_json::from_slice::<References>(&json) else { return Ok(()) };
        for reference in references.auth_events {
            let (Reference::Id(event_id) | Reference::Pair(event_id, _)) = reference;
            if let Some(short) = self.storage.short_event_id(&event_id)?
                && chain.insert(short)
            {
                open.push(short);
            }
        }
        Ok(())
    }
}
