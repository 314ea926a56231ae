//! Keys of other servers' users: from what is known while it is good, and else asked for.
//!
//! Some servers are asked at a time, and a server that does not answer in time is told of and holds nobody else up.
//! One that went out of order just now is asked again within that time: a message that is sent without the keys of a
//! device will never be read there. Main type: [`RemoteKeys`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use ruma::{
    OneTimeKeyAlgorithm, OwnedDeviceId, OwnedServerName, OwnedUserId, ServerName, UserId,
    api::{
        OutgoingRequest,
        federation::{device::get_devices, keys::claim_keys, keys::get_keys},
    },
    serde::Raw,
};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    FederationClient, FederationError, SendOptions,
    client::{FederationAuthentication, FederationPath},
    limits,
};
use crate::users::{
    RemoteDevices, UserError,
    keys::{ClaimedKeys, KeyClaims},
    remote_devices::{FetchTicket, FetchedDevices, RemoteUserKeys},
};

/// What was found of users' keys.
#[derive(Debug, Default)]
pub struct RemoteKeyAnswer {
    /// Keys by user.
    pub users: BTreeMap<OwnedUserId, RemoteUserKeys>,
    /// Servers that could not be asked.
    pub failures: BTreeSet<OwnedServerName>,
}

/// Why keys could not be got.
#[derive(Debug, thiserror::Error)]
pub enum RemoteKeyError {
    /// The other server.
    #[error(transparent)]
    Federation(#[from] FederationError),
    /// This one.
    #[error(transparent)]
    Users(#[from] UserError),
    /// The work was ended.
    #[error("the server is stopping")]
    Stopping,
}

/// Finds keys. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RemoteKeys {
    client: FederationClient,
    devices: RemoteDevices,
    /// Questions under way.
    places: Arc<Semaphore>,
}

/// Users of one server that have to be asked for.
type Wanted = Vec<(OwnedUserId, FetchTicket)>;

impl RemoteKeys {
    /// Asks with `client` and keeps answers in `devices`.
    pub fn new(client: FederationClient, devices: RemoteDevices) -> Self {
        Self { client, devices, places: Arc::new(Semaphore::new(limits::KEY_QUERIES_CONCURRENT_MAX)) }
    }

    /// What is known of their devices.
    pub fn devices(&self) -> &RemoteDevices {
        &self.devices
    }

    /// All keys of users of other servers, each server asked for at most `time_max`.
    pub async fn query(
        &self,
        users: Vec<OwnedUserId>,
        time_max: Duration,
    ) -> Result<RemoteKeyAnswer, UserError> {
        let devices = self.devices.clone();
        let (mut answer, wanted) = blocking(move || sort_out(&devices, users)).await?;
        let mut questions = JoinSet::new();
        for (server, wanted) in wanted {
            let (this, time_max) = (self.clone(), time_max.min(limits::KEY_QUERY_TIME_MAX));
            questions.spawn(async move {
                let found = this.ask(&server, wanted, time_max).await;
                (server, found)
            });
        }
        while let Some(finished) = questions.join_next().await {
            match finished {
                Ok((_, Ok(found))) => answer.users.extend(found),
                Ok((server, Err(e))) => {
                    tracing::debug!(%server, "keys could not be asked for: {e}");
                    answer.failures.insert(server);
                }
                Err(e) => tracing::error!("a question for keys ended: {e}"),
            }
        }
        Ok(answer)
    }

    async fn ask(
        &self,
        server: &ServerName,
        wanted: Wanted,
        time_max: Duration,
    ) -> Result<BTreeMap<OwnedUserId, RemoteUserKeys>, RemoteKeyError> {
        let options = SendOptions { time_max, ..SendOptions::default() };
        let work = async {
            let _place = self.places.acquire().await.map_err(|_| RemoteKeyError::Stopping)?;
            let (singly, together) = split(wanted);
            let mut found = BTreeMap::new();
            for (user_id, ticket) in singly {
                let request = get_devices::v1::Request::new(user_id.clone());
                let response = self.ask_through_outage(server, request, options).await?;
                let fetched = of_devices(&user_id, response)?;
                found.insert(user_id.clone(), self.keep(user_id, fetched, ticket).await?);
            }
            if together.is_empty() {
                return Ok(found);
            }
            let all = together.iter().map(|(user_id, _)| (user_id.clone(), Vec::new())).collect();
            let mut response =
                self.ask_through_outage(server, get_keys::v1::Request::new(all), options).await?;
            for (user_id, ticket) in together {
                let fetched = of_query(&user_id, &mut response);
                found.insert(user_id.clone(), self.keep(user_id, fetched, ticket).await?);
            }
            Ok(found)
        };
        match tokio::time::timeout(time_max, work).await {
            Ok(found) => found,
            Err(_) => Err(FederationError::BadAnswer("not in time".to_owned()).into()),
        }
    }

    /// Asks a server, again and again while its outage is young. The caller bounds the time.
    async fn ask_through_outage<R>(
        &self,
        server: &ServerName,
        request: R,
        options: SendOptions,
    ) -> Result<R::IncomingResponse, FederationError>
    where
        R: OutgoingRequest + Clone,
        R::Authentication: FederationAuthentication,
        R::PathBuilder: FederationPath,
    {
        loop {
            let is_young = || {
                let outage = self.client.backoff().failing_for(server);
                outage.is_some_and(|it| it < limits::KEY_OUTAGE_WAITED_OUT)
            };
            let options = if is_young() { options.insisting() } else { options };
            match self.client.send_with(server, request.clone(), options).await {
                Err(error) if error.is_outage() && is_young() => {
                    tracing::debug!(%server, "keys are asked for again: {error}");
                    tokio::time::sleep(limits::KEYS_ASKED_AGAIN_AFTER).await;
                }
                answered => return answered,
            }
        }
    }

    async fn keep(
        &self,
        user_id: OwnedUserId,
        fetched: FetchedDevices,
        ticket: FetchTicket,
    ) -> Result<RemoteUserKeys, UserError> {
        let devices = self.devices.clone();
        blocking(move || devices.fetched(&user_id, fetched, ticket)).await
    }

    /// Claims one-time keys of other servers' users; answers those that were got, and the servers that could not be
    /// asked.
    pub async fn claim(
        &self,
        claims: KeyClaims,
        time_max: Duration,
    ) -> (ClaimedKeys, BTreeSet<OwnedServerName>) {
        let mut by_server = BTreeMap::<OwnedServerName, KeyClaims>::new();
        for (user_id, of_devices) in claims {
            by_server.entry(user_id.server_name().to_owned()).or_default().insert(user_id, of_devices);
        }
        let mut questions = JoinSet::new();
        for (server, claims) in by_server {
            let (this, time_max) = (self.clone(), time_max.min(limits::KEY_QUERY_TIME_MAX));
            questions.spawn(async move {
                let asking = this.claim_from(&server, claims, time_max);
                let claimed = tokio::time::timeout(time_max, asking).await;
                (server, claimed.ok().and_then(Result::ok))
            });
        }
        let (mut claimed, mut failures) = (ClaimedKeys::new(), BTreeSet::new());
        while let Some(finished) = questions.join_next().await {
            match finished {
                Ok((_, Some(keys))) => claimed.extend(keys),
                Ok((server, None)) => drop(failures.insert(server)),
                Err(e) => tracing::error!("a claim of keys ended: {e}"),
            }
        }
        (claimed, failures)
    }

    async fn claim_from(
        &self,
        server: &ServerName,
        claims: KeyClaims,
        time_max: Duration,
    ) -> Result<ClaimedKeys, RemoteKeyError> {
        let _place = self.places.acquire().await.map_err(|_| RemoteKeyError::Stopping)?;
        let wanted = claims.iter().map(|(user_id, of_devices)| {
            let algorithms = of_devices
                .iter()
                .map(|(id, algorithm)| (id.clone(), OneTimeKeyAlgorithm::from(algorithm.as_str())));
            (user_id.clone(), algorithms.collect())
        });
        let request = claim_keys::v1::Request::new(wanted.collect());
        let options = SendOptions { time_max, ..SendOptions::default() };
        let response = self.ask_through_outage(server, request, options).await?;
        let mut claimed = ClaimedKeys::new();
        for (user_id, of_devices) in response.one_time_keys {
            let Some(asked) = claims.get(&user_id) else { continue };
            for (device_id, keys) in of_devices.into_iter().filter(|(id, _)| asked.contains_key(id)) {
                let keys = keys.into_iter().map(|(name, key)| (name.to_string(), key.into_json()));
                claimed.entry(user_id.clone()).or_default().insert(device_id, keys.collect());
            }
        }
        Ok(claimed)
    }
}

/// Those whose keys are known, and by server those who have to be asked for.
fn sort_out(
    devices: &RemoteDevices,
    users: Vec<OwnedUserId>,
) -> Result<(RemoteKeyAnswer, BTreeMap<OwnedServerName, Wanted>), UserError> {
    let mut answer = RemoteKeyAnswer::default();
    let mut wanted = BTreeMap::<OwnedServerName, Wanted>::new();
    for user_id in users {
        match devices.cached(&user_id)? {
            Ok(keys) => drop(answer.users.insert(user_id, keys)),
            Err(ticket) => {
                wanted.entry(user_id.server_name().to_owned()).or_default().push((user_id, ticket));
            }
        }
    }
    Ok((answer, wanted))
}

/// Users that are asked for one by one, which tells the update that the answer includes, and those that are asked
/// for together: when there are many, or no room is shared.
fn split(wanted: Wanted) -> (Wanted, Wanted) {
    let (shared, others): (Wanted, Wanted) = wanted.into_iter().partition(|(_, ticket)| ticket.is_shared);
    if shared.len() <= limits::DEVICE_LISTS_ASKED_SINGLY_MAX {
        return (shared, others);
    }
    (Vec::new(), shared.into_iter().chain(others).collect())
}

fn of_devices(
    user_id: &UserId,
    response: get_devices::v1::Response,
) -> Result<FetchedDevices, FederationError> {
    if response.user_id != user_id {
        return Err(FederationError::BadAnswer("the devices are another user's".to_owned()));
    }
    let devices = response
        .devices
        .into_iter()
        .map(|device| (device.device_id, (device.keys.into_json(), device.device_display_name)));
    Ok(FetchedDevices {
        stream_id: Some(response.stream_id.into()),
        devices: devices.collect(),
        master: response.master_key.map(Raw::into_json),
        self_signing: response.self_signing_key.map(Raw::into_json),
    })
}

fn of_query(user_id: &UserId, response: &mut get_keys::v1::Response) -> FetchedDevices {
    let devices = response.device_keys.remove(user_id).unwrap_or_default();
    let devices = devices.into_iter().map(|(id, keys): (OwnedDeviceId, _)| (id, (keys.into_json(), None)));
    FetchedDevices {
        stream_id: None,
        devices: devices.collect(),
        master: response.master_keys.remove(user_id).map(Raw::into_json),
        self_signing: response.self_signing_keys.remove(user_id).map(Raw::into_json),
    }
}

/// Runs work that waits for the disk off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, UserError> + Send + 'static,
) -> Result<T, UserError> {
    // A panic there has been reported; the request that asked ends as busy.
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(UserError::Busy))
}

#[cfg(test)]
mod tests;
