//! The rows of the chain-cover index.

use super::short_ids;
use crate::{
    matrix::event::Event,
    rooms::RoomError,
    state::chain_cover::{AppendError, Appended, ChainPosition, ChainSource, NewEvent, Occupant, append},
    storage::{
        Direction, Read, ShortEventId, ShortStateKeyId, StorageError, Transaction,
        tables::{CHAIN_BACKLINKS, CHAIN_EVENTS, CHAIN_LINKS, CHAIN_POSITIONS},
    },
};

/// The index as any reader sees it.
#[derive(Debug, Clone, Copy)]
pub struct StoredChains<'r, R>(pub &'r R);

impl<R: Read> StoredChains<'_, R> {
    /// The greatest target in `chain` of the links from `from.chain` up to `from.sequence`, of which the last
    /// one leads to `last`. Origins rise with targets, so halving by seeks finds it.
    fn greatest_target(
        &self,
        from: ChainPosition,
        chain: u64,
        last: u64,
    ) -> Result<Option<u64>, StorageError> {
        let (mut found, mut low, mut high) = (None, 0, last);
        while low < high {
            let middle = low + (high - low) / 2;
            let range = CHAIN_LINKS.prefix_from(&(from.chain, chain), &(from.chain, chain, middle));
            let row = self.0.scan(&CHAIN_LINKS, &range, Direction::Forward).next().transpose()?;
            match row {
                Some(((.., target), origin)) if origin <= from.sequence => {
                    found = Some(target);
                    low = target.saturating_add(1);
                }
                _ => high = middle,
            }
        }
        Ok(found)
    }
}

impl<R: Read> ChainSource for StoredChains<'_, R> {
    type Error = StorageError;

    fn position(&self, event: u64) -> Result<Option<ChainPosition>, StorageError> {
        let place = self.0.get(&CHAIN_POSITIONS, &ShortEventId(event))?;
        Ok(place.map(|(chain, sequence)| ChainPosition { chain, sequence }))
    }

    fn event_at(&self, position: ChainPosition) -> Result<Option<Occupant>, StorageError> {
        let occupant = self.0.get(&CHAIN_EVENTS, &(position.chain, position.sequence))?;
        Ok(occupant.map(|(event, state_key)| Occupant { event: event.0, state_key: state_key.0 }))
    }

    fn last_sequence(&self, chain: u64) -> Result<u64, StorageError> {
        let range = CHAIN_EVENTS.prefix(&(chain,));
        let last = self.0.scan(&CHAIN_EVENTS, &range, Direction::Backward).next().transpose()?;
        Ok(last.map_or(0, |((_, sequence), _)| sequence))
    }

    fn links(&self, from: ChainPosition) -> Result<Vec<ChainPosition>, StorageError> {
        let mut targets = Vec::new();
        let mut next = Some(0);
        // From one target chain to the next.
        while let Some(chain) = next {
            let range = CHAIN_LINKS.prefix_from(&(from.chain,), &(from.chain, chain, 0));
            let first = self.0.scan(&CHAIN_LINKS, &range, Direction::Forward).next().transpose()?;
            let Some(((_, chain, first), first_origin)) = first else { break };
            next = chain.checked_add(1);
            if first_origin > from.sequence {
                continue;
            }
            let range = CHAIN_LINKS.prefix(&(from.chain, chain));
            let last = self.0.scan(&CHAIN_LINKS, &range, Direction::Backward).next().transpose()?;
            let sequence = match last {
                Some(((.., last), origin)) if origin <= from.sequence => last,
                Some(((.., last), _)) => self.greatest_target(from, chain, last)?.unwrap_or(first),
                None => first,
            };
            targets.push(ChainPosition { chain, sequence });
        }
        Ok(targets)
    }

    fn first_link(&self, chain: u64, target: ChainPosition) -> Result<Option<u64>, StorageError> {
        let key = (chain, target.chain, target.sequence);
        let range = CHAIN_LINKS.prefix_from(&(chain, target.chain), &key);
        let first = self.0.scan(&CHAIN_LINKS, &range, Direction::Forward).next().transpose()?;
        Ok(first.map(|(_, origin)| origin))
    }

    fn backlinks(&self, target: ChainPosition, limit: usize) -> Result<Vec<ChainPosition>, StorageError> {
        let key = (target.chain, target.sequence, 0, 0);
        let range = CHAIN_BACKLINKS.prefix_from(&(target.chain,), &key);
        let rows = self.0.scan(&CHAIN_BACKLINKS, &range, Direction::Forward).take(limit);
        rows.map(|row| row.map(|((.., chain, sequence), ())| ChainPosition { chain, sequence })).collect()
    }
}

/// Whether events of a type are among those that the selection of auth events names, so that others may cite
/// them (server-server API, "Auth events selection").
pub fn is_citable(event_type: &str) -> bool {
    matches!(
        event_type,
        "m.room.create"
            | "m.room.power_levels"
            | "m.room.member"
            | "m.room.join_rules"
            | "m.room.third_party_invite"
    )
}

/// Gives a state event its place, in the transaction that writes the event. Its auth events must have theirs.
/// An event that has a place already keeps it.
pub fn index_event(
    rows: &mut Transaction<'_>,
    short: ShortEventId,
    key: ShortStateKeyId,
    event: &Event,
) -> Result<(), RoomError> {
    let auth_events = short_ids(rows, event.auth_events())?;
    let new = NewEvent {
        event: short.0,
        state_key: key.0,
        citable: is_citable(event.event_type()),
        auth_events: &auth_events,
    };
    let appended = match append(&StoredChains(&*rows), new) {
        Ok(appended) => appended,
        Err(AppendError::AlreadyAppended(_)) => return Ok(()),
        Err(AppendError::Source(error)) => return Err(error.into()),
        Err(AppendError::MissingAuthEvent(auth_event)) => {
            return Err(RoomError::NotInChainCover(ShortEventId(auth_event)));
        }
    };
    put_rows(rows, &appended);
    Ok(())
}

/// Writes the rows of an event that has got its place.
pub(super) fn put_rows(rows: &mut Transaction<'_>, appended: &Appended) {
    let Appended { occupant, position, links } = appended;
    let ChainPosition { chain, sequence } = *position;
    let (short, key) = (ShortEventId(occupant.event), ShortStateKeyId(occupant.state_key));
    rows.put(&CHAIN_POSITIONS, &short, &(chain, sequence));
    rows.put(&CHAIN_EVENTS, &(chain, sequence), &(short, key));
    for target in links {
        rows.put(&CHAIN_LINKS, &(chain, target.chain, target.sequence), &sequence);
        rows.put(&CHAIN_BACKLINKS, &(target.chain, target.sequence, chain, sequence), &());
    }
}
