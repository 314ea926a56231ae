//! `POST /user/{userId}/openid/request_token`: a token that tells another service who the user is.

use axum::extract::State;
use ruma::{
    api::client::account::request_openid_token::v3::{Request, Response},
    authentication::TokenType,
};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    users::OpenIdTokens,
};

/// Issues a token for oneself.
pub async fn request_token(
    State(tokens): State<OpenIdTokens>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    requester.must_be(&request.user_id)?;
    let server = request.user_id.server_name().to_owned();
    let token = blocking::run(move || tokens.issue(&request.user_id)).await?;
    Ok(RumaResponse(Response::new(token.token, TokenType::Bearer, server, token.expires_in)))
}
