//! Servers that talk to each other.

mod devices;
mod fan_out;
mod history;
mod people_and_lists;
mod presence;
mod rooms;
mod transport;
