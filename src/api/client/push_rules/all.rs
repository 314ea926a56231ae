//! `GET /_matrix/client/v3/pushrules/` and `GET /_matrix/client/v3/pushrules/global/`

use axum::extract::State;
use ruma::{
    api::client::push::{get_pushrules_all, get_pushrules_global_scope},
    push::Ruleset,
};

use crate::{
    api::{ApiError, ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    push::PushRules,
};

/// All rules, by scope; `global` is the only one.
pub async fn get_all(
    State(rules): State<PushRules>,
    requester: Requester,
    Ruma(_): Ruma<get_pushrules_all::v3::Request>,
) -> ApiResult<get_pushrules_all::v3::Response> {
    Ok(RumaResponse(get_pushrules_all::v3::Response::new(of(rules, requester).await?)))
}

/// All rules of the scope `global`.
pub async fn get_global(
    State(rules): State<PushRules>,
    requester: Requester,
    Ruma(_): Ruma<get_pushrules_global_scope::v3::Request>,
) -> ApiResult<get_pushrules_global_scope::v3::Response> {
    Ok(RumaResponse(get_pushrules_global_scope::v3::Response::new(of(rules, requester).await?)))
}

async fn of(rules: PushRules, requester: Requester) -> Result<Ruleset, ApiError> {
    let rules = blocking::run(move || rules.of_user(requester.user, &requester.user_id)).await?;
    Ok((*rules).clone())
}
