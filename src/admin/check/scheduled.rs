//! What is scheduled: events to be sent later, rooms to be deleted. Each stands in the tables that order it as well.

use super::{Checker, Report};
use crate::storage::{
    Direction, Json, Read, StorageError,
    records::{DelayedEventRecord, DeletionPhase},
    tables::{
        DELAYED_DUE, DELAYED_EVENTS, DELAYED_OF_USER, DELAYED_TRANSACTIONS, ROOM_DELETIONS,
        ROOMS_BEING_DELETED,
    },
};

/// The part of `DELAYED_OF_USER` with what is scheduled.
const SCHEDULED: u8 = 0;

impl Checker<'_> {
    /// Delayed events and deletions stand where they are looked for, and nowhere else.
    pub(super) fn check_scheduled(&self, report: &mut Report) -> Result<(), StorageError> {
        self.check_delayed_events(report)?;
        self.check_delayed_order(report)?;
        self.check_deletions(report)
    }

    fn check_delayed_events(&self, report: &mut Report) -> Result<(), StorageError> {
        for row in self.storage.scan(&DELAYED_EVENTS, &DELAYED_EVENTS.all(), Direction::Forward) {
            let (id, Json(record)) = row?;
            if record.outcome.is_some() {
                continue;
            }
            let due_ms = due_ms(&record);
            let is_due = self.storage.contains(&DELAYED_DUE, &(due_ms, id))?;
            let user = self.storage.short_user_id(&record.sender)?;
            let key = user.map(|user| (user, SCHEDULED, due_ms, id));
            let is_listed = key.map(|key| self.storage.contains(&DELAYED_OF_USER, &key)).transpose()?;
            report.expect(is_due && is_listed == Some(true), || {
                format!("a delayed event of {} is scheduled and will never be sent", record.sender)
            });
        }
        Ok(())
    }

    fn check_delayed_order(&self, report: &mut Report) -> Result<(), StorageError> {
        for row in self.storage.scan(&DELAYED_DUE, &DELAYED_DUE.all(), Direction::Forward) {
            let ((at, id), ()) = row?;
            let record = self.storage.get(&DELAYED_EVENTS, &id)?;
            let is_so = record.is_some_and(|Json(record)| record.outcome.is_none() && due_ms(&record) == at);
            report.expect(is_so, || "DELAYED_DUE has a row of no event that is due then".to_owned());
        }
        for row in self.storage.scan(&DELAYED_TRANSACTIONS, &DELAYED_TRANSACTIONS.all(), Direction::Forward) {
            let (key, id) = row?;
            let exists = self.storage.contains(&DELAYED_EVENTS, &id)?;
            report.expect(exists, || {
                format!("a request of {:?} has scheduled an event that is not there", key.0)
            });
        }
        Ok(())
    }

    fn check_deletions(&self, report: &mut Report) -> Result<(), StorageError> {
        for row in self.storage.scan(&ROOMS_BEING_DELETED, &ROOMS_BEING_DELETED.all(), Direction::Forward) {
            let (room_id, id) = row?;
            let record = self.storage.get(&ROOM_DELETIONS, &id)?.map(|Json(record)| record);
            let goes_on = record.is_some_and(|record| {
                !matches!(record.phase, DeletionPhase::Complete | DeletionPhase::Failed)
            });
            report.expect(goes_on, || format!("{room_id} is being deleted, and nothing does so"));
        }
        Ok(())
    }
}

fn due_ms(record: &DelayedEventRecord) -> u64 {
    record.scheduled_at_ms.saturating_add(record.delay_ms)
}
