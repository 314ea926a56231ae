//! What every black-box test stands on: the real binary in a folder of its own, and a client that
//! speaks plain HTTP to it.
//!
//! It never links the server's library: a test sees what an operator and a client see, and nothing else.
//! Main types: [`Server`] and [`Client`].

mod answer;
mod chat;
mod client;
mod federation;
mod listener;
mod server;
mod sync;
mod web;

use std::{
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

pub use answer::{Answer, BinaryAnswer};
pub use client::{Client, path_segment};
pub use federation::Federation;
pub use listener::{Listener, Received};
pub use server::{REGISTRATION_TOKEN, SHARED_SECRET, Server, ServerSettings, UNCONFIGURED_ADDRESS};
pub use sync::{SyncResult, event_ids, find_state};
pub use web::{Asked, FakeWeb};

/// The password that the helpers give to every account.
pub const PASSWORD: &str = "correct horse battery staple";

/// `base` with a suffix that no other call in this or another run has, for user names, aliases and
/// transaction ids (tests may run against a server that keeps its data).
pub fn unique(base: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    format!("{base}-{:x}-{:x}-{number:x}", since_epoch.as_micros(), process::id())
}
