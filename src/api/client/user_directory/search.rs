//! `POST /user_directory/search`: users by name.

use axum::extract::State;
use ruma::api::client::user_directory::search_users::v3::{Request, Response, User};

use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse, blocking},
    federation::ProfileRefresh,
    rooms::{FoundUser, UserDirectory, Viewer},
};

/// The handler.
pub async fn search(
    State(directory): State<UserDirectory>,
    State(refresh): State<ProfileRefresh>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let searcher = Viewer::from(requester);
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let found = blocking::run(move || {
        let found = directory.search(&searcher, &request.search_term, limit)?;
        for user in found.users.iter().filter(|user| user.is_stale) {
            refresh.shown_stale(&user.user_id)?;
        }
        Ok::<_, ApiError>(found)
    })
    .await?;
    let users = found.users.into_iter().map(in_answer).collect();
    Ok(RumaResponse(Response::new(users, found.limited)))
}

fn in_answer(found: FoundUser) -> User {
    let mut user = User::new(found.user_id);
    user.display_name = found.display_name;
    user.avatar_url = found.avatar_url.map(Into::into);
    user
}
