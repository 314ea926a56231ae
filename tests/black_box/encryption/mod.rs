//! End-to-end encryption: what the server keeps and hands out, over HTTP and through crashes.

mod backups;
mod claims;
mod dehydrated;
mod messages;
mod rendezvous;
mod signatures;
