//! Reports to the administrators.

pub(super) mod report;

use ruma::api::client::{
    reporting::report_user,
    room::{report_content, report_room},
};

use crate::{api::routes::Routes, net::Action};

/// Adds the endpoints. A report counts as a message: it is one, to the administrators.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add_limited::<report_content::v3::Request, _, _>(Action::Message, report::event)
        .add_limited::<report_room::v3::Request, _, _>(Action::Message, report::room)
        .add_limited::<report_user::v3::Request, _, _>(Action::Message, report::user)
}
