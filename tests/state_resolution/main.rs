//! State resolution against an oracle.
//!
//! - [`generated`]: rooms made at random, each fork resolved by us and by `ruma-state-res` (room version 1: by
//!   the specification's algorithm as written in [`v1_spec`]).
//! - [`fixtures`]: the known scenarios, one JSON file each, with the outcome written down.
//! - [`distant`]: forks whose branches are longer than what is searched.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod distant;
mod fixtures;
mod generated;
mod oracle;
mod random;
mod room;
mod v1_spec;
mod world;
