//! What this server asks application services: whether a user or an alias of theirs is to exist ([querying]),
//! whether they are there ([pinging]), and what their networks have ([third-party networks]).
//!
//! [querying]: https://spec.matrix.org/v1.19/application-service-api/#querying
//! [pinging]: https://spec.matrix.org/v1.19/application-service-api/#pinging
//! [third-party networks]: https://spec.matrix.org/v1.19/application-service-api/#third-party-networks

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ruma::{RoomAliasId, UserId};
use serde_json::{Map, Value, json};

use super::{AppserviceClient, AppserviceError, limits};
use crate::users::{
    Appservices,
    appservices::{Appservice, Registration},
};

/// Asks application services. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AppserviceQueries {
    appservices: Appservices,
    client: AppserviceClient,
}

impl AppserviceQueries {
    /// Of those registered.
    pub fn new(appservices: Appservices, client: AppserviceClient) -> Self {
        Self { appservices, client }
    }

    /// Gives those that a user belongs to the chance to make the account: true when one of them says that there is
    /// such a user, who then has an account.
    pub async fn may_make_user(&self, user: &UserId) -> bool {
        let asked: Vec<_> = self.appservices.current().of_user(user).cloned().collect();
        self.any_knows(asked, "users", user.as_str()).await
    }

    /// The same for an alias and its room.
    pub async fn may_make_alias(&self, alias: &RoomAliasId) -> bool {
        let asked: Vec<_> = self.appservices.current().of_alias(alias).cloned().collect();
        self.any_knows(asked, "rooms", alias.as_str()).await
    }

    async fn any_knows(&self, asked: Vec<Arc<Appservice>>, what: &str, id: &str) -> bool {
        let id = encode(id);
        let mut last = None;
        for service in asked {
            if last.as_ref() == Some(&service.registration.id) {
                continue;
            }
            let registration = &service.registration;
            match self.get(registration, &format!("/{what}/{id}"), &format!("/{what}/{id}")).await {
                Ok(_) => return true,
                Err(AppserviceError::Refused { .. } | AppserviceError::NoUrl) => {}
                Err(error) => {
                    tracing::warn!(id = %registration.id, %error, "an application service was not asked");
                }
            }
            last = Some(service.registration.id.clone());
        }
        false
    }

    /// Asks on the path of now below `/_matrix/app/v1`, then on the one of before.
    async fn get(
        &self,
        registration: &Registration,
        path: &str,
        legacy: &str,
    ) -> Result<Bytes, AppserviceError> {
        let send = |path: String| async move {
            let time_max = limits::QUERY_TIME_MAX;
            self.client.send(registration, Method::GET, &path, Bytes::new(), time_max).await
        };
        match send(format!("/_matrix/app/v1{path}")).await {
            // A server that knows the path answers 404 with an errcode of its own, and again on the other.
            Err(error) if error.is_unknown_path() => send(legacy.to_owned()).await,
            answer => answer,
        }
    }

    /// Asks an application service whether it is there; how long it took.
    pub async fn ping(
        &self,
        registration: &Registration,
        transaction_id: Option<&str>,
    ) -> Result<Duration, AppserviceError> {
        let body = transaction_id.map_or(json!({}), |id| json!({ "transaction_id": id }));
        let started = std::time::Instant::now();
        let (path, body) = ("/_matrix/app/v1/ping", body.to_string().into());
        self.client.send(registration, Method::POST, path, body, limits::QUERY_TIME_MAX).await?;
        Ok(started.elapsed())
    }

    /// What application services say of a protocol that they bridge to; instances of all of them together. `None`
    /// when nobody bridges to it.
    pub async fn protocol(&self, protocol: &str) -> Option<Value> {
        let mut known: Option<Map<String, Value>> = None;
        for service in self.bridging_to(Some(protocol)) {
            let path = format!("/thirdparty/protocol/{}", encode(protocol));
            let Some(Value::Object(answer)) = self.third_party(&service.registration, &path, "").await else {
                continue;
            };
            match &mut known {
                Some(known) => add_instances(known, &answer),
                None => known = Some(answer),
            }
        }
        known.map(Value::Object)
    }

    /// All protocols that application services bridge to.
    pub async fn protocols(&self) -> Map<String, Value> {
        let mut names: Vec<String> = self
            .bridging_to(None)
            .into_iter()
            .flat_map(|service| service.registration.protocols.clone())
            .collect();
        names.sort();
        names.dedup();
        let mut protocols = Map::new();
        for name in names {
            if let Some(protocol) = self.protocol(&name).await {
                protocols.insert(name, protocol);
            }
        }
        protocols
    }

    /// Looks for locations or users (`kind`) of a network, or of all networks; `query` is the request's.
    pub async fn look_up(&self, kind: &str, protocol: Option<&str>, query: &str) -> Vec<Value> {
        let path = match protocol {
            Some(protocol) => format!("/thirdparty/{kind}/{}", encode(protocol)),
            None => format!("/thirdparty/{kind}"),
        };
        let mut found = Vec::new();
        for service in self.bridging_to(protocol) {
            if let Some(Value::Array(answer)) = self.third_party(&service.registration, &path, query).await {
                found.extend(answer);
            }
        }
        found
    }

    async fn third_party(&self, registration: &Registration, path: &str, query: &str) -> Option<Value> {
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        let path = format!("{path}{query}");
        let legacy = format!("/_matrix/app/unstable{path}");
        match self.get(registration, &path, &legacy).await {
            Ok(body) => serde_json::from_slice(&body).ok(),
            Err(error) => {
                tracing::debug!(id = %registration.id, %error, "an application service did not say what it bridges");
                None
            }
        }
    }

    fn bridging_to(&self, protocol: Option<&str>) -> Vec<Arc<Appservice>> {
        let bridges = |service: &&Arc<Appservice>| {
            let registration = &service.registration;
            let protocols = &registration.protocols;
            let fits =
                protocol.map_or(!protocols.is_empty(), |wanted| protocols.iter().any(|has| has == wanted));
            registration.url.is_some() && fits
        };
        self.appservices.current().all().iter().filter(bridges).cloned().collect()
    }
}

/// What a path's segment may hold as it is (RFC 3986, "unreserved").
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn encode(segment: &str) -> String {
    utf8_percent_encode(segment, ENCODED).to_string()
}

fn add_instances(known: &mut Map<String, Value>, more: &Map<String, Value>) {
    let Some(Value::Array(more)) = more.get("instances") else { return };
    if let Some(Value::Array(known)) = known.get_mut("instances") {
        known.extend(more.iter().cloned());
    }
}
