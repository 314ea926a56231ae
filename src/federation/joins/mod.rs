//! Memberships that go through other servers: joining, knocking on and leaving rooms that this server is not in,
//! inviting users of others, and the same of others' users towards rooms here.
//!
//! Rules are checked by `rooms/`; here are the handshakes: which server to ask, what to believe of its answer, when
//! to try the next. One attempt a room at a time: who joins a room that somebody here is just joining waits for
//! that, and is then let in from here if that is possible. Main types: [`RemoteRooms`] for our users,
//! [`Admissions`] for others'.

mod admissions;
mod aliases;
mod attempt;
mod candidates;
mod error;
mod handshake;
mod incoming_invite;
mod invite;
mod join;
mod knock;
mod leave;
mod stripped;

use std::sync::Arc;

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedRoomId, OwnedServerName, OwnedUserId, RoomVersionId,
    room_version_rules::RoomVersionRules,
};

pub use self::{
    admissions::{Admissions, AdmittedJoin, SubmittedEvent},
    error::RemoteError,
    incoming_invite::{IncomingInvite, IncomingInvites},
    invite::Invitation,
};
use super::{FederationClient, ServerKeys, turns::RoomTurns};
use crate::rooms::{Appender, Memberships, ReceivedEvents, RoomBlocks, RoomError, RoomServers, StoredEvent};

/// A user's wish to change their own membership of a room.
#[derive(Debug, Clone)]
pub struct OwnChange {
    /// Who.
    pub user: OwnedUserId,
    /// Which room.
    pub room_id: OwnedRoomId,
    /// Servers that may be in the room, best first.
    pub via: Vec<OwnedServerName>,
    /// More keys of the member event's content: a reason, or a name for this room only.
    pub further: CanonicalJsonObject,
}

impl OwnChange {
    /// A change with no more to say than a reason.
    pub fn new(
        user: OwnedUserId,
        room_id: OwnedRoomId,
        via: Vec<OwnedServerName>,
        reason: Option<String>,
    ) -> Self {
        let reason = reason.map(|reason| ("reason".to_owned(), CanonicalJsonValue::String(reason)));
        Self { user, room_id, via, further: reason.into_iter().collect() }
    }

    fn reason(&self) -> Option<&str> {
        self.further.get("reason").and_then(CanonicalJsonValue::as_str)
    }
}

/// Changes memberships of this server's users, through other servers where need be. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RemoteRooms(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: FederationClient,
    keys: ServerKeys,
    received: ReceivedEvents,
    memberships: Memberships,
    servers: RoomServers,
    turns: RoomTurns,
}

/// A room's version with its rules.
#[derive(Debug, Clone)]
struct Version {
    id: RoomVersionId,
    rules: RoomVersionRules,
}

impl RemoteRooms {
    /// The service.
    pub fn new(
        client: FederationClient,
        keys: ServerKeys,
        received: ReceivedEvents,
        memberships: Memberships,
        servers: RoomServers,
    ) -> Self {
        let turns = RoomTurns::default();
        Self(Arc::new(Inner { client, keys, received, memberships, servers, turns }))
    }

    /// The service of a server that talks to no other, for tests of what needs none.
    #[cfg(test)]
    pub(crate) fn alone(memberships: Memberships) -> Self {
        let own = super::testing::Own::configured(|config| config.federation.enabled = false);
        let appender = memberships.appender().clone();
        let servers = RoomServers::new(appender.storage().clone());
        Self::new(own.client, own.keys, ReceivedEvents::new(appender), memberships, servers)
    }

    /// Refuses what would bring a user into a room that an administrator has blocked.
    async fn check_block(&self, change: &OwnChange) -> Result<(), RemoteError> {
        let (blocks, room_id) = (RoomBlocks::new(self.appender().storage().clone()), change.room_id.clone());
        blocking(move || blocks.check(&room_id)).await
    }

    fn appender(&self) -> &Appender {
        self.0.memberships.appender()
    }

    /// Whether a user of this server is in the room, so that this server can act in it by itself.
    fn is_resident(&self, room_id: &ruma::RoomId) -> Result<bool, RoomError> {
        let index = self.appender().index();
        match index.room(room_id)? {
            Some(room) => Ok(index.has_local_member(room)?),
            None => Ok(false),
        }
    }

    /// The member event by which a user has the membership that this server knows of.
    fn member_event(
        &self,
        user: &ruma::UserId,
        room_id: &ruma::RoomId,
    ) -> Result<Option<StoredEvent>, RoomError> {
        use crate::storage::Read;
        let (index, storage) = (self.appender().index(), self.appender().storage());
        let Some(room) = index.room(room_id)? else { return Ok(None) };
        let Some(user) = storage.short_user_id(user)? else { return Ok(None) };
        match index.membership(user, room)? {
            Some(row) => self.appender().events().get(row.event),
            None => Ok(None),
        }
    }
}

/// Runs work that may wait for the disk off the runtime's threads.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, RemoteError>
where
    T: Send + 'static,
    E: Into<RemoteError> + Send + 'static,
{
    let span = tracing::Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => Err(RemoteError::Stopping),
        },
    }
}
