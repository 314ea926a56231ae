//! Servers that talk to each other.

mod presence;
mod rooms;
mod transport;
