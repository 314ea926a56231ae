//! The administrators' API, as the tools call it that exist for Synapse.

mod media;
mod notices;
mod rooms;
mod server;
mod tokens;
mod users;

use crate::harness::{Client, Server, path_segment};

/// A server, its administrator (who registered first), and a user.
pub struct World {
    pub server: Server,
    pub admin: Client,
    pub alice: Client,
}

pub fn world() -> World {
    let server = Server::start();
    let (admin, alice) = (server.register("admin"), server.register("alice"));
    World { server, admin, alice }
}

/// A path of the API's first version.
pub fn v1(rest: &str) -> String {
    format!("/_synapse/admin/v1/{rest}")
}

/// A path below a user in the second version.
pub fn v2_user(user: &Client, rest: &str) -> String {
    format!("/_synapse/admin/v2/users/{}{rest}", path_segment(&user.user_id))
}

/// A path below a user in the first version.
pub fn v1_user(user: &Client, rest: &str) -> String {
    v1(&format!("users/{}/{rest}", path_segment(&user.user_id)))
}
