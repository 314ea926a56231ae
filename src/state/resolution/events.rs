//! Events and parsed power levels that a resolution reads more than once.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ruma::room_version_rules::RoomVersionRules;

use super::{ResolutionError, RoomEvent, RoomView};
use crate::matrix::power_levels::{PowerLevels, RoomCreators};
use crate::state::chain_cover::ChainPosition;
use crate::state::limits::{
    RESOLUTION_EVENT_BYTES_MAX, RESOLUTION_EVENT_OVERHEAD_BYTES, RESOLUTION_POWER_LEVELS_MAX,
};

/// The room's events, each read from the view once as long as they fit the bound.
pub(super) struct Events<'r, V> {
    view: &'r V,
    rules: &'r RoomVersionRules,
    kept: RefCell<Kept>,
}

#[derive(Default)]
struct Kept {
    events: HashMap<u64, RoomEvent>,
    event_bytes: usize,
    /// By event, the one used last at the end.
    power_levels: VecDeque<(u64, Arc<PowerLevels>)>,
    create: Option<(RoomEvent, RoomCreators)>,
}

impl<'r, V: RoomView> Events<'r, V> {
    pub(super) fn new(view: &'r V, rules: &'r RoomVersionRules) -> Self {
        Self { view, rules, kept: RefCell::default() }
    }

    /// The event with this short id, which must be there.
    pub(super) fn get(&self, id: u64) -> Result<RoomEvent, ResolutionError<V::Error>> {
        if let Some(event) = self.kept.borrow().events.get(&id) {
            return Ok(event.clone());
        }
        let event =
            self.view.event(id).map_err(ResolutionError::View)?.ok_or(ResolutionError::MissingEvent(id))?;
        let kept = &mut *self.kept.borrow_mut();
        kept.event_bytes += event.event.json().len() + RESOLUTION_EVENT_OVERHEAD_BYTES;
        if kept.event_bytes > RESOLUTION_EVENT_BYTES_MAX {
            kept.events.clear();
            kept.event_bytes = event.event.json().len() + RESOLUTION_EVENT_OVERHEAD_BYTES;
        }
        kept.events.insert(id, event.clone());
        Ok(event)
    }

    /// The content of the power levels event with this short id.
    pub(super) fn power_levels(&self, id: u64) -> Result<Arc<PowerLevels>, ResolutionError<V::Error>> {
        let event = self.get(id)?.event;
        let kept = &mut *self.kept.borrow_mut();
        let at = kept.power_levels.iter().position(|(known, _)| *known == id);
        let entry = at.and_then(|at| kept.power_levels.remove(at)).unwrap_or_else(|| {
            let levels = PowerLevels::parse(event.content_json(), &self.rules.authorization);
            (id, Arc::new(levels))
        });
        if kept.power_levels.len() >= RESOLUTION_POWER_LEVELS_MAX {
            kept.power_levels.pop_front();
        }
        let levels = Arc::clone(&entry.1);
        kept.power_levels.push_back(entry);
        Ok(levels)
    }

    /// The room's create event and its creators; `None` if the room has none.
    pub(super) fn create(&self) -> Result<Option<(RoomEvent, RoomCreators)>, ResolutionError<V::Error>> {
        if let Some(create) = &self.kept.borrow().create {
            return Ok(Some(create.clone()));
        }
        let Some(id) = self.view.create_event().map_err(ResolutionError::View)? else { return Ok(None) };
        let event = self.get(id)?;
        let creators = RoomCreators::of(&event.event, &self.rules.authorization);
        let create = (event, creators);
        self.kept.borrow_mut().create = Some(create.clone());
        Ok(Some(create))
    }

    /// The short id and event among the auth events of `event` that is of this type and state key. The last
    /// one if there are several, which rule 3.1 refuses.
    pub(super) fn auth_event(
        &self,
        event: &RoomEvent,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<(u64, RoomEvent)>, ResolutionError<V::Error>> {
        for id in event.auth_events.iter().rev() {
            let auth_event = self.get(*id)?;
            if auth_event.event.is_state_of(event_type, state_key) {
                return Ok(Some((*id, auth_event)));
            }
        }
        Ok(None)
    }

    /// The place of an event in the chain-cover index, where it must be.
    pub(super) fn position(&self, id: u64) -> Result<ChainPosition, ResolutionError<V::Error>> {
        let position = self.view.position(id).map_err(ResolutionError::View)?;
        position.ok_or(ResolutionError::NotInChainCover(id))
    }
}
