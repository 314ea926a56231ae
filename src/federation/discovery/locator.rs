//! Ports and SRV records: the places behind a host that serves Matrix.

use http::uri::Authority;

use crate::net::outbound::{BoxFuture, Endpoint, Host, Locate, OutboundError, Resolver, ServiceRecord};

/// The port of servers that name none.
const DEFAULT_PORT: u16 = 8448;

/// Finds the places of a host as the specification says for server names and delegated names alike (steps 1, 2,
/// and 3.1 to 3.5, which are also 4 to 6).
#[derive(Debug, Clone)]
pub struct MatrixLocator {
    resolver: Resolver,
}

impl MatrixLocator {
    /// Looks records up with `resolver`.
    pub fn new(resolver: Resolver) -> Self {
        Self { resolver }
    }

    async fn find(&self, authority: &Authority) -> Vec<Endpoint> {
        let host = Host::of(authority);
        let Host::Name(name) = &host else {
            return vec![Endpoint { host, port: authority.port_u16().unwrap_or(DEFAULT_PORT) }];
        };
        if let Some(port) = authority.port_u16() {
            return vec![Endpoint { host, port }];
        }
        for service in ["_matrix-fed._tcp", "_matrix._tcp"] {
            match self.resolver.services(&format!("{service}.{name}")).await {
                Ok(records) if records.is_empty() => {}
                Ok(records) => return endpoints(&records),
                // A DNS server that can't do SRV must not make the host unreachable: the certificate decides.
                Err(error) => tracing::debug!(%name, service, %error, "no SRV record was found"),
            }
        }
        vec![Endpoint { host, port: DEFAULT_PORT }]
    }
}

/// The places that records name, best first. One that names the root says that there is no such service.
fn endpoints(records: &[ServiceRecord]) -> Vec<Endpoint> {
    let named = records.iter().filter(|record| !record.host.is_empty());
    named.map(|record| Endpoint { host: Host::Name(record.host.clone()), port: record.port }).collect()
}

impl Locate for MatrixLocator {
    fn locate<'a>(
        &'a self,
        authority: &'a Authority,
        _is_tls: bool,
    ) -> BoxFuture<'a, Result<Vec<Endpoint>, OutboundError>> {
        Box::pin(async move { Ok(self.find(authority).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_explicit_is_taken_as_it_is() {
        let locator = MatrixLocator::new(Resolver::new());
        for (authority, host, port) in [
            ("192.0.2.1", Host::Address("192.0.2.1".parse().unwrap()), 8448),
            ("[2a00::1]", Host::Address("2a00::1".parse().unwrap()), 8448),
            ("[2a00::1]:1", Host::Address("2a00::1".parse().unwrap()), 1),
            ("a.test:443", Host::Name("a.test".to_owned()), 443),
        ] {
            let found = locator.locate(&authority.parse().unwrap(), true).await.unwrap();
            assert_eq!(found, [Endpoint { host, port }], "{authority}");
        }
    }

    #[test]
    fn records_keep_their_order_and_the_root_is_no_place() {
        let record = |host: &str, port| ServiceRecord { priority: 0, weight: 0, host: host.to_owned(), port };
        let found = endpoints(&[record("a.test", 1), record("", 2), record("b.test", 3)]);
        let expected = [("a.test", 1), ("b.test", 3)]
            .map(|(host, port)| Endpoint { host: Host::Name(host.to_owned()), port });
        assert_eq!(found, expected);
    }
}
