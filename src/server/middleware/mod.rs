//! What all requests have in common, in layers around the router. From the outside in: CORS, the
//! request's id and log, compression, panics, the body.

mod body;
mod compression;
mod cors;
mod panic;
mod request;

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, middleware::from_fn_with_state};
use tower::ServiceBuilder;

use self::body::BodyLimits;
use crate::{
    config::{AddressRange, Config},
    server::limits::REQUEST_BODY_TIME_MAX,
};

/// What the layers need of the configuration.
#[derive(Clone, Debug)]
pub struct Shell {
    trusted_proxies: Arc<[AddressRange]>,
    bodies: Arc<BodyLimits>,
}

impl Shell {
    /// As configured.
    pub fn new(config: &Config) -> Self {
        Self {
            trusted_proxies: config.trusted_proxies.clone().into(),
            bodies: Arc::new(BodyLimits::new(config.max_request_bytes, REQUEST_BODY_TIME_MAX)),
        }
    }
}

/// Puts the layers around all endpoints of `router` and around its answers to unknown paths.
pub fn wrap(router: Router, shell: Shell) -> Router {
    let layers = ServiceBuilder::new()
        .layer(cors::layer())
        .layer(from_fn_with_state(shell.clone(), request::handle))
        .layer(compression::layer())
        .layer(panic::layer())
        .layer(from_fn_with_state(shell, body::read))
        // Bodies are bounded by then; axum's own bound would be a second, smaller one.
        .layer(DefaultBodyLimit::disable());
    router.layer(layers)
}

#[cfg(test)]
mod tests;
