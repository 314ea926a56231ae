//! Room state: which event holds each `(type, state_key)` after a given event.
//!
//! For: [`tree`], the persistent, content-addressed tree that every state of every room is a root of;
//! [`resolution`], which takes the roots of a fork and returns one; [`chain_cover`], the index by which it
//! compares auth chains. Nothing in the server forks a room yet, so nothing calls the last two: federation
//! will, where an event has several previous events with different states.
//!
//! Never: does I/O, knows a table or a room. Tree nodes, events and index rows come in through
//! [`tree::NodeSource`], [`resolution::RoomView`] and [`chain_cover::ChainSource`]; new ones go out as values
//! for the caller's atomic batch.
//!
//! Main types: [`tree::StateTree`], and the function [`resolution::resolve`].

pub mod chain_cover;
pub mod limits;
pub mod resolution;
pub mod tree;
