//! `GET` and `PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions`

use axum::extract::State;
use ruma::api::client::push::{get_pushrule_actions, set_pushrule_actions};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    push::PushRules,
};

/// What a rule does.
pub async fn get(
    State(rules): State<PushRules>,
    requester: Requester,
    Ruma(request): Ruma<get_pushrule_actions::v3::Request>,
) -> ApiResult<get_pushrule_actions::v3::Response> {
    let rule = blocking::run(move || {
        rules.rule(requester.user, &requester.user_id, &request.kind, &request.rule_id)
    });
    Ok(RumaResponse(get_pushrule_actions::v3::Response::new(rule.await?.actions().to_vec())))
}

/// Sets what a rule does.
pub async fn put(
    State(rules): State<PushRules>,
    requester: Requester,
    Ruma(request): Ruma<set_pushrule_actions::v3::Request>,
) -> ApiResult<set_pushrule_actions::v3::Response> {
    blocking::run(move || {
        let set_pushrule_actions::v3::Request { kind, rule_id, actions, .. } = request;
        rules.set_actions(requester.user, &requester.user_id, &kind, &rule_id, actions)
    })
    .await?;
    Ok(RumaResponse(set_pushrule_actions::v3::Response::new()))
}
