//! The administrators' API, under the paths and with the fields that Synapse has for it, so that the tools that
//! exist (Ketesa, synapse-admin, command lines) work here.
//!
//! Every handler asks for [`Admin`] first, which refuses everybody else. What a field would say that this server
//! does not have (third-party ids, shadow bans) is empty or `false`, and setting it is refused.

mod federation;
mod media;
mod page;
mod reports;
mod requester;
mod rooms;
mod server;
mod statistics;
mod tokens;
mod users;

pub use self::{
    page::{FilterQuery, PageQuery},
    requester::{Admin, account, local_user_id, must_be_another, unknown_user, user_id},
};
use super::routes::Routes;

/// Adds all endpoints of the administrators' API.
pub fn routes(mut routes: Routes) -> Routes {
    routes = users::routes(routes);
    routes = rooms::routes(routes);
    routes = media::routes(routes);
    routes = tokens::routes(routes);
    routes = federation::routes(routes);
    routes = reports::routes(routes);
    routes = statistics::routes(routes);
    server::routes(routes)
}
