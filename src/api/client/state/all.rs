//! `GET /rooms/{roomId}/state`: a room's current state, or that when a former member left.

use axum::extract::State;
use ruma::api::client::state::get_state_events::v3::{Request, Response};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    rooms::{ClientEvents, EventForm, ReadError, RoomStates, Viewer, Visibility},
};

/// The handler.
pub async fn all(
    State(visibility): State<Visibility>,
    State(states): State<RoomStates>,
    State(client_events): State<ClientEvents>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let viewer = Viewer::from(requester);
    let work = move || {
        let view = visibility.reader(&viewer, &request.room_id)?;
        let root = view.state()?.ok_or(ReadError::NotInRoom)?;
        let mut entries = states.without_members(root)?;
        entries.extend(states.members(root)?);
        let events = view.state_events(entries.into_iter().map(|(_, event)| event))?;
        Ok::<_, ReadError>(Response::new(client_events.write_all(&view, &events, EventForm::STATE)?))
    };
    blocking::run(work).await.map(RumaResponse)
}
