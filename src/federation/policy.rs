//! Which servers the operator wants to have to do with.

use std::sync::Arc;

use ruma::{OwnedServerName, ServerName};

use crate::config::{Config, ServerPattern};

/// Says which servers may ask and may be asked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ServerPolicy(Arc<Rules>);

#[derive(Debug)]
struct Rules {
    own: OwnedServerName,
    is_enabled: bool,
    allowed: Vec<ServerPattern>,
    denied: Vec<ServerPattern>,
}

impl ServerPolicy {
    /// What the configuration says.
    pub fn new(config: &Config) -> Self {
        Self(Arc::new(Rules {
            own: config.server_name.clone(),
            is_enabled: config.federation.enabled,
            allowed: config.federation.allowed_servers.clone(),
            denied: config.federation.denied_servers.clone(),
        }))
    }

    /// This server's name.
    pub fn own_name(&self) -> &ServerName {
        &self.0.own
    }

    /// Whether this server talks to others at all.
    pub fn is_enabled(&self) -> bool {
        self.0.is_enabled
    }

    /// Whether `server`, which is another one, may ask and may be asked. A server is judged by its name with and
    /// without its port.
    pub fn allows(&self, server: &ServerName) -> bool {
        let is_in = |list: &[ServerPattern]| list.iter().any(|pattern| pattern.matches(server));
        let rules = &self.0;
        rules.is_enabled && !is_in(&rules.denied) && (rules.allowed.is_empty() || is_in(&rules.allowed))
    }
}

#[cfg(test)]
mod tests {
    use ruma::server_name;

    use super::*;
    use crate::config::Setting;

    fn policy(allowed: &str, denied: &str) -> ServerPolicy {
        let mut config = Config::new(server_name!("own.test").to_owned(), "/x".into());
        for (key, value) in [("allowed_servers", allowed), ("denied_servers", denied)] {
            config.set(&["federation", key], crate::config::Input::Text(value), None).unwrap();
        }
        ServerPolicy::new(&config)
    }

    #[test]
    fn lists_are_of_patterns() {
        let open = policy("", "*.evil.test,Bad.test");
        assert!(open.allows(server_name!("good.test")) && open.allows(server_name!("evil.test")));
        for denied in ["a.evil.test", "a.b.evil.test:8448", "bad.test", "bad.test:1"] {
            assert!(!open.allows(<&ServerName>::try_from(denied).unwrap()), "{denied}");
        }
        let closed = policy("friend.test", "");
        assert!(
            closed.allows(server_name!("friend.test")) && closed.allows(server_name!("FRIEND.test:8448"))
        );
        assert!(!closed.allows(server_name!("other.test")));
    }

    #[test]
    fn nobody_is_allowed_where_federation_is_off() {
        let mut config = Config::new(server_name!("own.test").to_owned(), "/x".into());
        config.federation.enabled = false;
        assert!(!ServerPolicy::new(&config).allows(server_name!("a.test")));
    }
}
