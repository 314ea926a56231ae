//! Names to addresses and services: a resolver of the process's own.
//!
//! Many rooms have members on thousands of servers, and a join asks for all of them at once. So equal
//! questions in flight are asked once, answers and failures are remembered, old answers serve while DNS is
//! out, and only so many questions are asked at a time. Address literals and `localhost` need no DNS.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::{Duration, Instant},
};

use hickory_resolver::{
    net::{DnsError, NetError},
    proto::rr::{Name, RData},
};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    ResolveError, SingleFlight,
    answers::{Answers, Known, Looked},
    limits::{LOOKUPS_MAX, LOOKUPS_WAITING_MAX, RECORDS_MAX, STALE_WAIT},
    system_dns::SystemDns,
};

/// Where a service is (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRecord {
    /// Lower ones are tried first.
    pub priority: u16,
    /// Among equal priorities, greater ones are to be preferred.
    pub weight: u16,
    /// The host, without a dot at its end.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Resolves names. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Resolver(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    system: SystemDns,
    addresses: Questions<IpAddr>,
    services: Questions<ServiceRecord>,
    places: Semaphore,
}

/// Questions of one kind: what is known, and what is being asked.
#[derive(Debug)]
struct Questions<T> {
    answers: Answers<T>,
    flights: SingleFlight<String, Result<Arc<[T]>, ResolveError>>,
}

impl<T: Clone + Send + Sync + 'static> Default for Questions<T> {
    fn default() -> Self {
        Self { answers: Answers::default(), flights: SingleFlight::new(LOOKUPS_WAITING_MAX) }
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new()
    }
}

impl Resolver {
    /// A resolver that asks the system's DNS servers and reads its hosts file.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            system: SystemDns::new(),
            addresses: Questions::default(),
            services: Questions::default(),
            places: Semaphore::new(LOOKUPS_MAX),
        }))
    }

    /// The addresses of a host: a name, or an address literal (IPv6 without brackets). Never empty.
    pub async fn addresses(&self, host: &str) -> Result<Arc<[IpAddr]>, ResolveError> {
        if let Ok(address) = host.parse() {
            return Ok([address].into());
        }
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        // RFC 6761: never asked of DNS.
        if name == "localhost" || name.ends_with(".localhost") {
            return Ok([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].into());
        }
        let inner = self.0.clone();
        answer(
            &self.0,
            |inner| &inner.addresses,
            &name.clone(),
            || async move { inner.look_up_addresses(&name).await },
        )
        .await
    }

    /// The places of a service, such as `_matrix-fed._tcp.example.org`, best first; empty if there are none.
    pub async fn services(&self, name: &str) -> Result<Arc<[ServiceRecord]>, ResolveError> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let inner = self.0.clone();
        let found = answer(
            &self.0,
            |inner| &inner.services,
            &name.clone(),
            || async move { inner.look_up_services(&name).await },
        )
        .await;
        if found == Err(ResolveError::NoSuchName) { Ok([].into()) } else { found }
    }
}

/// The answer to a question: as it is remembered, or else by `look_up`.
async fn answer<T, F>(
    inner: &Arc<Inner>,
    questions: fn(&Inner) -> &Questions<T>,
    name: &str,
    look_up: impl FnOnce() -> F,
) -> Result<Arc<[T]>, ResolveError>
where
    T: Clone + Send + Sync + 'static,
    F: Future<Output = Looked<T>> + Send + 'static,
{
    let stale = match questions(inner).answers.find(name, Instant::now()) {
        Known::Fresh(outcome) => return outcome,
        Known::Stale(records) => Some(records),
        Known::Nothing => None,
    };
    let (asker, question) = (inner.clone(), name.to_owned());
    let flight = questions(inner).flights.run(name.to_owned(), || {
        let look_up = look_up();
        async move {
            let looked = look_up.await;
            questions(&asker).answers.keep(&question, &looked, Instant::now());
            looked.outcome
        }
    });
    let Some(stale) = stale else {
        return flight.await.unwrap_or(Err(ResolveError::Busy));
    };
    match timeout(STALE_WAIT, flight).await {
        Ok(Some(outcome @ (Ok(_) | Err(ResolveError::NoSuchName)))) => outcome,
        _ => Ok(stale),
    }
}

impl Inner {
    async fn look_up_addresses(&self, name: &str) -> Looked<IpAddr> {
        let _place = self.places.acquire().await;
        let (resolver, name) = match (self.system.resolver(), absolute(name)) {
            (Some(resolver), Some(name)) => (resolver, name),
            (_, None) => return failed(ResolveError::NotAName),
            (None, _) => return failed(ResolveError::Failed("there are no DNS servers".to_owned())),
        };
        match resolver.lookup_ip(name).await {
            Ok(found) => looked(found.iter().collect(), found.valid_until()),
            Err(error) => refused(&error),
        }
    }

    async fn look_up_services(&self, name: &str) -> Looked<ServiceRecord> {
        let _place = self.places.acquire().await;
        let (resolver, name) = match (self.system.resolver(), absolute(name)) {
            (Some(resolver), Some(name)) => (resolver, name),
            (_, None) => return failed(ResolveError::NotAName),
            (None, _) => return failed(ResolveError::Failed("there are no DNS servers".to_owned())),
        };
        match resolver.srv_lookup(name).await {
            Ok(found) => {
                let mut records: Vec<_> =
                    found.answers().iter().filter_map(|record| service_record(&record.data)).collect();
                records.sort_by_key(|record| (record.priority, std::cmp::Reverse(record.weight)));
                looked(records, found.valid_until())
            }
            Err(error) => refused(&error),
        }
    }
}

/// The name as it is, whatever search list the system has.
fn absolute(name: &str) -> Option<Name> {
    let mut name = Name::from_ascii(name).ok()?;
    name.set_fqdn(true);
    Some(name)
}

fn service_record(data: &RData) -> Option<ServiceRecord> {
    let RData::SRV(record) = data else { return None };
    let host = record.target.to_ascii();
    Some(ServiceRecord {
        priority: record.priority,
        weight: record.weight,
        host: host.trim_end_matches('.').to_owned(),
        port: record.port,
    })
}

fn looked<T>(mut records: Vec<T>, valid_until: Instant) -> Looked<T> {
    if records.is_empty() {
        return failed(ResolveError::NoSuchName);
    }
    records.truncate(RECORDS_MAX);
    Looked { outcome: Ok(records.into()), lifetime: valid_until.saturating_duration_since(Instant::now()) }
}

fn failed<T>(error: ResolveError) -> Looked<T> {
    Looked { outcome: Err(error), lifetime: Duration::ZERO }
}

fn refused<T>(error: &NetError) -> Looked<T> {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => Looked {
            outcome: Err(ResolveError::NoSuchName),
            lifetime: Duration::from_secs(u64::from(none.negative_ttl.unwrap_or_default())),
        },
        other => failed(ResolveError::Failed(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn literals_and_localhost_need_no_dns() {
        let resolver = Resolver::new();
        let found = resolver.addresses("192.0.2.7").await.unwrap();
        assert_eq!(*found, ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        assert_eq!(*resolver.addresses("::1").await.unwrap(), ["::1".parse::<IpAddr>().unwrap()]);
        for name in ["localhost", "LOCALHOST.", "a.localhost"] {
            assert!(resolver.addresses(name).await.unwrap().iter().all(IpAddr::is_loopback), "{name}");
        }
    }

    #[tokio::test]
    async fn what_is_no_name_is_refused_without_asking() {
        let long = "a".repeat(300);
        for name in [long.as_str(), "a..b"] {
            assert_eq!(Resolver::new().addresses(name).await, Err(ResolveError::NotAName), "{name}");
        }
    }
}
