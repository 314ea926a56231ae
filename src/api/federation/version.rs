//! `GET /_matrix/federation/v1/version`: what this server runs.

use ruma::api::federation::discovery::get_server_version::v1 as api;

use crate::api::{ApiResult, Ruma, RumaResponse, routes::Routes};

/// Adds the endpoint.
pub fn routes<S: Clone + Send + Sync + 'static>(routes: Routes<S>) -> Routes<S> {
    routes.add::<api::Request, _, _>(version)
}

async fn version(Ruma(_): Ruma<api::Request>) -> ApiResult<api::Response> {
    let mut server = api::Server::new();
    server.name = Some("conduit".to_owned());
    server.version = Some(env!("CARGO_PKG_VERSION").to_owned());
    let mut response = api::Response::new();
    response.server = Some(server);
    Ok(RumaResponse(response))
}
