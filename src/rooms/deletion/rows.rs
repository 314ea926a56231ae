//! Which rows there are of a room. A new table that holds something of rooms belongs here.

use crate::{
    rooms::limits,
    state::tree::{Node, NodeHash, StateRoot},
    storage::{
        Direction, Key, KeyPrefix, Read, ShortEventId, ShortRoomId, ShortUserId, StorageError, Table,
        Transaction, Value,
        records::EventMeta,
        tables::{
            ACCOUNT_DATA, ACCOUNT_DATA_CHANGES, ANNOTATIONS, CHAIN_BACKLINKS, CHAIN_ENTRIES, CHAIN_PLACES,
            EVENT_JSON, EVENT_META, EVENT_TIMES, EVENT_TRANSACTIONS, FORKED_STATES, IDLE_REDACTIONS,
            LOCAL_MEMBERS, MEMBER_COUNTS, MEMBERSHIPS, MISSING_EVENTS, PUBLIC_ROOMS, READ_UP_TO,
            RECEIPT_POSITIONS, RECEIPTS, RELATION_SUMMARIES, RELATIONS, ROOM_ACTIVITY, ROOM_CHANGE_POSITIONS,
            ROOM_CHANGES, ROOM_HEADS, ROOM_MEMBERS, ROOM_NEWEST_SENT, ROOM_SERVERS, ROOMS, SEARCH_INDEXED,
            SEARCH_POSTINGS, SERVER_ROOMS, STATE_NODES, STICKY_EVENTS, STRIPPED_STATE, THREAD_PARTICIPANTS,
            THREADS, TIMELINE, UNREAD,
        },
    },
};

/// Removes some of the rows under a key's first part; true when there may be more.
fn remove_some<K: Key, V: Value>(
    tx: &mut Transaction<'_>,
    table: &Table<K, V>,
    prefix: &impl KeyPrefix<K>,
) -> Result<bool, StorageError> {
    let rows = tx.scan(table, &table.prefix(prefix), Direction::Forward);
    let keys: Vec<K> = rows
        .take(limits::ROWS_PURGED_PER_STEP)
        .map(|row| row.map(|(key, _)| key))
        .collect::<Result<_, _>>()?;
    keys.iter().for_each(|key| tx.delete(table, key));
    Ok(keys.len() == limits::ROWS_PURGED_PER_STEP)
}

/// Removes some of what stands under the room's number; true when there may be more.
pub(super) fn remove_indices(tx: &mut Transaction<'_>, room: ShortRoomId) -> Result<bool, StorageError> {
    let prefix = &(room,);
    let more = remove_some(tx, &TIMELINE, prefix)?
        || remove_some(tx, &EVENT_TIMES, prefix)?
        || remove_some(tx, &THREADS, prefix)?
        || remove_some(tx, &FORKED_STATES, prefix)?
        || remove_some(tx, &MISSING_EVENTS, prefix)?
        || remove_some(tx, &RECEIPTS, prefix)?
        || remove_some(tx, &RECEIPT_POSITIONS, prefix)?
        || remove_some(tx, &LOCAL_MEMBERS, prefix)?
        || remove_some(tx, &SEARCH_POSTINGS, prefix)?
        || remove_some(tx, &STICKY_EVENTS, prefix)?
        || remove_servers(tx, room)?
        || remove_members(tx, room)?;
    if more {
        return Ok(true);
    }
    if let Some(position) = tx.get(&ROOM_CHANGE_POSITIONS, &room)? {
        tx.delete(&ROOM_CHANGES, &position);
    }
    tx.delete(&ROOM_CHANGE_POSITIONS, &room);
    tx.delete(&ROOM_ACTIVITY, &room);
    tx.delete(&PUBLIC_ROOMS, &room);
    tx.delete(&MEMBER_COUNTS, &room);
    tx.delete(&ROOM_NEWEST_SENT, &room);
    tx.delete(&SEARCH_INDEXED, &room);
    Ok(false)
}

fn remove_servers(tx: &mut Transaction<'_>, room: ShortRoomId) -> Result<bool, StorageError> {
    let rows = tx.scan(&ROOM_SERVERS, &ROOM_SERVERS.prefix(&(room,)), Direction::Forward);
    let keys: Vec<_> = rows
        .take(limits::ROWS_PURGED_PER_STEP)
        .map(|row| row.map(|(key, _)| key))
        .collect::<Result<_, _>>()?;
    for key in &keys {
        tx.delete(&ROOM_SERVERS, key);
        tx.delete(&SERVER_ROOMS, &(key.1, room));
    }
    Ok(keys.len() == limits::ROWS_PURGED_PER_STEP)
}

/// Removes some members with what each has of the room.
fn remove_members(tx: &mut Transaction<'_>, room: ShortRoomId) -> Result<bool, StorageError> {
    let rows = tx.scan(&ROOM_MEMBERS, &ROOM_MEMBERS.prefix(&(room,)), Direction::Forward);
    let keys: Vec<_> = rows
        .take(limits::MEMBERS_PURGED_PER_STEP)
        .map(|row| row.map(|(key, _)| key))
        .collect::<Result<_, _>>()?;
    for key in &keys {
        let user = key.2;
        tx.delete(&ROOM_MEMBERS, key);
        tx.delete(&MEMBERSHIPS, &(user, room));
        tx.delete(&STRIPPED_STATE, &(user, room));
        tx.delete(&READ_UP_TO, &(user, room));
        tx.delete(&UNREAD, &(user, room));
        remove_account_data(tx, user, room)?;
    }
    Ok(keys.len() == limits::MEMBERS_PURGED_PER_STEP)
}

fn remove_account_data(
    tx: &mut Transaction<'_>,
    user: ShortUserId,
    room: ShortRoomId,
) -> Result<(), StorageError> {
    let rows = tx.scan(&ACCOUNT_DATA, &ACCOUNT_DATA.prefix(&(user, room)), Direction::Forward);
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    for (key, row) in &rows {
        tx.delete(&ACCOUNT_DATA_CHANGES, &(user, row.position));
        tx.delete(&ACCOUNT_DATA, key);
    }
    Ok(())
}

/// Removes an event with all that stands under its number. Its id keeps its number.
pub(super) fn remove_event(
    tx: &mut Transaction<'_>,
    event: ShortEventId,
    meta: &EventMeta,
) -> Result<(), StorageError> {
    remove_state(tx, StateRoot::from_bytes(meta.state_before))?;
    if let Some(place) = tx.get(&CHAIN_PLACES, &event)? {
        let (chain, sequence) = (place.chain, place.sequence);
        tx.delete(&CHAIN_ENTRIES, &(chain, sequence));
        remove_all(tx, &CHAIN_BACKLINKS, &(chain,))?;
        tx.delete(&CHAIN_PLACES, &event);
    }
    remove_all(tx, &IDLE_REDACTIONS, &(event,))?;
    remove_all(tx, &RELATIONS, &(event,))?;
    remove_all(tx, &THREAD_PARTICIPANTS, &(event,))?;
    remove_all(tx, &ANNOTATIONS, &(event,))?;
    tx.delete(&RELATION_SUMMARIES, &event);
    tx.delete(&EVENT_TRANSACTIONS, &event);
    tx.delete(&EVENT_JSON, &event);
    tx.delete(&EVENT_META, &event);
    Ok(())
}

fn remove_all<K: Key, V: Value>(
    tx: &mut Transaction<'_>,
    table: &Table<K, V>,
    prefix: &impl KeyPrefix<K>,
) -> Result<(), StorageError> {
    while remove_some(tx, table, prefix)? {}
    Ok(())
}

/// Removes a state's nodes. States of one room share nodes with each other and with no other room, as entries name
/// events; so a node that is gone already has taken all below it along.
fn remove_state(tx: &mut Transaction<'_>, root: StateRoot) -> Result<(), StorageError> {
    let mut open: Vec<NodeHash> = root.node().into_iter().collect();
    while let Some(hash) = open.pop() {
        let Some(bytes) = tx.get(&STATE_NODES, hash.as_bytes())? else { continue };
        tx.delete(&STATE_NODES, hash.as_bytes());
        match Node::decode(&bytes) {
            Ok(node) => open.extend(node.children()),
            Err(error) => tracing::error!("a damaged node of a state is removed: {error}"),
        }
    }
    Ok(())
}

/// Removes the rows by which the room is known, and its current state.
pub(super) fn remove_room(tx: &mut Transaction<'_>, room: ShortRoomId) -> Result<(), StorageError> {
    if let Some(head) = tx.get(&ROOM_HEADS, &room)? {
        remove_state(tx, StateRoot::from_bytes(head.state))?;
    }
    tx.delete(&ROOM_HEADS, &room);
    tx.delete(&ROOMS, &room);
    Ok(())
}
