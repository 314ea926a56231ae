//! Signing keys: ours, and, as a notary, those of others (server-server API, "Retrieving server keys").

use std::collections::BTreeMap;

use axum::extract::{FromRef, State};
use ruma::{
    MilliSecondsSinceUnixEpoch,
    api::federation::discovery::{
        get_remote_server_keys::v2 as query, get_remote_server_keys_batch::v2 as query_batch,
        get_server_keys::v2 as own,
    },
};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, routes::Routes},
    federation::ServerKeys,
};

/// Adds the endpoints of this file.
pub fn routes<S>(routes: Routes<S>) -> Routes<S>
where
    S: Clone + Send + Sync + 'static,
    ServerKeys: FromRef<S>,
{
    routes
        .add::<own::Request, _, _>(own_keys)
        .add::<query::Request, _, _>(query_keys)
        .add::<query_batch::Request, _, _>(query_many_keys)
}

/// `GET /_matrix/key/v2/server`: our keys, signed by us.
async fn own_keys(State(keys): State<ServerKeys>, Ruma(_): Ruma<own::Request>) -> ApiResult<own::Response> {
    Ok(RumaResponse(own::Response::new(keys.own_document()?)))
}

/// `GET /_matrix/key/v2/query/{serverName}`: another server's keys, signed by us besides; an empty list if they
/// can't be had.
async fn query_keys(
    State(keys): State<ServerKeys>,
    Ruma(request): Ruma<query::Request>,
) -> ApiResult<query::Response> {
    let servers = BTreeMap::from([(request.server_name, request.minimum_valid_until_ts)]);
    Ok(RumaResponse(query::Response::new(keys.notarised(servers).await?)))
}

/// `POST /_matrix/key/v2/query`: the same for several servers. All keys that a server has are in its document,
/// so that which ones were asked for only says how long they must be valid.
async fn query_many_keys(
    State(keys): State<ServerKeys>,
    Ruma(request): Ruma<query_batch::Request>,
) -> ApiResult<query_batch::Response> {
    let now = MilliSecondsSinceUnixEpoch::now();
    let servers = request.server_keys.into_iter().map(|(server, criteria)| {
        let wanted = criteria.into_values().filter_map(|criterion| criterion.minimum_valid_until_ts);
        (server, wanted.max().unwrap_or(now))
    });
    Ok(RumaResponse(query_batch::Response::new(keys.notarised(servers.collect()).await?)))
}
