//! What this server is and can do.

mod capabilities;
mod versions;
mod well_known_client;
mod well_known_server;
mod well_known_support;

use axum::extract::FromRef;
use http::Method;
use ruma::{OwnedServerName, RoomVersionId, api::client::discovery as api};

pub use self::well_known_support::Support;
use crate::{api::routes::Routes, users::Sessions};

/// What is said of this server that the operator chooses.
#[derive(Debug, Clone)]
pub struct Advertised {
    /// The version of rooms whose creator asks for no version.
    pub default_room_version: RoomVersionId,
    /// The URL at which clients reach this server.
    pub client_base_url: Option<String>,
    /// The name and port at which other servers reach this server.
    pub server: Option<OwnedServerName>,
    /// Whom to ask about it.
    pub support: Support,
    /// Where group calls meet: LiveKit services.
    pub livekit_urls: Vec<String>,
    /// The longest time for which an event may be sent later, in milliseconds.
    pub event_delay_ms_max: u64,
    /// Whether threads notify those who follow them (MSC4306).
    pub thread_subscriptions: bool,
}

/// Adds the endpoints of this folder.
pub fn routes<S>(routes: Routes<S>) -> Routes<S>
where
    S: Clone + Send + Sync + 'static,
    Advertised: FromRef<S>,
    Sessions: FromRef<S>,
{
    routes
        .add::<api::get_supported_versions::Request, _, _>(versions::versions)
        .add::<api::get_capabilities::v3::Request, _, _>(capabilities::capabilities)
        .add::<api::discover_homeserver::Request, _, _>(well_known_client::well_known_client)
        .add_at(Method::GET, "/.well-known/matrix/server", well_known_server::well_known_server)
        .add_at(Method::GET, "/.well-known/matrix/support", well_known_support::well_known_support)
}
