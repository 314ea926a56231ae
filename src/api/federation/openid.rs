//! `GET /_matrix/federation/v1/openid/userinfo`: whose OpenID token this is. Any service may ask.

use axum::extract::{FromRef, State};
use ruma::api::federation::openid::get_openid_userinfo::v1 as api;

use crate::{
    api::{ApiResult, Ruma, RumaResponse, authentication::unknown_token, blocking, routes::Routes},
    users::OpenIdTokens,
};

/// Adds the endpoint.
pub fn routes<S>(routes: Routes<S>) -> Routes<S>
where
    S: Clone + Send + Sync + 'static,
    OpenIdTokens: FromRef<S>,
{
    routes.add::<api::Request, _, _>(userinfo)
}

async fn userinfo(
    State(tokens): State<OpenIdTokens>,
    Ruma(request): Ruma<api::Request>,
) -> ApiResult<api::Response> {
    let owner = blocking::run(move || tokens.owner(&request.access_token)).await?;
    owner.map(|user_id| RumaResponse(api::Response::new(user_id))).ok_or_else(unknown_token)
}
