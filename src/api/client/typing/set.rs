//! `PUT /rooms/{roomId}/typing/{userId}`: says whether the user is typing.

use axum::extract::State;
use ruma::api::client::typing::create_typing_event::v3::{Request, Response, Typing as Wanted};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    rooms::{ReadError, Typing, Viewer, Visibility},
};

/// The handler.
pub async fn set(
    State(visibility): State<Visibility>,
    State(typing): State<Typing>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    requester.must_be(&request.user_id)?;
    let viewer = Viewer::from(requester);
    let work = move || {
        let room = visibility.joined(&viewer, &request.room_id)?.room();
        match request.state {
            Wanted::Yes(info) => typing.start(room, viewer.user, info.timeout),
            Wanted::No => typing.stop(room, viewer.user),
        }
        Ok::<_, ReadError>(())
    };
    blocking::run(work).await?;
    Ok(RumaResponse(Response::new()))
}
