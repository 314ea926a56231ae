//! Servers that talk to each other.

mod history;
mod people_and_lists;
mod presence;
mod rooms;
mod transport;
