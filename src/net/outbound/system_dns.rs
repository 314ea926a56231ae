//! The DNS servers and the hosts file of the system, read again when they change.
//!
//! A small machine may start the server before its network: what is read once at boot would be wrong for good.

use std::{
    fs,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use hickory_resolver::{
    TokioResolver,
    config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::runtime::TokioRuntimeProvider,
    system_conf::read_system_conf,
};

use super::limits::{LOOKUP_ATTEMPTS, LOOKUP_TIME_MAX, LOOKUPS_MAX, SYSTEM_FILES_CHECK_INTERVAL};

/// The system's list of DNS servers.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The system's list of hosts.
const HOSTS: &str = "/etc/hosts";

/// Asks the system's DNS servers.
#[derive(Debug)]
pub struct SystemDns(Mutex<Option<Loaded>>);

#[derive(Debug)]
struct Loaded {
    resolver: TokioResolver,
    changed: [Option<SystemTime>; 2],
    checked: Instant,
}

impl SystemDns {
    /// Reads the system's files at the first lookup.
    pub fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// A resolver with the present servers; `None` when it can't be made, which the log tells.
    pub fn resolver(&self) -> Option<TokioResolver> {
        let mut loaded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(loaded) = &mut *loaded {
            if now < loaded.checked + SYSTEM_FILES_CHECK_INTERVAL {
                return Some(loaded.resolver.clone());
            }
            loaded.checked = now;
            if loaded.changed == changed() {
                return Some(loaded.resolver.clone());
            }
        }
        let changed = changed();
        let resolver = load()?;
        *loaded = Some(Loaded { resolver: resolver.clone(), changed, checked: now });
        Some(resolver)
    }
}

/// When the files were last changed.
fn changed() -> [Option<SystemTime>; 2] {
    [RESOLV_CONF, HOSTS].map(|path| fs::metadata(path).and_then(|found| found.modified()).ok())
}

fn load() -> Option<TokioResolver> {
    let config = match read_system_conf() {
        Ok((config, _)) => config,
        Err(error) => {
            tracing::warn!(%error, "{RESOLV_CONF} can't be read as a whole");
            let text = fs::read_to_string(RESOLV_CONF).unwrap_or_default();
            ResolverConfig::from_parts(None, Vec::new(), name_servers(&text))
        }
    };
    // Names are asked for as they are: no search list makes `example.org` into `example.org.home.lan`.
    let config = ResolverConfig::from_parts(None, Vec::new(), config.name_servers().to_vec());
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options();
    builder.build().inspect_err(|error| tracing::warn!(%error, "names can't be resolved")).ok()
}

fn options() -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = LOOKUP_TIME_MAX;
    options.attempts = LOOKUP_ATTEMPTS;
    options.ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
    options.use_hosts_file = ResolveHosts::Always;
    // What is remembered, and for how long, is `Answers`' business.
    options.cache_size = 0;
    options.max_active_requests = 4 * LOOKUPS_MAX;
    options
}

/// The `nameserver` lines of a `resolv.conf` of which nothing else can be read.
fn name_servers(text: &str) -> Vec<NameServerConfig> {
    let addresses = text.lines().filter_map(|line| {
        let address = line.trim().strip_prefix("nameserver")?.trim();
        address.parse::<IpAddr>().ok()
    });
    addresses.map(NameServerConfig::udp_and_tcp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_found_beside_what_is_not_understood() {
        let text =
            "# a comment\nnameserver 127.0.0.11\noptions frobnicate:9\nnameserver\t::1 \nnameserver x\n";
        let found: Vec<_> = name_servers(text).into_iter().map(|server| server.ip).collect();
        assert_eq!(found, ["127.0.0.11".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
    }
}
