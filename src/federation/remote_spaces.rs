//! Rooms that this server is not in, as those that are in them tell of them (server-server API, "Spaces").
//!
//! One question serves all who ask for the same room meanwhile; what was told is remembered for a while, bounded in
//! entries and in the bytes of each. Never: decides who may know of the room; the answer says under what rules it
//! is. Main type: [`RemoteSpaces`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use ruma::{
    OwnedRoomId, OwnedServerName, RoomId, api::federation::space::get_hierarchy::v1::Request, serde::Raw,
};

use super::{FederationClient, SendOptions, limits};
use crate::{
    net::outbound::SingleFlight,
    rooms::{HierarchyPage, HierarchyRequest, ReadError, ServerHierarchy, Spaces, WalkStep},
    storage::ShortUserId,
};

/// What servers told.
type Told = Arc<ServerHierarchy>;

/// Why there is no page of a space's rooms.
#[derive(Debug, thiserror::Error)]
pub enum HierarchyError {
    /// The space is not for the user, or could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The work was given up.
    #[error("the server is stopping")]
    Stopping,
}

/// Asks other servers about rooms and spaces. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RemoteSpaces {
    client: FederationClient,
    own_name: OwnedServerName,
    asking: SingleFlight<OwnedRoomId, Option<Told>>,
    known: Arc<Mutex<Known>>,
}

/// What was told lately. That nobody tells is not remembered: it changes when this server's users join something.
#[derive(Debug, Default)]
struct Known(HashMap<OwnedRoomId, (Instant, Told)>);

impl Known {
    fn get(&self, room_id: &RoomId, now: Instant) -> Option<Told> {
        let (told_at, told) = self.0.get(room_id)?;
        (now.duration_since(*told_at) < limits::SPACE_GOOD_FOR).then(|| told.clone())
    }

    /// Remembers what was told; the oldest goes when there are too many.
    fn put(&mut self, room_id: OwnedRoomId, told: Told, now: Instant) {
        if self.0.len() >= limits::SPACES_KNOWN_MAX && !self.0.contains_key(&room_id) {
            let oldest = self.0.iter().min_by_key(|(_, (told_at, _))| *told_at).map(|(id, _)| id.clone());
            if let Some(oldest) = oldest {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(room_id, (now, told));
    }
}

impl RemoteSpaces {
    /// Asks with `client`, for `own_name`, this server.
    pub fn new(client: FederationClient, own_name: OwnedServerName) -> Self {
        Self { client, own_name, asking: SingleFlight::new(limits::SPACES_ASKED_MAX), known: Arc::default() }
    }

    /// A page of the rooms of a space that this server is in, as a user may see them; of rooms elsewhere, the
    /// servers that they are reached through are asked. What takes too long is left to the next page.
    pub async fn page(
        &self,
        spaces: &Spaces,
        user: ShortUserId,
        space: OwnedRoomId,
        request: HierarchyRequest,
    ) -> Result<HierarchyPage, HierarchyError> {
        let until = tokio::time::Instant::now() + limits::SPACE_PAGE_TIME_MAX;
        let read = spaces.clone();
        let (mut walk, mut step) = blocking(move || {
            let mut walk = read.walk(user, &space, request)?;
            let step = walk.go_on(&read)?;
            Ok((walk, step))
        })
        .await?;
        while let WalkStep::Ask(stop) = step {
            let asking = self.hierarchy(&stop.room_id, &stop.via);
            let Ok(told) = tokio::time::timeout_at(until, asking).await else { break };
            let read = spaces.clone();
            (walk, step) = blocking(move || {
                walk.answer(&read, told.as_deref())?;
                let step = walk.go_on(&read)?;
                Ok((walk, step))
            })
            .await?;
        }
        Ok(walk.into_page())
    }

    /// A room and those in it, as the first of the servers tells that knows it, or has told it lately; at most
    /// [`limits::SPACE_SERVERS_ASKED_MAX`] are asked, the one in the room's id last.
    pub async fn hierarchy(&self, room_id: &RoomId, via: &[OwnedServerName]) -> Option<Arc<ServerHierarchy>> {
        if let Some(told) = self.known().get(room_id, Instant::now()) {
            return Some(told);
        }
        let (this, room_id) = (self.clone(), room_id.to_owned());
        let servers = self.candidates(&room_id, via);
        let told = self.asking.run(room_id.clone(), || async move { this.ask(room_id, servers).await });
        told.await.flatten()
    }

    async fn ask(self, room_id: OwnedRoomId, servers: Vec<OwnedServerName>) -> Option<Told> {
        let options = SendOptions {
            time_max: limits::SPACE_TIME_MAX,
            bytes_max: limits::SPACE_BYTES_MAX,
            ..SendOptions::default()
        };
        let mut told = None;
        for server in servers {
            let request = Request::new(room_id.clone());
            match self.client.send_with(&server, request, options).await {
                Ok(answer) if answer.room.summary.room_id == room_id => {
                    let links = answer.room.children_state.into_iter().map(Raw::into_json);
                    let summary = answer.room.summary;
                    let (children, inaccessible) = (answer.children, answer.inaccessible_children);
                    told = Some(Arc::new(ServerHierarchy::told(summary, links, children, inaccessible)));
                    break;
                }
                Ok(_) => tracing::debug!(%server, room = %room_id, "told of another room than asked for"),
                Err(error) => tracing::debug!(%server, room = %room_id, "does not tell of a room: {error}"),
            }
        }
        if let Some(told) = told.as_ref().filter(|told| is_small(told)) {
            self.known().put(room_id, told.clone(), Instant::now());
        }
        told
    }

    fn candidates(&self, room_id: &RoomId, via: &[OwnedServerName]) -> Vec<OwnedServerName> {
        let mut servers: Vec<OwnedServerName> = Vec::new();
        for server in via.iter().map(|server| &**server).chain(room_id.server_name()) {
            if *server != self.own_name && !servers.iter().any(|known| known == server) {
                servers.push(server.to_owned());
            }
        }
        servers.truncate(limits::SPACE_SERVERS_ASKED_MAX);
        servers
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether what was told is little enough to be remembered.
fn is_small(told: &ServerHierarchy) -> bool {
    const SUMMARY_BYTES: usize = 512;
    let links: usize = told.room.links.iter().map(|link| link.json.get().len()).sum();
    let rooms = told.children.len() + told.inaccessible.len() / 8;
    links + rooms * SUMMARY_BYTES <= limits::SPACE_KNOWN_BYTES_MAX
}

/// Runs work that waits for the disk off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, HierarchyError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(HierarchyError::Stopping),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_known_grows_old_and_stays_bounded() {
        let mut known = Known::default();
        let start = Instant::now();
        let room = |number: usize| OwnedRoomId::try_from(format!("!room{number}:other.test")).unwrap();
        let told = |number: usize| {
            let summary = json!({
                "room_id": room(number), "num_joined_members": 1, "world_readable": false, "guest_can_join": false,
            });
            let summary = serde_json::from_value(summary).unwrap();
            Arc::new(ServerHierarchy::told(summary, std::iter::empty(), Vec::new(), Vec::new()))
        };
        for number in 0..=limits::SPACES_KNOWN_MAX {
            known.put(room(number), told(number), start + std::time::Duration::from_millis(number as u64));
        }
        assert_eq!(known.0.len(), limits::SPACES_KNOWN_MAX);
        assert!(known.get(&room(0), start).is_none(), "the oldest is forgotten");
        assert!(known.get(&room(1), start + std::time::Duration::from_millis(1)).is_some());
        assert!(known.get(&room(1), start + limits::SPACE_GOOD_FOR * 2).is_none(), "asked for again");
    }
}
