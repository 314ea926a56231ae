//! `GET /query/profile`: the profile of a user of this server, or one field of it.

use axum::extract::State;
use ruma::api::federation::query::get_profile_information::v1::{Request, Response};

use crate::{
    api::{ApiError, ApiResult, RumaResponse, blocking, federation::Signed},
    users::Profiles,
};

/// The handler.
pub async fn profile(
    State(profiles): State<Profiles>,
    Signed { request, .. }: Signed<Request>,
) -> ApiResult<Response> {
    let work = move || {
        let mut profile = profiles.get(&request.user_id)?;
        if let Some(field) = &request.field {
            profile.fields.retain(|name, _| name == field.as_str());
            if profile.fields.is_empty() {
                return Err(ApiError::not_found("The profile has no such field"));
            }
        }
        Ok(RumaResponse(profile.fields.into_iter().collect()))
    };
    blocking::run(work).await
}
