//! Rooms: making them, being in them, talking in them.

mod aliases;
mod create;
mod delayed;
mod directory;
mod expectations;
mod history;
mod membership;
mod messages;
mod redaction;
mod relations;
mod search;
mod spaces;
mod state;
mod thread_subscriptions;
mod user_directory;
