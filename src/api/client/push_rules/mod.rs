//! A user's push rules (client-server API, "Push Rules: API").

mod actions;
mod all;
mod enabled;
mod rule;

use ruma::api::client::push::{
    delete_pushrule, get_pushrule, get_pushrule_actions, get_pushrule_enabled, get_pushrules_all,
    get_pushrules_global_scope, set_pushrule, set_pushrule_actions, set_pushrule_enabled,
};

use crate::api::routes::Routes;

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add::<get_pushrules_all::v3::Request, _, _>(all::get_all)
        .add::<get_pushrules_global_scope::v3::Request, _, _>(all::get_global)
        .add::<get_pushrule::v3::Request, _, _>(rule::get)
        .add::<set_pushrule::v3::Request, _, _>(rule::put)
        .add::<delete_pushrule::v3::Request, _, _>(rule::delete)
        .add::<get_pushrule_enabled::v3::Request, _, _>(enabled::get)
        .add::<set_pushrule_enabled::v3::Request, _, _>(enabled::put)
        .add::<get_pushrule_actions::v3::Request, _, _>(actions::get)
        .add::<set_pushrule_actions::v3::Request, _, _>(actions::put)
}
