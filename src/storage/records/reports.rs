//! What users report to the server's administrators.

use ruma::{MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};

/// A report of an event, of a room, or of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRecord {
    /// When it was made.
    pub at: MilliSecondsSinceUnixEpoch,
    /// Who reports.
    pub reporter: OwnedUserId,
    /// The room, for reports of a room or an event.
    pub room_id: Option<OwnedRoomId>,
    /// The event.
    pub event_id: Option<OwnedEventId>,
    /// The user, for reports of a user.
    pub user_id: Option<OwnedUserId>,
    /// Why, in the reporter's words.
    pub reason: Option<String>,
}
