//! The answers to the last transactions of each server, on disk.

use std::collections::BTreeMap;

use ring::digest;
use ruma::{OwnedEventId, ServerName};

use super::{PduOutcomes, limits};
use crate::storage::{
    Direction, Json, Read, Storage, StorageError,
    tables::{INCOMING_TRANSACTION_ORDER, INCOMING_TRANSACTIONS},
};

fn hash(id: &str) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, id.as_bytes());
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}

/// The answer that a transaction got before.
pub(super) fn find(
    storage: &Storage,
    origin: &ServerName,
    id: &str,
) -> Result<Option<PduOutcomes>, StorageError> {
    let Some(server) = storage.short_server_id(origin)? else { return Ok(None) };
    let known = storage.get(&INCOMING_TRANSACTIONS, &(server, hash(id)))?;
    Ok(known.map(|Json(answer)| {
        let outcome = |error: Option<String>| error.map_or(Ok(()), Err);
        answer.into_iter().map(|(event, error)| (event, outcome(error))).collect()
    }))
}

/// Keeps an answer, and forgets the oldest one beyond the limit.
pub(super) fn keep(
    storage: &Storage,
    origin: &ServerName,
    id: &str,
    answer: &PduOutcomes,
) -> Result<(), StorageError> {
    let answer: BTreeMap<OwnedEventId, Option<String>> =
        answer.iter().map(|(event, outcome)| (event.clone(), outcome.clone().err())).collect();
    let hash = hash(id);
    storage.write(|rows| {
        let server = rows.intern_server(origin)?;
        let range = INCOMING_TRANSACTION_ORDER.prefix(&(server,));
        let last = rows.scan(&INCOMING_TRANSACTION_ORDER, &range, Direction::Backward).next().transpose()?;
        let number = last.map_or(0, |((_, number), _)| number) + 1;
        rows.put(&INCOMING_TRANSACTIONS, &(server, hash), &Json(answer));
        rows.put(&INCOMING_TRANSACTION_ORDER, &(server, number), &hash);
        let oldest = (server, number.saturating_sub(limits::ANSWERS_KEPT));
        if let Some(forgotten) = rows.get(&INCOMING_TRANSACTION_ORDER, &oldest)? {
            rows.delete(&INCOMING_TRANSACTION_ORDER, &oldest);
            rows.delete(&INCOMING_TRANSACTIONS, &(server, forgotten));
        }
        Ok(())
    })
}
