//! Email addresses and phone numbers of accounts (client-server API, "Adding Account Administrative Contact
//! Information"). This server keeps none and uses no identity server: lists are empty, there is nothing to remove,
//! and every request to add one is refused in a way that clients show.

use http::StatusCode;
use ruma::api::{client::account as api, error::ErrorKind};
use serde_json::{Value, json};

use crate::api::{ApiError, Requester, Ruma, json::JsonResponse, routes::Routes};

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    let routes = routes
        .add::<api::get_3pids::v3::Request, _, _>(list)
        .add::<api::add_3pid::v3::Request, _, _>(refuse_to_add)
        .add::<api::bind_3pid::v3::Request, _, _>(refuse_to_add)
        .add::<api::delete_3pid::v3::Request, _, _>(delete)
        .add::<api::unbind_3pid::v3::Request, _, _>(unbind)
        .add::<api::request_3pid_management_token_via_email::v3::Request, _, _>(no_email)
        .add::<api::request_3pid_management_token_via_msisdn::v3::Request, _, _>(no_phone_number)
        .add::<api::request_registration_token_via_email::v3::Request, _, _>(no_email)
        .add::<api::request_registration_token_via_msisdn::v3::Request, _, _>(no_phone_number)
        .add::<api::request_password_change_token_via_email::v3::Request, _, _>(no_email)
        .add::<api::request_password_change_token_via_msisdn::v3::Request, _, _>(no_phone_number);
    ["r0", "v3"].into_iter().fold(routes, |routes, version| {
        let path = format!("/_matrix/client/{version}/account/3pid");
        routes.add_at(http::Method::POST, &path, refuse_to_add)
    })
}

async fn list(_requester: Requester) -> JsonResponse<Value> {
    JsonResponse(json!({ "threepids": [] }))
}

async fn refuse_to_add(_requester: Requester) -> ApiError {
    let message = "This server keeps no email addresses and phone numbers";
    ApiError::new(StatusCode::FORBIDDEN, ErrorKind::ThreepidDenied, message)
}

/// There is none, and no identity server that could be told.
async fn delete(_requester: Requester, _request: Ruma<api::delete_3pid::v3::Request>) -> JsonResponse<Value> {
    JsonResponse(json!({ "id_server_unbind_result": "no-support" }))
}

async fn unbind(_requester: Requester, _request: Ruma<api::unbind_3pid::v3::Request>) -> JsonResponse<Value> {
    JsonResponse(json!({ "id_server_unbind_result": "no-support" }))
}

async fn no_email() -> ApiError {
    not_supported("This server sends no email")
}

async fn no_phone_number() -> ApiError {
    not_supported("This server sends no text messages")
}

/// By the errcode that the specification has for it since version 1.16.
fn not_supported(message: &str) -> ApiError {
    ApiError::custom(StatusCode::FORBIDDEN, "M_THREEPID_MEDIUM_NOT_SUPPORTED", message)
}
