//! The server-server API: one file an operation, in folders by subject.
//!
//! A handler that serves other servers takes its request as [`Signed`], which proves who asks. What a server may
//! see of a room is decided below, not here.

mod authentication;
mod directory;
mod key;
mod keys;
mod media;
mod openid;
mod query;
mod rooms;
#[cfg(test)]
mod tests;
mod transactions;
mod version;

pub use authentication::Signed;

use super::routes::Routes;

/// Adds all endpoints of the server-server API.
pub fn routes(mut routes: Routes) -> Routes {
    routes = key::routes(routes);
    routes = directory::routes(routes);
    routes = media::routes(routes);
    routes = keys::routes(routes);
    routes = openid::routes(routes);
    routes = query::routes(routes);
    routes = rooms::routes(routes);
    routes = transactions::routes(routes);
    routes = version::routes(routes);
    routes
}
