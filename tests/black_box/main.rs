//! Black-box tests: the real binary, over real HTTP, as clients and operators meet it.
//!
//! One crate, so that RocksDB is linked once. `CONDUIT_TEST_AGAINST=http://127.0.0.1:PORT` runs the tests
//! that need no server of their own against another homeserver (see `harness/server.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accounts;
mod admin;
mod appservices;
mod bad_input;
mod clients;
mod crash;
mod disk_full;
mod encryption;
mod federation;
mod first_steps;
mod harness;
mod lifecycle;
mod media;
mod push;
mod rooms;
mod sync;
