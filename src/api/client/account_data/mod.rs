//! Account data and room tags: all only for oneself.

mod delete;
mod global;
mod room;
mod tags;

use axum::{
    body::{Body, Bytes},
    extract::{FromRef, FromRequest, Request},
};
use http::Method;
use ruma::api::{
    IncomingRequest,
    client::{config as api, tag},
};

use crate::{
    api::{ApiError, Ruma, request::body_error, routes::Routes},
    users::{AccountData, Sessions},
};

/// Where account data is deleted, until that is part of the specification.
const UNSTABLE_DELETE: &str = "/_matrix/client/unstable/org.matrix.msc3391/user/{user_id}";

/// Adds the endpoints of this folder.
pub fn routes<S>(routes: Routes<S>) -> Routes<S>
where
    S: Clone + Send + Sync + 'static,
    AccountData: FromRef<S>,
    Sessions: FromRef<S>,
{
    routes
        .add::<api::get_global_account_data::v3::Request, _, _>(global::get)
        .add::<api::set_global_account_data::v3::Request, _, _>(global::set)
        .add::<api::get_room_account_data::v3::Request, _, _>(room::get)
        .add::<api::set_room_account_data::v3::Request, _, _>(room::set)
        .add_at(Method::DELETE, &format!("{UNSTABLE_DELETE}/account_data/{{event_type}}"), delete::global)
        .add_at(
            Method::DELETE,
            &format!("{UNSTABLE_DELETE}/rooms/{{room_id}}/account_data/{{event_type}}"),
            delete::of_room,
        )
        .add::<tag::get_tags::v3::Request, _, _>(tags::get)
        .add::<tag::create_tag::v3::Request, _, _>(tags::set)
        .add::<tag::delete_tag::v3::Request, _, _>(tags::remove)
}

/// A request whose body is the content to be kept. Where ruma takes no body for an empty object, here it
/// is an error: a client that sent nothing should not overwrite what is there.
struct ContentRequest<R>(R);

impl<R: IncomingRequest, S: Send + Sync> FromRequest<S> for ContentRequest<R> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let body = Bytes::from_request(Request::from_parts(parts.clone(), body), state).await;
        let body = body.map_err(|rejection| body_error(&rejection))?;
        if body.is_empty() {
            return Err(ApiError::not_json("The body must be a JSON object"));
        }
        let request = Request::from_parts(parts, Body::from(body));
        Ruma::from_request(request, state).await.map(|Ruma(request)| Self(request))
    }
}
