//! `GET /_synapse/admin/v1/rooms`: the rooms of this server.

use std::cmp::Ordering;

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        ApiError,
        admin::{Admin, FilterQuery, PageQuery},
        blocking,
        json::JsonResponse,
    },
    rooms::{
        RoomAdministration,
        administration::{RoomFilter, RoomOverview},
    },
};

/// Which rooms are asked for.
#[derive(Debug, Deserialize)]
pub struct Filter {
    search_term: Option<String>,
    public_rooms: Option<bool>,
    empty_rooms: Option<bool>,
}

/// The handler.
pub async fn list(
    State(rooms): State<RoomAdministration>,
    _admin: Admin,
    page: PageQuery,
    FilterQuery(filter): FilterQuery<Filter>,
) -> Result<JsonResponse<Value>, ApiError> {
    if filter.search_term.as_deref() == Some("") {
        return Err(ApiError::invalid_param("`search_term` must not be empty"));
    }
    let filter = RoomFilter {
        search_term: filter.search_term,
        public: filter.public_rooms,
        empty: filter.empty_rooms,
    };
    blocking::run(move || find(&rooms, &page, &filter)).await
}

fn find(
    rooms: &RoomAdministration,
    page: &PageQuery,
    filter: &RoomFilter,
) -> Result<JsonResponse<Value>, ApiError> {
    let order_by = page.order_by.as_deref().unwrap_or("name");
    let mut found: Vec<(RoomOverview, Option<u64>)> = Vec::new();
    for room in rooms.list(filter)? {
        let size = (order_by == "state_events").then(|| rooms.state_size(room.room)).transpose()?;
        found.push((room, size));
    }
    let order = order(order_by)?;
    found.sort_by(|(a, _), (b, _)| a.room_id.cmp(&b.room_id));
    found.sort_by(|a, b| if page.is_backward == Some(true) { order(b, a) } else { order(a, b) });
    let total = found.len();
    let mut shown = Vec::new();
    for (room, size) in page.cut(found) {
        let size = size.map_or_else(|| rooms.state_size(room.room), Ok)?;
        shown.push(entry(&room, size));
    }
    let mut answer = json!({ "rooms": shown, "offset": page.from, "total_rooms": total });
    if let Value::Object(answer) = &mut answer {
        if let Some(next) = page.next(total) {
            answer.insert("next_batch".to_owned(), json!(next));
        }
        if page.from > 0 {
            answer.insert("prev_batch".to_owned(), json!(page.from.saturating_sub(page.limit)));
        }
    }
    Ok(JsonResponse(answer))
}

/// A room in a list.
pub(super) fn entry(room: &RoomOverview, state_events: u64) -> Value {
    json!({
        "room_id": room.room_id,
        "name": room.name,
        "canonical_alias": room.canonical_alias,
        "joined_members": room.joined_members,
        "joined_local_members": room.joined_local_members,
        "version": room.version,
        "creator": room.creator,
        "encryption": room.encryption,
        "federatable": room.federatable,
        "public": room.public,
        "join_rules": room.join_rules,
        "guest_access": room.guest_access,
        "history_visibility": room.history_visibility,
        "state_events": state_events,
        "room_type": room.room_type,
    })
}

type Sized = (RoomOverview, Option<u64>);

/// The order; numbers go from the largest to the smallest.
fn order(order_by: &str) -> Result<fn(&Sized, &Sized) -> Ordering, ApiError> {
    Ok(match order_by {
        "name" | "alphabetical" => |(a, _), (b, _)| a.name.cmp(&b.name),
        "canonical_alias" => |(a, _), (b, _)| a.canonical_alias.cmp(&b.canonical_alias),
        "joined_members" | "size" => |(a, _), (b, _)| b.joined_members.cmp(&a.joined_members),
        "joined_local_members" => |(a, _), (b, _)| b.joined_local_members.cmp(&a.joined_local_members),
        "version" => |(a, _), (b, _)| {
            let number = |version: &str| version.parse::<u64>().unwrap_or(0);
            number(&b.version).cmp(&number(&a.version)).then_with(|| b.version.cmp(&a.version))
        },
        "creator" => |(a, _), (b, _)| a.creator.cmp(&b.creator),
        "encryption" => |(a, _), (b, _)| a.encryption.cmp(&b.encryption),
        "federatable" => |(a, _), (b, _)| a.federatable.cmp(&b.federatable),
        "public" => |(a, _), (b, _)| a.public.cmp(&b.public),
        "join_rules" => |(a, _), (b, _)| a.join_rules.cmp(&b.join_rules),
        "guest_access" => |(a, _), (b, _)| a.guest_access.cmp(&b.guest_access),
        "history_visibility" => |(a, _), (b, _)| a.history_visibility.cmp(&b.history_visibility),
        "state_events" => |(_, a), (_, b)| b.cmp(a),
        _ => return Err(ApiError::invalid_param("Rooms can't be ordered by this")),
    })
}
