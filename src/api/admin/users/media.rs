//! `…/users/{userId}/media`: what a user has uploaded.

use std::cmp::Ordering;

use axum::extract::{FromRef, State};
use serde_json::{Value, json};

use crate::{
    api::{
        ApiError, ApiState, PathArguments,
        admin::{Admin, PageQuery, account},
        blocking,
        json::JsonResponse,
    },
    media::{MediaEntry, MediaStore},
    users::Accounts,
};

/// What lists and removes a user's media.
#[derive(Clone)]
pub struct UserMedia {
    accounts: Accounts,
    media: MediaStore,
}

impl FromRef<ApiState> for UserMedia {
    fn from_ref(state: &ApiState) -> Self {
        Self { accounts: state.users.accounts.clone(), media: state.media.media.clone() }
    }
}

/// `GET …/media`.
pub async fn list(
    State(service): State<UserMedia>,
    _admin: Admin,
    PathArguments(user_id): PathArguments<String>,
    page: PageQuery,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || {
        let all = service.ordered(&user_id, &page)?;
        let total = all.len();
        let media: Vec<_> = page.cut(all).into_iter().map(shown).collect();
        let mut answer = json!({ "media": media, "total": total });
        if let (Some(next), Value::Object(answer)) = (page.next(total), &mut answer) {
            answer.insert("next_token".to_owned(), json!(next));
        }
        Ok::<_, ApiError>(JsonResponse(answer))
    })
    .await
}

/// `DELETE …/media`: removes what the same list would show.
pub async fn delete(
    State(service): State<UserMedia>,
    _admin: Admin,
    PathArguments(user_id): PathArguments<String>,
    page: PageQuery,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || {
        let mut deleted = Vec::new();
        for entry in page.cut(service.ordered(&user_id, &page)?) {
            if service.media.remove(&entry.address)? {
                deleted.push(entry.address.media_id);
            }
        }
        Ok::<_, ApiError>(JsonResponse(json!({ "total": deleted.len(), "deleted_media": deleted })))
    })
    .await
}

impl UserMedia {
    fn ordered(&self, user_id: &str, page: &PageQuery) -> Result<Vec<MediaEntry>, ApiError> {
        let account = account(&self.accounts, user_id)?;
        let mut all = self.media.all_of_user(account.user)?;
        let order = order(page.order_by.as_deref().unwrap_or("created_ts"))?;
        let is_backward = page.is_backward.unwrap_or(page.order_by.is_none());
        all.sort_by(|a, b| a.address.media_id.cmp(&b.address.media_id));
        all.sort_by(|a, b| if is_backward { order(b, a) } else { order(a, b) });
        Ok(all)
    }
}

fn order(order_by: &str) -> Result<fn(&MediaEntry, &MediaEntry) -> Ordering, ApiError> {
    Ok(match order_by {
        "media_id" => |a, b| a.address.media_id.cmp(&b.address.media_id),
        "upload_name" => |a, b| a.record.filename.cmp(&b.record.filename),
        "created_ts" => |a, b| a.record.created_ms.cmp(&b.record.created_ms),
        "last_access_ts" => |a, b| a.last_used_ms.cmp(&b.last_used_ms),
        "media_length" => |a, b| a.record.bytes.cmp(&b.record.bytes),
        "media_type" => |a, b| a.record.content_type.cmp(&b.record.content_type),
        "quarantined_by" => |a, b| a.record.quarantined_by.cmp(&b.record.quarantined_by),
        "safe_from_quarantine" => |a, b| a.record.is_protected.cmp(&b.record.is_protected),
        _ => return Err(ApiError::invalid_param("Media can't be ordered by this")),
    })
}

fn shown(entry: MediaEntry) -> Value {
    let record = entry.record;
    json!({
        "media_id": entry.address.media_id,
        "created_ts": record.created_ms,
        "last_access_ts": entry.last_used_ms,
        "media_length": record.bytes,
        "media_type": record.content_type,
        "upload_name": record.filename,
        "quarantined_by": record.quarantined_by,
        "safe_from_quarantine": record.is_protected,
    })
}
