//! The client-server API: one file an operation, in folders by subject.

use super::routes::Routes;

/// Adds all endpoints of the client-server API.
pub fn routes(routes: Routes) -> Routes {
    routes
}
