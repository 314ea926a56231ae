//! Servers that talk to each other.

mod history;
mod people_and_lists;
mod rooms;
mod transport;
