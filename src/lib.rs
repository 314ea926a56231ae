//! conduit: a Matrix homeserver for small machines.
//!
//! The folders and what each may use are described in `ARCHITECTURE.md`; arrows point only downward:
//! `server` → `api` → services (`federation`, `appservices`, `media`, `sync`, `push`, `rooms`, `users`) → `state`, `storage` → `matrix`.

pub mod admin;
pub mod api;
pub mod appservices;
pub mod config;
pub mod federation;
pub mod matrix;
pub mod media;
pub mod net;
pub mod push;
pub mod rooms;
pub mod server;
pub mod state;
pub mod storage;
pub mod sync;
pub mod users;
