//! The client-server API: one file an operation, in folders by subject.

mod account;
mod account_data;
mod admin;
mod alias;
mod appservice;
mod dehydrated_device;
mod delayed;
mod device;
mod directory;
pub mod discovery;
mod filter;
#[cfg(test)]
pub(crate) mod fixture;
mod keys;
pub mod media;
mod members;
mod membership;
mod openid;
mod presence;
mod profile;
mod push_rules;
mod pushers;
mod receipt;
mod relations;
mod rendezvous;
mod reporting;
mod room;
mod room_keys;
#[cfg(test)]
mod room_read_tests;
#[cfg(test)]
mod room_write_tests;
mod search;
mod send;
mod session;
mod space;
mod state;
mod sync;
mod thirdparty;
mod thread_subscriptions;
mod threepid;
mod timeline;
mod to_device;
mod typing;
mod user_directory;
pub mod voip;

pub use profile::follow as follow_profile;
pub use pushers::shown as shown_pusher;
pub use send::parse_content;

use super::routes::Routes;

/// Adds all endpoints of the client-server API.
pub fn routes(mut routes: Routes) -> Routes {
    routes = account::routes(routes);
    routes = account_data::routes(routes);
    routes = admin::routes(routes);
    routes = alias::routes(routes);
    routes = appservice::routes(routes);
    routes = thirdparty::routes(routes);
    routes = dehydrated_device::routes(routes);
    routes = threepid::routes(routes);
    routes = delayed::routes(routes);
    routes = thread_subscriptions::routes(routes);
    routes = device::routes(routes);
    routes = directory::routes(routes);
    routes = discovery::routes(routes);
    routes = filter::routes(routes);
    routes = media::routes(routes);
    routes = keys::routes(routes);
    routes = members::routes(routes);
    routes = membership::routes(routes);
    routes = receipt::routes(routes);
    routes = relations::routes(routes);
    routes = room::routes(routes);
    routes = room_keys::routes(routes);
    routes = search::routes(routes);
    routes = send::routes(routes);
    routes = openid::routes(routes);
    routes = presence::routes(routes);
    routes = profile::routes(routes);
    routes = session::routes(routes);
    routes = space::routes(routes);
    routes = state::routes(routes);
    routes = timeline::routes(routes);
    routes = to_device::routes(routes);
    routes = typing::routes(routes);
    routes = rendezvous::routes(routes);
    routes = user_directory::routes(routes);
    routes = reporting::routes(routes);
    routes = voip::routes(routes);
    routes = push_rules::routes(routes);
    routes = pushers::routes(routes);
    routes = sync::routes(routes);
    routes
}
