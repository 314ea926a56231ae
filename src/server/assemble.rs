//! Puts the services and the endpoints together.

use axum::Router;

use crate::{config::Config, net::Shutdown};

/// All endpoints, with the services that they need.
pub fn router(_config: &Config, _shutdown: &Shutdown) -> Router {
    Router::new()
}
