//! Rooms: their events, state, members, history, names and listing.
//!
//! Reading starts from [`EventStore`] (events by id), [`RoomStates`] (states by root) and [`RoomIndex`]
//! (records, heads, memberships by room and user). Everything that changes a room's graph goes through the
//! [`Appender`], one writer a room. Nothing here speaks HTTP.

mod activity;
pub mod administration;
mod aliases;
pub mod appender;
mod blocks;
pub mod changes;
mod client_events;
pub mod creation;
pub mod delayed;
pub mod deletion;
mod directory;
mod error;
mod event_filter;
mod event_indices;
mod event_times;
mod events;
mod index;
pub mod limits;
mod member_profiles;
mod members;
pub mod memberships;
pub mod notices;
mod outbox;
mod permissions;
mod read_error;
mod receipts;
pub mod receiving;
mod relations;
mod reports;
pub mod resident;
pub mod resolution;
pub mod search;
pub mod sending;
mod server_acl;
mod servers;
mod signing_keys;
pub mod spaces;
mod state_history;
mod states;
mod sticky;
mod thread_subscriptions;
mod threads;
mod timeline;
mod tokens;
mod typing;
pub mod upgrades;
mod user_directory;
mod viewer;
mod visibility;
mod writer;

#[cfg(test)]
mod client_event_tests;
#[cfg(test)]
mod directory_tests;
#[cfg(test)]
mod receipt_tests;
#[cfg(test)]
pub(crate) mod stored_room;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod timeline_tests;
#[cfg(test)]
mod visibility_tests;

pub use administration::RoomAdministration;
pub use aliases::{AliasError, Aliases};
pub use appender::Appender;
pub use blocks::RoomBlocks;
pub use client_events::{ClientEvents, EventForm};
pub use creation::RoomCreator;
pub use delayed::{DelayId, DelayedError, DelayedEvents};
pub use deletion::RoomDeletions;
pub use directory::{DirectoryError, DirectoryPage, DirectoryToken, RoomDirectory};
pub use error::RoomError;
pub use event_filter::{EventFilter, RelationFilter, allows_type};
pub use event_times::EventTimes;
pub use events::{EventStore, StoredEvent};
pub use index::RoomIndex;
pub use member_profiles::{MemberProfile, MemberProfiles};
pub use members::{MemberNames, Members, MembershipFilter};
pub use memberships::Memberships;
pub use notices::ServerNotices;
pub use outbox::RoomOutbox;
pub use permissions::Permissions;
pub use read_error::ReadError;
pub use receipts::{Mark, ReceiptError, Receipts};
pub use receiving::{Backfilled, GivenStates, ReceivedEvents, Reception};
pub use relations::{Relations, RelationsPage, RelationsRequest, ThreadsPage};
pub use reports::Reports;
pub use resident::Resident;
pub use sending::EventSender;
pub use server_acl::{ServerAcl, ServerAcls};
pub use servers::RoomServers;
pub use signing_keys::SigningKeys;
pub use spaces::{
    HierarchyPage, HierarchyRequest, RoomSummaries, ServerHierarchy, SpaceLink, SpaceRoom, SpaceStop,
    SpaceWalk, Spaces, WalkStep,
};
pub use state_history::StateHistory;
pub use states::{RoomStates, StateDifference};
pub use sticky::sticky_events;
pub use thread_subscriptions::{
    SubscriptionChange, SubscriptionChanges, SubscriptionError, ThreadSubscriptions,
};
pub use threads::{is_sent_to_thread, thread_root};
pub use timeline::{Context, Page, PageRequest, Timelines};
pub use tokens::{PaginationToken, SlidingToken, SyncToken};
pub use typing::Typing;
pub use upgrades::RoomUpgrades;
pub use user_directory::{FoundUser, FoundUsers, UserDirectory};
pub use viewer::Viewer;
pub use visibility::{DUMMY_EVENT, History, RoomView, Visibility, VisibleEvent, membership_of};
