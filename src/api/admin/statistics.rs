//! `/_synapse/admin/v1/statistics/…`: who and what takes how much room.

use std::cmp::Ordering;

use axum::extract::{FromRef, State};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, FilterQuery, PageQuery};
use crate::{
    api::{ApiError, ApiState, blocking, json::JsonResponse, routes::Routes},
    media::{MediaStore, Usage},
    rooms::{RoomAdministration, administration::RoomFilter},
    storage::Read,
    users::{Accounts, Profiles},
};

/// Rooms that are told of.
const LARGEST_ROOMS: usize = 10;

/// Adds the endpoints of this file.
pub fn routes(routes: Routes) -> Routes {
    routes.add_at(Method::GET, "/_synapse/admin/v1/statistics/users/media", users_media).add_at(
        Method::GET,
        "/_synapse/admin/v1/statistics/database/rooms",
        largest_rooms,
    )
}

type Answer = Result<JsonResponse<Value>, ApiError>;

/// What knows who has uploaded how much.
#[derive(Clone)]
pub struct MediaStatistics {
    media: MediaStore,
    accounts: Accounts,
    profiles: Profiles,
    storage: crate::storage::Storage,
}

impl FromRef<ApiState> for MediaStatistics {
    fn from_ref(state: &ApiState) -> Self {
        Self {
            media: state.media.media.clone(),
            accounts: state.users.accounts.clone(),
            profiles: state.users.profiles.clone(),
            storage: state.shared.storage.clone(),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Filter {
    search_term: Option<String>,
}

struct Uploader {
    user_id: ruma::OwnedUserId,
    display_name: Option<String>,
    usage: Usage,
}

async fn users_media(
    State(statistics): State<MediaStatistics>,
    _admin: Admin,
    page: PageQuery,
    FilterQuery(filter): FilterQuery<Filter>,
) -> Answer {
    blocking::run(move || {
        let mut all = statistics.uploaders(filter.search_term.as_deref())?;
        let order: fn(&Uploader, &Uploader) -> Ordering = match page.order_by.as_deref().unwrap_or("user_id")
        {
            "user_id" => |a, b| a.user_id.cmp(&b.user_id),
            "displayname" => |a, b| a.display_name.cmp(&b.display_name),
            "media_length" => |a, b| a.usage.bytes.cmp(&b.usage.bytes),
            "media_count" => |a, b| a.usage.files.cmp(&b.usage.files),
            _ => return Err(ApiError::invalid_param("Users can't be ordered by this")),
        };
        all.sort_by(|a, b| if page.is_backward == Some(true) { order(b, a) } else { order(a, b) });
        let total = all.len();
        let users: Vec<_> = page.cut(all).into_iter().map(|user| user.shown()).collect();
        let mut answer = json!({ "users": users, "total": total });
        if let (Some(next), Value::Object(answer)) = (page.next(total), &mut answer) {
            answer.insert("next_token".to_owned(), json!(next));
        }
        Ok(JsonResponse(answer))
    })
    .await
}

impl Uploader {
    fn shown(self) -> Value {
        json!({
            "user_id": self.user_id,
            "displayname": self.display_name,
            "media_count": self.usage.files,
            "media_length": self.usage.bytes,
        })
    }
}

impl MediaStatistics {
    fn uploaders(&self, search_term: Option<&str>) -> Result<Vec<Uploader>, ApiError> {
        let mut found = Vec::new();
        for (user, usage) in self.media.usage_of_all()? {
            let user_id = self.storage.user_id(user)?;
            if usage.files == 0 || !self.accounts.is_local(&user_id) {
                continue;
            }
            let display_name = self.profiles.of_account(user)?.display_name().map(str::to_owned);
            let is_meant = search_term.is_none_or(|term| {
                user_id.as_str().contains(term)
                    || display_name.as_deref().is_some_and(|name| name.contains(term))
            });
            if is_meant {
                found.push(Uploader { user_id, display_name, usage });
            }
        }
        Ok(found)
    }
}

/// The rooms with the most events on disk, by an estimate from the length of their timelines.
async fn largest_rooms(State(rooms): State<RoomAdministration>, _admin: Admin) -> Answer {
    blocking::run(move || {
        let mut sizes = Vec::new();
        for room in rooms.list(&RoomFilter::default())? {
            sizes.push((rooms.estimated_bytes(room.room)?, room.room_id));
        }
        sizes.sort_by(|a, b| b.cmp(a));
        let shown: Vec<_> = sizes
            .into_iter()
            .take(LARGEST_ROOMS)
            .map(|(bytes, room_id)| json!({ "room_id": room_id, "estimated_size": bytes }))
            .collect();
        Ok::<_, ApiError>(JsonResponse(json!({ "rooms": shown })))
    })
    .await
}
