//! Sync: telling clients what happened since they last asked.
//!
//! The parts that any kind of sync needs stand here: the [`Notifier`] that wakes waiting clients, a room's
//! [timeline window](window), [changes of state](state_changes), [lazily loaded members](LazyMembers),
//! [summaries](summary), a user's [changed rooms](changed_rooms). [`v3`] makes `GET /sync` of them, [`sliding`] simplified
//! sliding sync. An
//! incremental sync visits what changed since its token and nothing else: never a user's rooms, never a
//! room's members, unless the client asks for members. Nothing here changes what it tells about.

mod account_looks;
pub mod changed_rooms;
mod device_lists;
#[cfg(test)]
mod device_lists_tests;
mod error;
pub mod fields;
pub mod filter;
mod lazy_members;
pub mod limits;
mod notifier;
mod present;
pub mod sliding;
pub mod state_changes;
pub mod summary;
#[cfg(test)]
pub(crate) mod testing;
pub mod v3;
mod wait;
pub mod window;

pub use account_looks::{AccountLook, AccountLooks};
pub use device_lists::{DeviceListChanges, DeviceLists};
pub use error::SyncError;
pub use filter::SyncFilter;
pub use lazy_members::{DeviceMembers, LazyMembers};
pub use notifier::{Notifier, Registration, Woken};
pub use present::Presenter;
pub use wait::wait_for_news;
