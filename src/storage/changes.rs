//! What a transaction tells those who wait for news.

use super::{ShortRoomId, ShortUserId, StreamPosition};

/// One change that a client may be waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The position handed out for it.
    pub position: StreamPosition,
    /// Who may see it.
    pub scope: ChangeScope,
}

/// Whom a change concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeScope {
    /// Everyone who may see the room (events, receipts, typing).
    Room(ShortRoomId),
    /// One user's devices (account data, invites, to-device, a membership of their own).
    User(ShortUserId),
}
