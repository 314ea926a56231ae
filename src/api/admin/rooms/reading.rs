//! `…/rooms/{roomId}/state`, `messages`, `context`, and `fetch_event`: what is in a room.

use axum::extract::State;
use ruma::{OwnedEventId, api::Direction};
use serde::Deserialize;
use serde_json::{Value, json};

use super::room_id;
use crate::{
    api::{
        ApiError, PathArguments,
        admin::{Admin, FilterQuery, PageQuery},
        blocking,
        json::JsonResponse,
    },
    rooms::{PaginationToken, RoomAdministration},
    storage::TimelineKey,
};

/// Events in an answer, when the request does not say how many.
const LIMIT_DEFAULT: usize = 10;

/// One type of state only.
#[derive(Debug, Deserialize)]
pub struct StateQuery {
    r#type: Option<String>,
}

/// `GET …/state`.
pub async fn state(
    State(rooms): State<RoomAdministration>,
    _admin: Admin,
    PathArguments(room): PathArguments<String>,
    FilterQuery(query): FilterQuery<StateQuery>,
) -> Result<JsonResponse<Value>, ApiError> {
    let state =
        blocking::run(move || Ok::<_, ApiError>(rooms.state(&room_id(&room)?, query.r#type.as_deref())?));
    Ok(JsonResponse(json!({ "state": state.await? })))
}

/// A part of a room's history.
#[derive(Debug, Deserialize)]
pub struct MessagesQuery {
    from: Option<String>,
    limit: Option<usize>,
    dir: Option<String>,
}

/// `GET …/messages`.
pub async fn messages(
    State(rooms): State<RoomAdministration>,
    _admin: Admin,
    PathArguments(room): PathArguments<String>,
    FilterQuery(query): FilterQuery<MessagesQuery>,
) -> Result<JsonResponse<Value>, ApiError> {
    let order = order(query.dir.as_deref())?;
    let from = query.from.filter(|from| !from.is_empty()).map(|from| key(&from)).transpose()?;
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
    let page =
        blocking::run(move || Ok::<_, ApiError>(rooms.page(&room_id(&room)?, from, order, limit)?)).await?;
    let mut answer = json!({ "chunk": page.events, "start": token(page.start), "state": [] });
    if let (Some(end), Value::Object(answer)) = (page.end, &mut answer) {
        answer.insert("end".to_owned(), json!(token(end)));
    }
    Ok(JsonResponse(answer))
}

fn token(key: TimelineKey) -> String {
    PaginationToken::Before(key).to_string()
}

fn key(token: &str) -> Result<TimelineKey, ApiError> {
    match token.parse() {
        Ok(PaginationToken::Before(key)) => Ok(key),
        _ => Err(ApiError::invalid_param("`from` is no token of this list")),
    }
}

/// `GET …/context/{eventId}`.
pub async fn context(
    State(rooms): State<RoomAdministration>,
    _admin: Admin,
    PathArguments((room, event_id)): PathArguments<(String, OwnedEventId)>,
    page: PageQuery,
) -> Result<JsonResponse<Value>, ApiError> {
    let (event, before, after, state) = blocking::run(move || {
        let room_id = room_id(&room)?;
        let (event, before, after) = rooms.context(&room_id, &event_id, page.limit)?;
        Ok::<_, ApiError>((event, before, after, rooms.state(&room_id, None)?))
    })
    .await?;
    Ok(JsonResponse(json!({
        "event": event,
        "events_before": before.events,
        "events_after": after.events,
        "start": token(before.end.unwrap_or(before.start)),
        "end": token(after.end.unwrap_or(after.start)),
        "state": state,
    })))
}

/// `GET /_synapse/admin/v1/fetch_event/{eventId}`.
pub async fn event(
    State(rooms): State<RoomAdministration>,
    _admin: Admin,
    PathArguments(event_id): PathArguments<OwnedEventId>,
) -> Result<JsonResponse<Value>, ApiError> {
    let event = blocking::run(move || rooms.event(&event_id)).await?;
    Ok(JsonResponse(json!({ "event": event })))
}

/// A time, and the way to go from it.
#[derive(Debug, Deserialize)]
pub struct TimeQuery {
    ts: u64,
    dir: Option<String>,
}

/// `GET …/timestamp_to_event`.
pub async fn event_by_time(
    State(rooms): State<RoomAdministration>,
    _admin: Admin,
    PathArguments(room): PathArguments<String>,
    FilterQuery(query): FilterQuery<TimeQuery>,
) -> Result<JsonResponse<Value>, ApiError> {
    let order = order(query.dir.as_deref())?;
    let found =
        blocking::run(move || Ok::<_, ApiError>(rooms.event_by_time(&room_id(&room)?, query.ts, order)?))
            .await?;
    let (event_id, at) =
        found.ok_or_else(|| ApiError::not_found("There is no event on that side of the time"))?;
    Ok(JsonResponse(json!({ "event_id": event_id, "origin_server_ts": at })))
}

/// `GET …/forward_extremities`.
pub async fn extremities(
    State(rooms): State<RoomAdministration>,
    _admin: Admin,
    PathArguments(room): PathArguments<String>,
) -> Result<JsonResponse<Value>, ApiError> {
    let found = blocking::run(move || Ok::<_, ApiError>(rooms.extremities(&room_id(&room)?)?)).await?;
    let results: Vec<_> =
        found.into_iter().map(|(event_id, depth)| json!({ "event_id": event_id, "depth": depth })).collect();
    Ok(JsonResponse(json!({ "count": results.len(), "results": results })))
}

fn order(dir: Option<&str>) -> Result<Direction, ApiError> {
    match dir {
        None | Some("f") => Ok(Direction::Forward),
        Some("b") => Ok(Direction::Backward),
        Some(_) => Err(ApiError::invalid_param("`dir` must be `f` or `b`")),
    }
}
