//! What a room tells to those who are not in it: its summary, who may have that, and the rooms of a space.
//!
//! A summary costs a few point reads of the room's current state, whoever asks: a user of this server or
//! another server. The children of a space cost the space's state without its members. Main types:
//! [`RoomSummaries`], [`Spaces`] and [`SpaceWalk`].

mod hierarchy;
mod link;
mod summary;
#[cfg(test)]
mod tests;
mod walk;

pub use self::{
    hierarchy::{ServerHierarchy, SpaceRoom, Spaces},
    link::SpaceLink,
    summary::RoomSummaries,
    walk::{HierarchyPage, HierarchyRequest, SpaceStop, SpaceWalk, WalkStep},
};
