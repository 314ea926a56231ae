//! Servers that talk to each other.

mod transport;
