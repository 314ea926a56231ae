//! Push rules: which events a user is told of, and how much is unread.
//!
//! Rules are evaluated when a user looks (sync) or a pusher does, never when an event is sent: sending does
//! not walk a room's members. [`PushRules`] keeps each user's rules, [`UnreadCounts`] what the user has not
//! read. Nothing here sends anything to anybody.

mod error;
pub mod evaluate;
mod glob;
pub mod limits;
pub mod property;
mod rules;
#[cfg(test)]
pub(crate) mod testing;
mod unread;

pub use error::PushError;
pub use evaluate::{Outcome, RoomFacts};
pub use rules::PushRules;
pub use unread::{Counts, RoomUnread, UnreadCounts, UnreadSources};
