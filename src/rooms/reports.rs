//! What users report to the administrators of this server ([reporting]): kept for them, and told to nobody.
//!
//! [reporting]: https://spec.matrix.org/v1.19/client-server-api/#reporting-content

use ruma::{EventId, MilliSecondsSinceUnixEpoch, OwnedUserId, RoomId, UserId};

use super::{ReadError, RoomError, RoomIndex, Timelines, Viewer, Visibility, limits};
use crate::{
    storage::{
        Direction, Json, Read, Storage, StorageError,
        records::ReportRecord,
        tables::{ACCOUNTS, REPORTS},
    },
    users::Clock,
};

/// Takes reports. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reports {
    storage: Storage,
    index: RoomIndex,
    visibility: Visibility,
    timelines: Timelines,
    clock: Clock,
}

impl Reports {
    /// The service.
    pub fn new(
        storage: Storage,
        index: RoomIndex,
        visibility: Visibility,
        timelines: Timelines,
        clock: Clock,
    ) -> Self {
        Self { storage, index, visibility, timelines, clock }
    }

    /// Reports an event that the reporter may see.
    pub fn event(
        &self,
        reporter: &Viewer,
        room_id: &RoomId,
        event_id: &EventId,
        reason: Option<String>,
    ) -> Result<(), ReadError> {
        let view = self.visibility.reader(reporter, room_id).map_err(|error| match error {
            ReadError::NotInRoom => ReadError::NotFound("Event"),
            other => other,
        })?;
        self.timelines.event(&view, event_id)?;
        let report = ReportRecord {
            room_id: Some(room_id.to_owned()),
            event_id: Some(event_id.to_owned()),
            ..self.by(reporter, reason)
        };
        Ok(self.add(report)?)
    }

    /// Reports a room that this server knows; the reporter need not be in it.
    pub fn room(&self, reporter: &Viewer, room_id: &RoomId, reason: Option<String>) -> Result<(), ReadError> {
        if self.index.room(room_id)?.is_none() {
            return Err(ReadError::NotFound("Room"));
        }
        Ok(self.add(ReportRecord { room_id: Some(room_id.to_owned()), ..self.by(reporter, reason) })?)
    }

    /// Reports a user, of this server or another one.
    pub fn user(&self, reporter: &Viewer, user_id: &UserId, reason: Option<String>) -> Result<(), ReadError> {
        let is_local = user_id.server_name() == reporter.user_id.server_name();
        let known = match self.storage.short_user_id(user_id)? {
            Some(user) if is_local => self.storage.contains(&ACCOUNTS, &user)?,
            found => found.is_some(),
        };
        if !known {
            return Err(ReadError::NotFound("User"));
        }
        Ok(self.add(ReportRecord { user_id: Some(user_id.to_owned()), ..self.by(reporter, reason) })?)
    }

    /// Reports with a number up to `until` (all if `None`), newest first, with their numbers.
    pub fn list(&self, until: Option<u64>, limit: usize) -> Result<Vec<(u64, ReportRecord)>, StorageError> {
        let range = REPORTS.between(&0, &until.map_or(u64::MAX, |until| until.saturating_add(1)));
        let rows = self.storage.scan(&REPORTS, &range, Direction::Backward).take(limit);
        rows.map(|row| row.map(|(number, Json(report))| (number, report))).collect()
    }

    /// Removes a report that was dealt with; false when there is none.
    pub fn remove(&self, number: u64) -> Result<bool, StorageError> {
        self.storage.write(|rows| {
            let is_there = rows.contains(&REPORTS, &number)?;
            rows.delete(&REPORTS, &number);
            Ok(is_there)
        })
    }

    fn by(&self, reporter: &Viewer, reason: Option<String>) -> ReportRecord {
        let mut reason = reason.filter(|reason| !reason.is_empty());
        if let Some(reason) = &mut reason {
            let end = limits::REPORT_REASON_BYTES_MAX.min(reason.len());
            let end = (0..=end).rev().find(|&end| reason.is_char_boundary(end)).unwrap_or(0);
            reason.truncate(end);
        }
        let reporter: OwnedUserId = reporter.user_id.clone();
        let at: MilliSecondsSinceUnixEpoch = self.clock.now();
        ReportRecord { at, reporter, room_id: None, event_id: None, user_id: None, reason }
    }

    /// Keeps the report; the oldest one goes when there are too many.
    fn add(&self, report: ReportRecord) -> Result<(), RoomError> {
        tracing::info!(reporter = %report.reporter, "something was reported to the administrators");
        self.storage.write(|rows| {
            let last = rows.scan(&REPORTS, &REPORTS.all(), Direction::Backward).next().transpose()?;
            let number = last.map_or(1, |(last, _)| last.saturating_add(1));
            let first = rows.scan(&REPORTS, &REPORTS.all(), Direction::Forward).next().transpose()?;
            if let Some((first, _)) = first
                && number - first >= limits::REPORTS_KEPT_MAX
            {
                rows.delete(&REPORTS, &first);
            }
            rows.put(&REPORTS, &number, &Json(report));
            Ok(())
        })
    }
}
