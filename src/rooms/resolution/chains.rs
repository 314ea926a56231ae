//! The rows of the chain-cover index.

use super::short_ids;
use crate::{
    matrix::event::Event,
    rooms::RoomError,
    state::chain_cover::{
        AppendError, Appended, ChainEntry, ChainPosition, ChainSource, Link, NewEvent, Occupant, append,
    },
    storage::{
        Direction, Read, ShortEventId, ShortStateKeyId, StorageError, Transaction,
        records::{ChainEntryRow, ChainLinkRow, ChainPlaceRow, ChainSequence},
        tables::{CHAIN_BACKLINKS, CHAIN_ENTRIES, CHAIN_PLACES},
    },
};

/// The index as any reader sees it.
#[derive(Debug, Clone, Copy)]
pub struct StoredChains<'r, R>(pub &'r R);

impl<R: Read> ChainSource for StoredChains<'_, R> {
    type Error = StorageError;

    fn position(&self, event: u64) -> Result<Option<ChainPosition>, StorageError> {
        let place = self.0.get(&CHAIN_PLACES, &ShortEventId(event))?;
        Ok(place.map(|ChainPlaceRow { chain, sequence }| ChainPosition { chain, sequence }))
    }

    fn entry(&self, position: ChainPosition) -> Result<Option<ChainEntry>, StorageError> {
        let row = self.0.get(&CHAIN_ENTRIES, &(position.chain, position.sequence))?;
        Ok(row.map(entry))
    }

    fn entries_back(&self, position: ChainPosition, limit: usize) -> Result<Vec<ChainEntry>, StorageError> {
        let until = position.after();
        let range = CHAIN_ENTRIES.prefix_until(&(position.chain,), &(until.chain, until.sequence));
        let rows = self.0.scan(&CHAIN_ENTRIES, &range, Direction::Backward).take(limit);
        rows.map(|row| row.map(|(_, row)| entry(row))).collect()
    }

    fn last_sequence(&self, chain: u64) -> Result<u64, StorageError> {
        let range = CHAIN_ENTRIES.prefix(&(chain,));
        let last = self.0.scan(&CHAIN_ENTRIES, &range, Direction::Backward).next().transpose()?;
        Ok(last.map_or(0, |((_, sequence), _)| sequence))
    }

    fn backlinks(&self, target: ChainPosition, limit: usize) -> Result<Vec<ChainPosition>, StorageError> {
        let key = (target.chain, target.sequence, 0);
        let range = CHAIN_BACKLINKS.prefix_from(&(target.chain,), &key);
        let rows = self.0.scan(&CHAIN_BACKLINKS, &range, Direction::Forward).take(limit);
        let origin = |((.., chain), ChainSequence(sequence)): ((u64, u64, u64), ChainSequence)| {
            ChainPosition { chain, sequence }
        };
        rows.map(|row| row.map(origin)).collect()
    }
}

fn entry(row: ChainEntryRow) -> ChainEntry {
    let link = |link: ChainLinkRow| Link {
        to: ChainPosition { chain: link.chain, sequence: link.sequence },
        depth: link.depth,
    };
    ChainEntry {
        occupant: Occupant { event: row.event.0, state_key: row.state_key.0 },
        depth: row.depth,
        is_reserved: row.is_reserved,
        links: row.links.into_iter().map(link).collect(),
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
    let Appended { position, entry, targets } = appended;
    let ChainPosition { chain, sequence } = *position;
    let event = ShortEventId(entry.occupant.event);
    let link =
        |link: &Link| ChainLinkRow { chain: link.to.chain, sequence: link.to.sequence, depth: link.depth };
    let row = ChainEntryRow {
        event,
        state_key: ShortStateKeyId(entry.occupant.state_key),
        depth: entry.depth,
        is_reserved: entry.is_reserved,
        links: entry.links.iter().map(link).collect(),
    };
    rows.put(&CHAIN_PLACES, &event, &ChainPlaceRow { chain, sequence });
    rows.put(&CHAIN_ENTRIES, &(chain, sequence), &row);
    for target in targets {
        rows.put(&CHAIN_BACKLINKS, &(target.chain, target.sequence, chain), &ChainSequence(sequence));
    }
}
