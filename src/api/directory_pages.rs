//! Pages of room directories, for clients and for other servers.

use axum::response::{IntoResponse, Response};
use ruma::{
    OwnedServerName, UInt,
    api::federation::directory::get_public_rooms_filtered::v1::{
        Request as ForeignRequest, Response as Foreign,
    },
    directory::{Filter, PublicRoomsChunk, RoomNetwork},
    room::JoinRuleKind,
};
use serde::Serialize;

use super::{ApiError, blocking, json::JsonResponse};
use crate::{
    federation::FederationClient,
    rooms::{ReadError, RoomDirectory},
};

/// What is asked for.
#[derive(Debug, Default)]
pub struct DirectoryQuery {
    /// Where to go on.
    pub since: Option<String>,
    /// The most rooms to return.
    pub limit: Option<UInt>,
    /// Which rooms.
    pub filter: Filter,
    /// Whose rooms.
    pub network: RoomNetwork,
}

/// A page as it is answered, to clients and servers alike. ruma's types leave the join rule out where it is the
/// default, and clients then don't know whether the other server tells it at all.
#[derive(Debug, Serialize)]
pub struct DirectoryAnswer {
    chunk: Vec<ListedRoom>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_batch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_room_count_estimate: Option<UInt>,
}

#[derive(Debug, Serialize)]
struct ListedRoom {
    #[serde(flatten)]
    room: PublicRoomsChunk,
    /// Where the room does not say it itself.
    #[serde(rename = "join_rule", skip_serializing_if = "Option::is_none")]
    default_join_rule: Option<JoinRuleKind>,
}

impl From<Foreign> for DirectoryAnswer {
    fn from(page: Foreign) -> Self {
        let listed = |room: PublicRoomsChunk| {
            let default = JoinRuleKind::default();
            ListedRoom { default_join_rule: (room.join_rule == default).then_some(default), room }
        };
        Self {
            chunk: page.chunk.into_iter().map(listed).collect(),
            next_batch: page.next_batch,
            prev_batch: page.prev_batch,
            total_room_count_estimate: page.total_room_count_estimate,
        }
    }
}

impl IntoResponse for DirectoryAnswer {
    fn into_response(self) -> Response {
        JsonResponse(self).into_response()
    }
}

/// A page of this server's directory.
pub async fn own_page(directory: RoomDirectory, query: DirectoryQuery) -> Result<Foreign, ApiError> {
    let mut answer = Foreign::new();
    // No bridge lists rooms of its own yet, so another network's list is empty.
    if matches!(query.network, RoomNetwork::ThirdParty(_)) {
        return Ok(answer);
    }
    let limit = query.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let work = move || {
        let since = query.since.as_deref().filter(|token| !token.is_empty()).map(str::parse).transpose()?;
        Ok::<_, ReadError>(directory.page(since, limit, &query.filter)?)
    };
    let page = blocking::run(work).await?;
    answer.chunk = page.rooms;
    answer.next_batch = page.next.map(|token| token.to_string());
    answer.prev_batch = page.previous.map(|token| token.to_string());
    answer.total_room_count_estimate = UInt::try_from(page.total).ok();
    Ok(answer)
}

/// A page of another server's directory, as that server tells it.
pub async fn foreign_page(
    client: &FederationClient,
    server: &OwnedServerName,
    query: DirectoryQuery,
) -> Result<Foreign, ApiError> {
    let mut request = ForeignRequest::new();
    request.since = query.since;
    request.limit = query.limit;
    request.filter = query.filter;
    request.room_network = query.network;
    Ok(client.send(server, request).await?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_room_is_listed_with_its_join_rule_said_once() {
        let room = |join_rule: &str| {
            json!({
                "num_joined_members": 1, "room_id": "!a:b.c", "world_readable": false, "guest_can_join": false,
                "join_rule": join_rule,
            })
        };
        let page = json!({"chunk": [room("public"), room("knock")], "total_room_count_estimate": 2});
        let mut answer = Foreign::new();
        answer.chunk = serde_json::from_value(page["chunk"].clone()).unwrap();
        answer.total_room_count_estimate = Some(ruma::uint!(2));
        let text = serde_json::to_string(&DirectoryAnswer::from(answer)).unwrap();
        assert_eq!(text.matches("join_rule").count(), 2, "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), page);
    }
}
