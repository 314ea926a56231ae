//! `/_synapse/admin/v1/federation/destinations`: the servers that this one sends to.

use axum::extract::{FromRef, State};
use http::Method;
use ruma::OwnedServerName;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, FilterQuery, PageQuery};
use crate::{
    api::{ApiError, ApiState, PathArguments, blocking, json::JsonResponse, routes::Routes},
    federation::{Destination, Destinations, FederationClient},
};

/// Adds the endpoints of this file.
pub fn routes(routes: Routes) -> Routes {
    let all = "/_synapse/admin/v1/federation/destinations";
    routes
        .add_at(Method::GET, all, list)
        .add_at(Method::GET, &format!("{all}/{{server}}"), get)
        .add_at(Method::GET, &format!("{all}/{{server}}/rooms"), rooms)
        .add_at(Method::POST, &format!("{all}/{{server}}/reset_connection"), reset)
}

type Answer = Result<JsonResponse<Value>, ApiError>;

/// What knows of other servers.
#[derive(Clone)]
pub struct DestinationReader {
    destinations: Destinations,
    client: FederationClient,
}

impl FromRef<ApiState> for DestinationReader {
    fn from_ref(state: &ApiState) -> Self {
        let client = state.federation.federation_client.clone();
        let destinations = Destinations::new(
            state.shared.storage.clone(),
            client.backoff().clone(),
            state.users.accounts.server_name().to_owned(),
        );
        Self { destinations, client }
    }
}

#[derive(Debug, Deserialize)]
struct Filter {
    destination: Option<String>,
}

async fn list(
    State(reader): State<DestinationReader>,
    _admin: Admin,
    page: PageQuery,
    FilterQuery(filter): FilterQuery<Filter>,
) -> Answer {
    blocking::run(move || {
        let mut all = reader.destinations.all()?;
        let part = filter.destination.unwrap_or_default();
        all.retain(|destination| destination.server.as_str().contains(&part));
        match page.order_by.as_deref().unwrap_or("destination") {
            "destination" => {}
            "retry_last_ts" | "retry_interval" => {
                all.sort_by_key(|destination| destination.failures.as_ref().map(|failures| failures.until))
            }
            "failure_ts" => {
                all.sort_by_key(|destination| destination.failures.as_ref().map(|failures| failures.since))
            }
            "last_successful_stream_ordering" => all.sort_by_key(|destination| destination.delivered),
            _ => return Err(ApiError::invalid_param("Destinations can't be ordered by this")),
        }
        if page.is_backward == Some(true) {
            all.reverse();
        }
        let total = all.len();
        let shown: Vec<_> = page.cut(all).iter().map(shown).collect();
        let mut answer = json!({ "destinations": shown, "total": total });
        if let (Some(next), Value::Object(answer)) = (page.next(total), &mut answer) {
            answer.insert("next_token".to_owned(), json!(next.to_string()));
        }
        Ok(JsonResponse(answer))
    })
    .await
}

async fn get(
    State(reader): State<DestinationReader>,
    _admin: Admin,
    PathArguments(server): PathArguments<OwnedServerName>,
) -> Answer {
    let found = blocking::run(move || reader.destinations.get(&server)).await?;
    let found = found.ok_or_else(|| ApiError::not_found("Unknown destination"))?;
    Ok(JsonResponse(shown(&found)))
}

fn shown(destination: &Destination) -> Value {
    let failures = destination.failures.as_ref();
    let since = failures.map(|failures| u64::from(failures.since.get()));
    let until = failures.map(|failures| u64::from(failures.until.get()));
    json!({
        "destination": destination.server,
        "retry_last_ts": since.unwrap_or(0),
        "retry_interval": until.zip(since).map_or(0, |(until, since)| until.saturating_sub(since)),
        "failure_ts": since,
        "last_successful_stream_ordering": destination.delivered,
    })
}

async fn rooms(
    State(reader): State<DestinationReader>,
    _admin: Admin,
    PathArguments(server): PathArguments<OwnedServerName>,
    page: PageQuery,
) -> Answer {
    let rooms = blocking::run(move || reader.destinations.rooms(&server)).await?;
    let mut rooms = rooms.ok_or_else(|| ApiError::not_found("Unknown destination"))?;
    if page.is_backward == Some(true) {
        rooms.reverse();
    }
    let total = rooms.len();
    let shown: Vec<_> = page
        .cut(rooms)
        .into_iter()
        .map(|(room_id, newest)| json!({ "room_id": room_id, "stream_ordering": newest }))
        .collect();
    let mut answer = json!({ "rooms": shown, "total": total });
    if let (Some(next), Value::Object(answer)) = (page.next(total), &mut answer) {
        answer.insert("next_token".to_owned(), json!(next.to_string()));
    }
    Ok(JsonResponse(answer))
}

/// Lets a server that is left alone be tried at once.
async fn reset(
    State(reader): State<DestinationReader>,
    _admin: Admin,
    PathArguments(server): PathArguments<OwnedServerName>,
) -> Answer {
    if reader.client.backoff().until(&server).is_none() {
        return Err(ApiError::invalid_param(
            "The retry timing does not need to be reset for this destination",
        ));
    }
    reader.client.backoff().seen_alive(&server);
    Ok(JsonResponse(json!({})))
}
