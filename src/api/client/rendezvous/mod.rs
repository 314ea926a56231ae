//! Rendezvous sessions for logging in by QR code (MSC4108), under the unstable prefix that clients use.

mod create;
mod end;
mod read;
mod session;
mod write;

use http::Method;
use ruma::api::client::rendezvous::create_rendezvous_session::unstable_msc4108 as api;

use crate::{api::routes::Routes, net::Action};

/// Where the sessions are.
const SESSIONS: &str = "/_matrix/client/unstable/org.matrix.msc4108/rendezvous";

/// Where one of them is.
const SESSION: &str = "/_matrix/client/unstable/org.matrix.msc4108/rendezvous/{id}";

/// Adds the endpoints of this folder.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add_limited::<api::Request, _, _>(Action::Login, create::create)
        .add_at(Method::GET, SESSION, read::read)
        .add_at(Method::PUT, SESSION, write::write)
        .add_at(Method::DELETE, SESSION, end::end)
}
