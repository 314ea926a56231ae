//! Servers that talk to each other.

mod devices;
mod fan_out;
mod rooms;
mod transport;
