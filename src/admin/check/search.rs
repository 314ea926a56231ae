//! The index for searching: each event's terms lead to it, and nothing else does.

use super::{Checker, Report};
use crate::{
    rooms::search::indexed_terms,
    storage::{
        Direction, Read, StorageError, TimelineKey,
        tables::{SEARCH_INDEXED, SEARCH_POSTINGS, TIMELINE},
    },
};

impl Checker<'_> {
    /// Checks all of it.
    pub(super) fn check_search(&self, report: &mut Report) -> Result<(), StorageError> {
        let mut newest_room = None;
        let mut indexed = None;
        for row in self.storage.scan(&TIMELINE, &TIMELINE.all(), Direction::Forward) {
            let ((room, key), (event, _)) = row?;
            if newest_room != Some(room) {
                newest_room = Some(room);
                indexed = self.storage.get(&SEARCH_INDEXED, &room)?;
            }
            // What is older than the index is added to it while the server runs.
            if indexed.is_none_or(|from: TimelineKey| key < from) {
                continue;
            }
            for term in indexed_terms(self.storage, event)? {
                let posting = self.storage.get(&SEARCH_POSTINGS, &(room, term.clone(), key))?;
                report
                    .expect(posting == Some(event), || format!("searching `{term}` does not find {event:?}"));
            }
        }
        for row in self.storage.scan(&SEARCH_POSTINGS, &SEARCH_POSTINGS.all(), Direction::Forward) {
            let ((room, term, key), event) = row?;
            let is_there =
                self.storage.get(&TIMELINE, &(room, key))?.is_some_and(|(there, _)| there == event);
            let has_term = is_there && indexed_terms(self.storage, event)?.contains(&term);
            report.expect(has_term, || format!("searching `{term}` finds {event:?}, which does not have it"));
        }
        Ok(())
    }
}
