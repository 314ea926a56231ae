//! Room state: which event holds each `(type, state_key)` after a given event.
//!
//! For: [`tree`], the persistent, content-addressed tree that every state of every room is a root of.
//! State resolution, which takes such roots and returns one, gets its place beside it in this module.
//!
//! Never: does I/O, knows a table or a room. Tree nodes come in through [`tree::NodeSource`] and new ones
//! go out as values for the caller's atomic batch.
//!
//! Main type: [`tree::StateTree`].

pub mod limits;
pub mod tree;
