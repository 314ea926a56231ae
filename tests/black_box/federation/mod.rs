//! Servers that talk to each other.

mod rooms;
mod transport;
