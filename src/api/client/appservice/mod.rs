//! What only application services ask for ([client-server API extensions]).
//!
//! [client-server API extensions]: https://spec.matrix.org/v1.19/application-service-api/#client-server-api-extensions

mod ping;

use ruma::api::client::appservice::request_ping;

use crate::api::routes::Routes;

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes.add::<request_ping::v1::Request, _, _>(ping::ping)
}
