//! Push rules: which events a user is told of, how much is unread, and pushers that tell phones.
//!
//! Rules are evaluated when a user looks (sync) or a pusher does, never when an event is sent: sending does
//! not walk a room's members. [`PushRules`] keeps each user's rules, [`UnreadCounts`] what the user has not
//! read, [`Pushers`] where notifications go, and [`PushDelivery`] sends them.

mod default_rules;
mod delivery;
mod error;
pub mod evaluate;
mod glob;
pub mod limits;
mod notifications;
pub mod property;
mod pushers;
mod rules;
mod succession;
#[cfg(test)]
pub(crate) mod testing;
mod unread;

pub use delivery::{PushDelivery, PushSources};
pub use error::PushError;
pub use evaluate::{Outcome, RoomFacts};
pub use notifications::{NotificationPage, Notifications, NotificationsRequest, Notified};
pub use pushers::{NewPusher, Pusher, Pushers};
pub use rules::PushRules;
pub use succession::Successions;
pub use unread::{Counts, RoomUnread, UnreadCounts, UnreadSources};
