//! `GET /rooms/{roomId}/state/{eventType}/{stateKey}`: one entry of a room's state, its content or, with
//! `?format=event`, the whole event.

use axum::extract::State;
use ruma::{
    api::client::state::get_state_event_for_key::v3::{Request, Response, StateEventFormat},
    events::AnyStateEvent,
};

use crate::{
    api::{ApiError, ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    rooms::{ClientEvents, EventForm, ReadError, RoomStates, RoomView, Viewer, Visibility},
};

/// The handler.
pub async fn one(
    State(visibility): State<Visibility>,
    State(states): State<RoomStates>,
    State(client_events): State<ClientEvents>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let whole = match request.format {
        StateEventFormat::Content => false,
        StateEventFormat::Event => true,
        other => return Err(ApiError::invalid_param(format!("`{other}` is not a format of state events"))),
    };
    let viewer = Viewer::from(requester);
    let work = move || {
        let view = visibility.reader(&viewer, &request.room_id)?;
        read(&view, &states, &client_events, &request, whole)
    };
    blocking::run(work).await.map(RumaResponse)
}

fn read(
    view: &RoomView<'_>,
    states: &RoomStates,
    client_events: &ClientEvents,
    request: &Request,
    whole: bool,
) -> Result<Response, ReadError> {
    let missing = || ReadError::NotFound("State event");
    let root = view.state()?.ok_or(ReadError::NotInRoom)?;
    let short = states.get(root, &request.event_type.to_string(), &request.state_key)?.ok_or_else(missing)?;
    let event = view.state_event(short)?.ok_or_else(missing)?;
    if whole {
        return Ok(client_events.write::<AnyStateEvent>(view, &event, EventForm::TIMELINE)?.into());
    }
    Ok(Response::new(client_events.content(event.event())?))
}
