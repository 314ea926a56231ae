//! Where a server is: from its name to the host that requests name, and to the places behind it
//! ([specification]).
//!
//! [`Discovery`] takes the first part, delegation by `.well-known`; its answer is the name in the `Host` header,
//! in TLS and in the certificate. [`MatrixLocator`] takes the second, ports and SRV records, which depends on
//! that name alone. Never: asks anything but the well-known document.
//!
//! [specification]: https://spec.matrix.org/v1.19/server-server-api/#resolving-server-names

mod caching;
mod locator;
#[cfg(test)]
mod tests;
mod well_known;

use http::uri::Authority;
use ruma::ServerName;

pub use self::locator::MatrixLocator;
use self::well_known::WellKnown;
use crate::net::outbound::{OutboundClient, OutboundError};

/// Finds the host that serves a server's name. Cheap to clone; clones share what is remembered.
#[derive(Debug, Clone)]
pub struct Discovery {
    well_known: WellKnown,
}

impl Discovery {
    /// Asks for well-known documents with `client`, which must insist on TLS.
    pub fn new(client: OutboundClient) -> Self {
        Self { well_known: WellKnown::new(client) }
    }

    /// The host, with a port if one belongs to it, that requests to `server` name in `Host`, and for which the
    /// certificate must be.
    pub async fn host(&self, server: &ServerName) -> Result<Authority, OutboundError> {
        // Steps 1 and 2: what is explicit is not delegated.
        if server.is_ip_literal() || server.port().is_some() {
            return authority(server);
        }
        // Step 3, and steps 4 to 6 where there is no delegation.
        match self.well_known.delegation(server.host()).await {
            Some(delegated) => authority(&delegated),
            None => authority(server),
        }
    }
}

fn authority(server: &ServerName) -> Result<Authority, OutboundError> {
    server.as_str().parse().map_err(|_| OutboundError::Url(format!("{server} can't stand in a URL")))
}
