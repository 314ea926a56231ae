//! Pushers: what a push gateway is sent, and what becomes of it when the gateway does not take it.

mod delivery;
mod notifications;
mod pushers;
mod rules;

use serde_json::{Value, json};

use crate::harness::{Client, FakeWeb, Server, ServerSettings};

/// A server that may ask gateways on this machine.
pub fn server() -> Server {
    let extra = "outbound = { allowed_ranges = [\"127.0.0.0/8\"] }".to_owned();
    Server::start_with(&ServerSettings { extra, ..ServerSettings::default() })
}

/// A pusher as clients set it.
pub fn pusher(gateway: &FakeWeb, pushkey: &str) -> Value {
    json!({
        "app_id": "test.app",
        "pushkey": pushkey,
        "kind": "http",
        "app_display_name": "App",
        "device_display_name": "Phone",
        "lang": "en",
        "data": { "url": gateway.url("/_matrix/push/v1/notify"), "brand": "x" },
    })
}

/// Sets it.
#[track_caller]
pub fn set(client: &Client, pusher: &Value) {
    client.post("/_matrix/client/v3/pushers/set", pusher.clone()).ok();
}

/// A gateway that takes everything.
pub fn gateway() -> FakeWeb {
    FakeWeb::start(|_| (200, "application/json".to_owned(), b"{\"rejected\":[]}".to_vec()))
}

/// The next notification that a gateway gets.
#[track_caller]
pub fn next(gateway: &FakeWeb) -> Value {
    loop {
        let asked = gateway.next();
        // A GET is the look at whether the gateway may be connected to.
        if asked.line == "POST /_matrix/push/v1/notify" {
            return asked.json()["notification"].clone();
        }
    }
}
