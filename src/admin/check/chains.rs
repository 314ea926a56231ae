//! The chain-cover index: every state event has its place, and the rows there say what the event says.

use super::{Checker, Report};
use crate::{
    matrix::event::Event,
    rooms::{
        RoomError,
        resolution::{StoredChains, is_citable},
    },
    state::chain_cover::{NewEvent, verify},
    storage::{
        Direction, Read, ShortEventId,
        records::{ChainPlaceRow, EventStatus},
        tables::{CHAIN_BACKLINKS, CHAIN_ENTRIES, CHAIN_PLACES, EVENT_META, FORKED_STATES, TIMELINE},
    },
};

impl Checker<'_> {
    /// Verifies the index event by event, and that no row is left without its event.
    pub(super) fn check_chains(&self, report: &mut Report) -> Result<(), RoomError> {
        for row in self.storage.scan(&EVENT_META, &EVENT_META.all(), Direction::Forward) {
            let (short, meta) = row?;
            if matches!(meta.status, EventStatus::Unauthorised | EventStatus::OutOfBand) {
                continue;
            }
            // What can't be read has been reported.
            let Ok(Some(event)) = self.events.event(short, &meta) else { continue };
            if event.is_state() {
                self.check_place(short, &event, report)?;
            }
        }
        for row in self.storage.scan(&CHAIN_ENTRIES, &CHAIN_ENTRIES.all(), Direction::Forward) {
            let ((chain, sequence), entry) = row?;
            let known = self.storage.get(&CHAIN_PLACES, &entry.event)?;
            report.expect(known == Some(ChainPlaceRow { chain, sequence }), || {
                format!(
                    "event {}: the chain-cover index has it at {chain}/{sequence} and {known:?}",
                    self.name_event(entry.event)
                )
            });
            for link in entry.links {
                let back = self.storage.contains(&CHAIN_BACKLINKS, &(link.chain, link.sequence, chain))?;
                report.expect(back, || {
                    format!("a link of chain {chain} to {}/{} has no backlink", link.chain, link.sequence)
                });
            }
        }
        for row in self.storage.scan(&FORKED_STATES, &FORKED_STATES.all(), Direction::Forward) {
            let (place, _) = row?;
            let known = self.storage.contains(&TIMELINE, &place)?;
            report.expect(known, || format!("a forked state is kept at {place:?}, where there is no event"));
        }
        Ok(())
    }

    fn check_place(&self, short: ShortEventId, event: &Event, report: &mut Report) -> Result<(), RoomError> {
        let Some(state_key) = event.state_key() else { return Ok(()) };
        let key = self.storage.short_state_key_id(event.event_type(), state_key)?;
        let Some(key) = key else {
            report.problem(format!("event {}: its state key has no short id", event.event_id()));
            return Ok(());
        };
        let mut auth_events = Vec::with_capacity(event.auth_events().len());
        for auth_event in event.auth_events() {
            let Some(short) = self.storage.short_event_id(auth_event)? else {
                report.problem(format!("event {}: {auth_event} has no short id", event.event_id()));
                return Ok(());
            };
            auth_events.push(short.0);
        }
        let citable = is_citable(event.event_type());
        let placed = NewEvent { event: short.0, state_key: key.0, citable, auth_events: &auth_events };
        if let Some(defect) = verify(&StoredChains(self.storage), placed)? {
            report.problem(format!("event {}: {defect}", event.event_id()));
        }
        Ok(())
    }
}
