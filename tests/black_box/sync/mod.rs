//! `/sync`: what a client sees, when, and exactly once.

mod ephemeral;
mod filters;
mod incremental;
mod initial;
mod lazy;
mod long_poll;
mod presence;
mod sliding;
mod state_after;
mod unread;
