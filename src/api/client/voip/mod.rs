//! What clients need for calls: TURN servers and the foci of group calls.

mod rtc_transports;
mod turn_server;

use ruma::api::client::{rtc::transports, voip::get_turn_server_info};

use crate::api::routes::Routes;

pub use rtc_transports::{Focus, RtcFoci};

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add::<get_turn_server_info::v3::Request, _, _>(turn_server::turn_server)
        .add::<transports::v1::Request, _, _>(rtc_transports::rtc_transports)
}
