//! A user's devices.

mod delete;
mod delete_many;
mod get;
mod list;
mod update;

use std::sync::Arc;

use axum::extract::FromRef;
use ruma::api::client::device as api;

use crate::{
    api::routes::Routes,
    net::RateLimiter,
    users::{Device, Devices, Sessions, Uiaa},
};

/// Adds the endpoints of this folder.
pub fn routes<S>(routes: Routes<S>) -> Routes<S>
where
    S: Clone + Send + Sync + 'static,
    Devices: FromRef<S>,
    Sessions: FromRef<S>,
    Uiaa: FromRef<S>,
    Arc<RateLimiter>: FromRef<S>,
{
    routes
        .add::<api::get_devices::v3::Request, _, _>(list::list)
        .add::<api::get_device::v3::Request, _, _>(get::get)
        .add::<api::update_device::v3::Request, _, _>(update::update)
        .add::<api::delete_device::v3::Request, _, _>(delete::delete)
        .add::<api::delete_devices::v3::Request, _, _>(delete_many::delete_many)
}

/// A device as clients see it.
fn shown(device: Device) -> api::Device {
    let mut shown = api::Device::new(device.device_id);
    shown.display_name = device.display_name;
    shown.last_seen_ip = device.last_seen_address.map(|address| address.to_string());
    shown.last_seen_ts = device.last_seen_at;
    shown
}
