//! The server itself: its version, work in the background, notices to users.

use axum::extract::State;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, account};
use crate::{
    api::{
        ApiError, PathArguments, blocking,
        json::{JsonBody, JsonResponse},
        routes::Routes,
    },
    rooms::{RoomDeletions, ServerNotices, deletion::id_text},
    storage::records::DeletionPhase,
    users::Accounts,
};

/// Adds the endpoints of this file.
pub fn routes(routes: Routes) -> Routes {
    let notice = "/_synapse/admin/v1/send_server_notice";
    routes
        .add_at(Method::GET, "/_synapse/admin/v1/server_version", version)
        .add_at(Method::GET, "/_synapse/admin/v1/background_updates/status", background_updates)
        .add_at(Method::GET, "/_synapse/admin/v1/background_updates/enabled", background_updates_enabled)
        .add_at(Method::GET, "/_synapse/admin/v1/scheduled_tasks", scheduled_tasks)
        .add_at(Method::POST, notice, send_notice)
        .add_at(Method::PUT, &format!("{notice}/{{txn_id}}"), send_notice_once)
}

type Answer = Result<JsonResponse<Value>, ApiError>;

/// Asked by anybody, as Synapse has it.
async fn version() -> JsonResponse<Value> {
    JsonResponse(json!({ "server_version": concat!("conduit ", env!("CARGO_PKG_VERSION")) }))
}

/// This server changes its tables when it starts, never beside its work.
async fn background_updates(_admin: Admin) -> JsonResponse<Value> {
    JsonResponse(json!({ "enabled": true, "current_updates": {} }))
}

async fn background_updates_enabled(_admin: Admin) -> JsonResponse<Value> {
    JsonResponse(json!({ "enabled": true }))
}

/// The deletions of rooms are the one kind of long work there is.
async fn scheduled_tasks(State(deletions): State<RoomDeletions>, _admin: Admin) -> Answer {
    let all = blocking::run(move || deletions.all()).await?;
    let tasks: Vec<_> = all
        .into_iter()
        .map(|(id, record)| {
            json!({
                "id": id_text(id),
                "action": "shutdown_and_purge_room",
                "status": match record.phase {
                    DeletionPhase::Scheduled => "scheduled",
                    DeletionPhase::ShuttingDown | DeletionPhase::Purging => "active",
                    DeletionPhase::Complete => "complete",
                    DeletionPhase::Failed => "failed",
                },
                "timestamp_ms": record.started_at_ms,
                "resource_id": record.room_id,
                "result": { "events_removed": record.events_removed },
                "error": record.error,
            })
        })
        .collect();
    Ok(JsonResponse(json!({ "scheduled_tasks": tasks })))
}

/// A notice.
#[derive(Debug, Deserialize)]
struct NoticeBody {
    user_id: String,
    content: serde_json::Map<String, Value>,
    r#type: Option<String>,
    state_key: Option<String>,
}

async fn send_notice(
    State(notices): State<ServerNotices>,
    State(accounts): State<Accounts>,
    _admin: Admin,
    JsonBody(body): JsonBody<NoticeBody>,
) -> Answer {
    blocking::run(move || send(&notices, &accounts, body, None)).await
}

async fn send_notice_once(
    State(notices): State<ServerNotices>,
    State(accounts): State<Accounts>,
    Admin(admin): Admin,
    PathArguments(txn_id): PathArguments<String>,
    JsonBody(body): JsonBody<NoticeBody>,
) -> Answer {
    let transaction = format!("{}/{txn_id}", admin.user_id);
    blocking::run(move || send(&notices, &accounts, body, Some(transaction))).await
}

fn send(
    notices: &ServerNotices,
    accounts: &Accounts,
    body: NoticeBody,
    transaction: Option<String>,
) -> Answer {
    let to = account(accounts, &body.user_id)?;
    if to.record.is_deactivated {
        return Err(ApiError::not_found("The user's account is closed"));
    }
    let event_type = body.r#type.unwrap_or_else(|| "m.room.message".to_owned());
    let content = serde_json::value::to_raw_value(&body.content)
        .map_err(|error| ApiError::bad_json(error.to_string()))?;
    let content = crate::api::client::parse_content(&content)?;
    let event_id = notices.send(&to.user_id, event_type, body.state_key, content, transaction)?;
    Ok(JsonResponse(json!({ "event_id": event_id })))
}
