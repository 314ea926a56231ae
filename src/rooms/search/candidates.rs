//! The events of one room that may fit a query, newest first, read from the index a batch at a time, so that no
//! scan stays open. Main type: [`Candidates`].

use std::collections::VecDeque;

use super::query::Lookup;
use crate::{
    rooms::limits,
    storage::{
        Direction, Read, ShortEventId, ShortRoomId, Storage, StorageError, TimelineKey,
        tables::SEARCH_POSTINGS,
    },
};

/// The room's events with all that is looked up, as far as the index tells.
#[derive(Debug)]
pub(super) struct Candidates {
    room: ShortRoomId,
    /// The terms of which each event has one; the rarest of what is looked up.
    driving: Vec<String>,
    /// Other terms that each event must have, where asking the index is cheaper than reading the event.
    others: Vec<Vec<String>>,
    /// Read and not yet given out, newest first.
    waiting: VecDeque<(TimelineKey, ShortEventId)>,
    /// What is read next comes before this.
    before: TimelineKey,
    /// How many rows of each term are read next: few at first, as of many rooms only the newest is wanted.
    batch: usize,
    is_exhausted: bool,
}

impl Candidates {
    /// Those before `end`; `None` where some of what is looked up is not in the room at all.
    pub(super) fn find(
        storage: &Storage,
        room: ShortRoomId,
        lookups: &[Lookup],
        end: TimelineKey,
    ) -> Result<Option<Self>, StorageError> {
        let mut found: Vec<(usize, Vec<String>)> = Vec::with_capacity(lookups.len());
        for lookup in lookups {
            let terms = match lookup {
                Lookup::Whole(term) => vec![term.clone()],
                Lookup::Prefix(start) => terms_from(storage, room, start)?,
            };
            // Where there is nothing to choose from, it is enough to know that there is something.
            let enough = if lookups.len() > 1 { limits::SEARCH_RARITY_ROWS } else { 1 };
            let mut postings = 0;
            for term in &terms {
                postings += count_some(storage, room, term, enough)?;
                if postings >= enough {
                    break;
                }
            }
            if postings == 0 {
                return Ok(None);
            }
            found.push((postings, terms));
        }
        let rarest = found.iter().enumerate().min_by_key(|(_, (postings, _))| *postings).map(|(at, _)| at);
        let Some(rarest) = rarest else { return Ok(None) };
        let (_, driving) = found.swap_remove(rarest);
        let others = found.into_iter().map(|(_, terms)| terms);
        let others = others.filter(|terms| terms.len() <= limits::SEARCH_TERMS_ASKED_MAX).collect();
        let waiting = VecDeque::new();
        Ok(Some(Self {
            room,
            driving,
            others,
            waiting,
            before: end,
            batch: limits::SEARCH_FIRST_BATCH_ROWS,
            is_exhausted: false,
        }))
    }

    /// The next older one; how many rows of the index were read is taken off `rows_left`, and there is none any
    /// more when that is used up.
    pub(super) fn next(
        &mut self,
        storage: &Storage,
        rows_left: &mut usize,
    ) -> Result<Option<ShortEventId>, StorageError> {
        loop {
            if self.waiting.is_empty() {
                if self.is_exhausted || *rows_left == 0 {
                    return Ok(None);
                }
                let read = self.read(storage)?;
                *rows_left = rows_left.saturating_sub(read);
                continue;
            }
            let Some((key, event)) = self.waiting.pop_front() else { continue };
            if self.has_others(storage, key, rows_left)? {
                return Ok(Some(event));
            }
        }
    }

    fn has_others(
        &self,
        storage: &Storage,
        key: TimelineKey,
        rows_left: &mut usize,
    ) -> Result<bool, StorageError> {
        for terms in &self.others {
            let mut has_one = false;
            for term in terms {
                *rows_left = rows_left.saturating_sub(1);
                if storage.contains(&SEARCH_POSTINGS, &(self.room, term.clone(), key))? {
                    has_one = true;
                    break;
                }
            }
            if !has_one {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads a batch of each term, and keeps what no unread row of another term can come before.
    fn read(&mut self, storage: &Storage) -> Result<usize, StorageError> {
        let mut rows: Vec<(TimelineKey, ShortEventId)> = Vec::new();
        let mut floor = None;
        for term in &self.driving {
            let before = rows.len();
            let range = SEARCH_POSTINGS
                .prefix_until(&(self.room, term.clone()), &(self.room, term.clone(), self.before));
            let scan = storage.scan(&SEARCH_POSTINGS, &range, Direction::Backward);
            for row in scan.take(self.batch) {
                let ((_, _, key), event) = row?;
                rows.push((key, event));
            }
            if rows.len() - before == self.batch {
                floor = floor.max(rows.last().map(|(key, _)| *key));
            }
        }
        self.batch = (self.batch * 2).min(limits::SEARCH_BATCH_ROWS);
        let read = rows.len();
        rows.retain(|(key, _)| floor.is_none_or(|floor| *key >= floor));
        rows.sort_unstable_by(|a, b| b.cmp(a));
        rows.dedup();
        match floor {
            Some(floor) => self.before = floor,
            None => self.is_exhausted = true,
        }
        self.waiting.extend(rows);
        Ok(read)
    }
}

/// How many rows a term has; counted up to `enough`.
fn count_some(
    storage: &Storage,
    room: ShortRoomId,
    term: &str,
    enough: usize,
) -> Result<usize, StorageError> {
    let range = SEARCH_POSTINGS.prefix(&(room, term.to_owned()));
    let rows = storage.scan(&SEARCH_POSTINGS, &range, Direction::Backward).take(enough);
    rows.map(|row| row.map(drop)).try_fold(0, |count, row| row.map(|()| count + 1))
}

/// The first terms of a room that start like this.
fn terms_from(storage: &Storage, room: ShortRoomId, start: &str) -> Result<Vec<String>, StorageError> {
    let mut terms = Vec::new();
    let mut from = (room, start.to_owned(), TimelineKey(i64::MIN));
    while terms.len() < limits::SEARCH_PREFIX_TERMS_MAX {
        let range = SEARCH_POSTINGS.prefix_from(&(room,), &from);
        let next = storage.scan(&SEARCH_POSTINGS, &range, Direction::Forward).next().transpose()?;
        let Some(((_, term, _), _)) = next.filter(|((_, term, _), _)| term.starts_with(start)) else { break };
        from = (room, term.clone(), TimelineKey(i64::MAX));
        terms.push(term);
    }
    Ok(terms)
}
