//! What a user has: `…/users/{userId}/pushers`, `accountdata`, `joined_rooms`, `memberships`.

use axum::extract::{FromRef, State};
use serde_json::{Map, Value, json};

use crate::{
    api::{
        ApiError, ApiState, PathArguments,
        admin::{Admin, account, user_id},
        blocking,
        client::shown_pusher,
        json::JsonResponse,
    },
    push::Pushers,
    rooms::Members,
    storage::{Read, Storage, records::Membership},
    users::{AccountData, Accounts},
};

/// What looks at a user's things.
#[derive(Clone)]
pub struct Belongings {
    storage: Storage,
    accounts: Accounts,
    pushers: Pushers,
    members: Members,
}

impl FromRef<ApiState> for Belongings {
    fn from_ref(state: &ApiState) -> Self {
        Self {
            storage: state.shared.storage.clone(),
            accounts: state.users.accounts.clone(),
            pushers: state.push.pushers.clone(),
            members: state.rooms.members.clone(),
        }
    }
}

/// `GET …/pushers`.
pub async fn pushers(
    State(of): State<Belongings>,
    _admin: Admin,
    PathArguments(user_id): PathArguments<String>,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || {
        let account = account(&of.accounts, &user_id)?;
        let pushers = of.pushers.of_user(account.user)?;
        let pushers: Vec<_> = pushers.into_iter().map(shown_pusher).collect();
        Ok::<_, ApiError>(JsonResponse(json!({ "total": pushers.len(), "pushers": pushers })))
    })
    .await
}

/// `GET …/accountdata`.
pub async fn account_data(
    State(of): State<Belongings>,
    _admin: Admin,
    PathArguments(user_id): PathArguments<String>,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || {
        let account = account(&of.accounts, &user_id)?;
        let mut global = Map::new();
        let mut rooms: Map<String, Value> = Map::new();
        for entry in AccountData::all(&of.storage, account.user)? {
            let content = json!(entry.content);
            match entry.room {
                None => global.insert(entry.event_type, content),
                Some(room) => {
                    let room_id = of.storage.room_id(room)?.to_string();
                    let of_room = rooms.entry(room_id).or_insert_with(|| json!({}));
                    of_room.as_object_mut().and_then(|of_room| of_room.insert(entry.event_type, content))
                }
            };
        }
        Ok::<_, ApiError>(JsonResponse(json!({ "account_data": { "global": global, "rooms": rooms } })))
    })
    .await
}

/// `GET …/joined_rooms`: of users of other servers, those that this server knows of.
pub async fn joined_rooms(
    State(of): State<Belongings>,
    _admin: Admin,
    PathArguments(id): PathArguments<String>,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || {
        let known = of.storage.short_user_id(&user_id(&id)?)?;
        let rooms = known.map(|user| of.members.joined_rooms(user)).transpose()?.unwrap_or_default();
        Ok::<_, ApiError>(JsonResponse(json!({ "total": rooms.len(), "joined_rooms": rooms })))
    })
    .await
}

/// `GET …/memberships`: every room that the user has or had to do with.
pub async fn memberships(
    State(of): State<Belongings>,
    _admin: Admin,
    PathArguments(id): PathArguments<String>,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || {
        let known = of.storage.short_user_id(&user_id(&id)?)?;
        let rooms = known.map(|user| of.members.memberships(user)).transpose()?.unwrap_or_default();
        let rooms: Map<String, Value> = rooms
            .into_iter()
            .map(|(room_id, membership): (_, Membership)| (room_id.to_string(), json!(membership.as_str())))
            .collect();
        Ok::<_, ApiError>(JsonResponse(json!({ "memberships": rooms })))
    })
    .await
}
