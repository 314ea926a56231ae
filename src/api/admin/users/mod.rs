//! Users: their accounts, devices, and what belongs to them.

mod belongings;
mod closing;
mod details;
mod devices;
mod elsewhere;
mod list;
mod login_as;
mod media;
mod modify;
mod rate;
mod shown;
mod status;
mod username_available;
mod whois;

use http::Method;

use crate::api::routes::Routes;

/// Adds the endpoints of this folder.
pub fn routes(routes: Routes) -> Routes {
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let v1 = |rest: &str| format!("/_synapse/admin/v1/{rest}");
    let v2 = |rest: &str| format!("/_synapse/admin/v2/users/{{user_id}}{rest}");
    let of = |rest: &str| format!("/_synapse/admin/v1/users/{{user_id}}/{rest}");
    let routes = routes
        .add_at(get.clone(), "/_synapse/admin/v2/users", list::list_v2)
        .add_at(get.clone(), "/_synapse/admin/v3/users", list::list_v3)
        .add_at(get.clone(), &v2(""), details::details)
        .add_at(put.clone(), &v2(""), modify::modify)
        .add_at(post.clone(), &v1("deactivate/{user_id}"), closing::deactivate)
        .add_at(post.clone(), &v1("reset_password/{user_id}"), closing::reset_password)
        .add_at(put.clone(), &v1("suspend/{user_id}"), status::suspend)
        .add_at(get.clone(), &of("admin"), status::is_admin)
        .add_at(put.clone(), &of("admin"), status::set_admin)
        .add_at(post.clone(), &of("login"), login_as::login_as)
        .add_at(get.clone(), &v1("username_available"), username_available::check)
        .add_at(get.clone(), &v1("threepid/{medium}/users/{address}"), elsewhere::find)
        .add_at(get.clone(), &v1("auth_providers/{provider}/users/{external_id}"), elsewhere::find)
        .add_at(get.clone(), &v1("whois/{user_id}"), whois::whois);
    let routes = ["r0", "v3"].into_iter().fold(routes, |routes, version| {
        let path = format!("/_matrix/client/{version}/admin/whois/{{user_id}}");
        routes.add_at(get.clone(), &path, whois::whois)
    });
    routes
        .add_at(get.clone(), &v2("/devices"), devices::list)
        .add_at(post.clone(), &v2("/devices"), devices::create)
        .add_at(post.clone(), &v2("/delete_devices"), devices::delete_many)
        .add_at(get.clone(), &v2("/devices/{device_id}"), devices::get)
        .add_at(put, &v2("/devices/{device_id}"), devices::rename)
        .add_at(delete.clone(), &v2("/devices/{device_id}"), devices::delete)
        .add_at(get.clone(), &of("pushers"), belongings::pushers)
        .add_at(get.clone(), &of("accountdata"), belongings::account_data)
        .add_at(get.clone(), &of("joined_rooms"), belongings::joined_rooms)
        .add_at(get.clone(), &of("memberships"), belongings::memberships)
        .add_at(get.clone(), &of("media"), media::list)
        .add_at(delete.clone(), &of("media"), media::delete)
        .add_at(get, &of("override_ratelimit"), rate::get)
        .add_at(post, &of("override_ratelimit"), rate::set)
        .add_at(delete, &of("override_ratelimit"), rate::remove)
}
