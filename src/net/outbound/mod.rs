//! Requests to other hosts: HTTP/1.1 and HTTP/2, plain and over TLS, within bounds.
//!
//! For: link previews, push gateways, bridges, identity and policy servers ([`OutboundClient`]), and, with a
//! way of finding servers of its own, federation. Every request has a bound on its bytes, its time and its
//! redirects; every address is checked when it is connected to. Never: knows what Matrix is.

mod address_policy;
mod answers;
mod body;
mod client;
mod connector;
mod error;
pub mod limits;
mod pool;
mod resolver;
mod single_flight;
mod system_dns;
#[cfg(test)]
mod tests;
mod tls;

pub use self::{
    address_policy::AddressPolicy,
    body::ResponseBody,
    client::{Outbound, OutboundClient, ResponseLimits, join},
    connector::{BoxFuture, Endpoint, Host, Locate, WebLocator},
    error::{OutboundError, OutboundSetupError, ResolveError},
    resolver::{Resolver, ServiceRecord},
    single_flight::SingleFlight,
};
