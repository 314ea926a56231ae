//! Pages of room directories, for clients and for other servers.

use ruma::{
    OwnedServerName, UInt,
    api::federation::directory::get_public_rooms_filtered::v1::{
        Request as ForeignRequest, Response as Foreign,
    },
    directory::{Filter, RoomNetwork},
};

use super::{ApiError, blocking};
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
