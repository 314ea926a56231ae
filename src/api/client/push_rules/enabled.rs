//! `GET` and `PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled`

use axum::extract::State;
use ruma::api::client::push::{get_pushrule_enabled, set_pushrule_enabled};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    push::PushRules,
};

/// Whether a rule is enabled.
pub async fn get(
    State(rules): State<PushRules>,
    requester: Requester,
    Ruma(request): Ruma<get_pushrule_enabled::v3::Request>,
) -> ApiResult<get_pushrule_enabled::v3::Response> {
    let rule = blocking::run(move || {
        rules.rule(requester.user, &requester.user_id, &request.kind, &request.rule_id)
    });
    Ok(RumaResponse(get_pushrule_enabled::v3::Response::new(rule.await?.enabled())))
}

/// Enables or disables a rule.
pub async fn put(
    State(rules): State<PushRules>,
    requester: Requester,
    Ruma(request): Ruma<set_pushrule_enabled::v3::Request>,
) -> ApiResult<set_pushrule_enabled::v3::Response> {
    blocking::run(move || {
        let set_pushrule_enabled::v3::Request { kind, rule_id, enabled, .. } = request;
        rules.set_enabled(requester.user, &requester.user_id, &kind, &rule_id, enabled)
    })
    .await?;
    Ok(RumaResponse(set_pushrule_enabled::v3::Response::new()))
}
