//! What administrators have done: blocked rooms, rooms being deleted, tokens for registration.

use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};

/// A blocked room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomBlockRecord {
    /// Who has blocked it.
    pub by: OwnedUserId,
}

/// How far the deletion of a room has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeletionPhase {
    /// It has not begun.
    Scheduled,
    /// Local users are made to leave.
    ShuttingDown,
    /// Rows are removed.
    Purging,
    /// Done.
    Complete,
    /// Given up.
    Failed,
}

/// The deletion of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomDeletionRecord {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Who deletes it.
    pub by: OwnedUserId,
    /// When it was asked for, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// When it ended, in milliseconds since 1970.
    pub ended_at_ms: Option<u64>,
    /// How far it is.
    pub phase: DeletionPhase,
    /// Why it was given up.
    pub error: Option<String>,
    /// Whose new room the local users are brought to.
    pub new_room_user: Option<OwnedUserId>,
    /// That room's name.
    pub new_room_name: String,
    /// The message in it.
    pub message: String,
    /// Whether rows are removed at all.
    pub purges: bool,
    /// Whether they are even if a local user could not be made to leave.
    pub forces: bool,
    /// The room that local users were brought to.
    pub new_room: Option<OwnedRoomId>,
    /// Who was made to leave.
    pub kicked: Vec<OwnedUserId>,
    /// Who could not be made to leave.
    pub not_kicked: Vec<OwnedUserId>,
    /// The aliases that the room had here.
    pub aliases: Vec<OwnedRoomAliasId>,
    /// All events with a short id up to this one have been looked at.
    pub looked_at_to: u64,
    /// Events removed.
    pub events_removed: u64,
    /// Whether the rows that stand under the room's number are gone.
    pub is_index_removed: bool,
}

/// A token with which people may register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationTokenRecord {
    /// How often it may be used; `None` for as often as one likes.
    pub uses_allowed: Option<u64>,
    /// How often it was used.
    pub completed: u64,
    /// Until when it holds, in milliseconds since 1970; `None` for good.
    pub expires_at_ms: Option<u64>,
}
