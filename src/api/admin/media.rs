//! Media: quarantine, protection, removal (`/_synapse/admin/v1/media/…` and what belongs to it).

use axum::extract::{FromRef, State};
use http::Method;
use ruma::OwnedServerName;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, FilterQuery, account, local_user_id};
use crate::{
    api::{ApiError, ApiState, PathArguments, blocking, json::JsonResponse, routes::Routes},
    media::{MediaAddress, MediaEntry, MediaStore, Removed},
    rooms::RoomAdministration,
    users::Accounts,
};

/// What looks after media.
#[derive(Clone)]
pub struct MediaAdmin {
    media: MediaStore,
    accounts: Accounts,
    rooms: RoomAdministration,
}

impl FromRef<ApiState> for MediaAdmin {
    fn from_ref(state: &ApiState) -> Self {
        Self {
            media: state.media.media.clone(),
            accounts: state.users.accounts.clone(),
            rooms: state.rooms.room_administration.clone(),
        }
    }
}

/// Adds the endpoints of this file.
pub fn routes(routes: Routes) -> Routes {
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    let v1 = |rest: &str| format!("/_synapse/admin/v1/{rest}");
    routes
        .add_at(get.clone(), &v1("media/{server_name}/{media_id}"), details)
        .add_at(delete, &v1("media/{server_name}/{media_id}"), remove)
        .add_at(post.clone(), &v1("media/delete"), remove_old)
        .add_at(post.clone(), &v1("media/{server_name}/delete"), remove_old)
        .add_at(post.clone(), &v1("purge_media_cache"), purge_cache)
        .add_at(post.clone(), &v1("media/quarantine/{server_name}/{media_id}"), quarantine)
        .add_at(post.clone(), &v1("media/unquarantine/{server_name}/{media_id}"), release)
        .add_at(post.clone(), &v1("media/protect/{media_id}"), protect)
        .add_at(post.clone(), &v1("media/unprotect/{media_id}"), unprotect)
        .add_at(post.clone(), &v1("user/{user_id}/media/quarantine"), quarantine_of_user)
        .add_at(post.clone(), &v1("room/{room_id}/media/quarantine"), quarantine_of_room)
        .add_at(post, &v1("quarantine_media/{room_id}"), quarantine_of_room)
        .add_at(get, &v1("room/{room_id}/media"), of_room)
}

type Address = PathArguments<(OwnedServerName, String)>;
type Answer = Result<JsonResponse<Value>, ApiError>;

async fn details(
    State(service): State<MediaAdmin>,
    _admin: Admin,
    PathArguments((server, media_id)): Address,
) -> Answer {
    let address = MediaAddress::new(server, media_id)?;
    let entry = blocking::run(move || service.media.entry(&address)).await?;
    let entry = entry.ok_or_else(|| ApiError::not_found("Unknown media"))?;
    Ok(JsonResponse(json!({ "media_info": shown(&entry) })))
}

fn shown(entry: &MediaEntry) -> Value {
    let record = &entry.record;
    json!({
        "media_origin": entry.address.server_name,
        "media_id": entry.address.media_id,
        "user_id": null,
        "media_type": record.content_type,
        "media_length": record.bytes,
        "upload_name": record.filename,
        "created_ts": record.created_ms,
        "last_access_ts": entry.last_used_ms,
        "quarantined_by": record.quarantined_by,
        "safe_from_quarantine": record.is_protected,
    })
}

async fn remove(
    State(service): State<MediaAdmin>,
    _admin: Admin,
    PathArguments((server, media_id)): Address,
) -> Answer {
    if server != service.accounts.server_name() {
        return Err(ApiError::invalid_param("Only media of this server can be deleted"));
    }
    let address = MediaAddress::new(server, media_id.clone())?;
    if !blocking::run(move || service.media.remove(&address)).await? {
        return Err(ApiError::not_found("Unknown media"));
    }
    Ok(JsonResponse(json!({ "deleted_media": [media_id], "total": 1 })))
}

/// Which local media is removed.
#[derive(Debug, Deserialize)]
struct OldQuery {
    before_ts: u64,
    #[serde(default)]
    size_gt: u64,
}

/// Removes local media by age and size; what is protected stays.
async fn remove_old(
    State(service): State<MediaAdmin>,
    _admin: Admin,
    FilterQuery(query): FilterQuery<OldQuery>,
) -> Answer {
    let bytes_min = query.size_gt.saturating_add(u64::from(query.size_gt > 0));
    let removed =
        blocking::run(move || service.media.remove_local_before(query.before_ts, bytes_min)).await?;
    let Removed { addresses, .. } = removed;
    let ids: Vec<_> = addresses.into_iter().map(|address| address.media_id).collect();
    Ok(JsonResponse(json!({ "total": ids.len(), "deleted_media": ids })))
}

#[derive(Debug, Deserialize)]
struct CacheQuery {
    before_ts: u64,
}

/// Removes media of other servers that nobody has asked for since.
async fn purge_cache(
    State(service): State<MediaAdmin>,
    _admin: Admin,
    FilterQuery(query): FilterQuery<CacheQuery>,
) -> Answer {
    let removed = blocking::run(move || service.media.remove_remote_before(query.before_ts)).await?;
    Ok(JsonResponse(json!({ "deleted": removed.addresses.len() })))
}

async fn quarantine(
    State(service): State<MediaAdmin>,
    Admin(admin): Admin,
    PathArguments((server, media_id)): Address,
) -> Answer {
    let address = MediaAddress::new(server, media_id)?;
    blocking::run(move || service.media.quarantine(&address, Some(admin.user_id.as_str()))).await?;
    Ok(JsonResponse(json!({})))
}

async fn release(
    State(service): State<MediaAdmin>,
    _admin: Admin,
    PathArguments((server, media_id)): Address,
) -> Answer {
    let address = MediaAddress::new(server, media_id)?;
    blocking::run(move || service.media.quarantine(&address, None)).await?;
    Ok(JsonResponse(json!({})))
}

async fn protect(
    service: State<MediaAdmin>,
    admin: Admin,
    PathArguments(media_id): PathArguments<String>,
) -> Answer {
    set_protected(service, admin, media_id, true).await
}

async fn unprotect(
    service: State<MediaAdmin>,
    admin: Admin,
    PathArguments(media_id): PathArguments<String>,
) -> Answer {
    set_protected(service, admin, media_id, false).await
}

async fn set_protected(
    State(service): State<MediaAdmin>,
    _admin: Admin,
    media_id: String,
    is_protected: bool,
) -> Answer {
    let address = MediaAddress::new(service.accounts.server_name().to_owned(), media_id)?;
    if !blocking::run(move || service.media.protect(&address, is_protected)).await? {
        return Err(ApiError::not_found("Unknown media"));
    }
    Ok(JsonResponse(json!({})))
}

async fn quarantine_of_user(
    State(service): State<MediaAdmin>,
    Admin(admin): Admin,
    PathArguments(user_id): PathArguments<String>,
) -> Answer {
    let count = blocking::run(move || {
        local_user_id(&service.accounts, &user_id)?;
        let account = account(&service.accounts, &user_id)?;
        Ok::<_, ApiError>(service.media.quarantine_of_user(account.user, admin.user_id.as_str())?)
    })
    .await?;
    Ok(JsonResponse(json!({ "num_quarantined": count })))
}

/// The media that a room's events name, of this server and of others.
async fn of_room(
    State(service): State<MediaAdmin>,
    _admin: Admin,
    PathArguments(room_id): PathArguments<ruma::OwnedRoomId>,
) -> Answer {
    let own = service.accounts.server_name().to_owned();
    let found = blocking::run(move || service.rooms.media(&room_id)).await?;
    let (local, remote): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|address| address.server_name() == Ok(&*own));
    Ok(JsonResponse(json!({ "local": local, "remote": remote })))
}

async fn quarantine_of_room(
    State(service): State<MediaAdmin>,
    Admin(admin): Admin,
    PathArguments(room_id): PathArguments<ruma::OwnedRoomId>,
) -> Answer {
    let count = blocking::run(move || {
        let mut count = 0_usize;
        for uri in service.rooms.media(&room_id)? {
            let Ok((server, media_id)) = uri.parts() else { continue };
            let Ok(address) = MediaAddress::new(server.to_owned(), media_id.to_owned()) else { continue };
            count += usize::from(service.media.quarantine(&address, Some(admin.user_id.as_str()))?);
        }
        Ok::<_, ApiError>(count)
    })
    .await?;
    Ok(JsonResponse(json!({ "num_quarantined": count })))
}
