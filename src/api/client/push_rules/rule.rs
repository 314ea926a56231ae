//! `GET`, `PUT` and `DELETE /_matrix/client/v3/pushrules/global/{kind}/{ruleId}`

use axum::extract::State;
use ruma::api::client::push::{delete_pushrule, get_pushrule, set_pushrule};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    push::PushRules,
};

/// One rule.
pub async fn get(
    State(rules): State<PushRules>,
    requester: Requester,
    Ruma(request): Ruma<get_pushrule::v3::Request>,
) -> ApiResult<get_pushrule::v3::Response> {
    let rule = blocking::run(move || {
        rules.rule(requester.user, &requester.user_id, &request.kind, &request.rule_id)
    });
    Ok(RumaResponse(get_pushrule::v3::Response::new(rule.await?.into())))
}

/// Adds or changes a rule.
pub async fn put(
    State(rules): State<PushRules>,
    requester: Requester,
    Ruma(request): Ruma<set_pushrule::v3::Request>,
) -> ApiResult<set_pushrule::v3::Response> {
    blocking::run(move || {
        let (after, before) = (request.after.as_deref(), request.before.as_deref());
        rules.put(requester.user, &requester.user_id, request.rule, after, before)
    })
    .await?;
    Ok(RumaResponse(set_pushrule::v3::Response::new()))
}

/// Deletes a rule that the user has added.
pub async fn delete(
    State(rules): State<PushRules>,
    requester: Requester,
    Ruma(request): Ruma<delete_pushrule::v3::Request>,
) -> ApiResult<delete_pushrule::v3::Response> {
    blocking::run(move || rules.delete(requester.user, &requester.user_id, &request.kind, &request.rule_id))
        .await?;
    Ok(RumaResponse(delete_pushrule::v3::Response::new()))
}
