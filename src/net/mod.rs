//! What every layer that meets the network shares: who a client is by address, how often it may act, requests
//! to other hosts, and the signal that the server is stopping.
//!
//! Lowest layer: it knows the configuration and nothing else of ours, so handlers, sync and the server's
//! shell may all use it. It listens on no socket and writes no response; errors become errcodes in `api`. The
//! main types are [`ClientAddress`], [`RateLimiter`], [`outbound::OutboundClient`] and [`Shutdown`].

mod client_address;
mod limits;
pub mod outbound;
mod rate_limit;
mod shutdown;

pub use self::{
    client_address::{ClientAddress, Peer},
    rate_limit::{Action, Caller, LimitExceeded, RateLimiter},
    shutdown::{Shutdown, ShutdownTrigger},
};
