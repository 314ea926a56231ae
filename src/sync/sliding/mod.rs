//! Simplified sliding sync ([MSC4186]), as clients use it under its unstable name.
//!
//! A client names lists of its rooms, by filters and ranges, and single rooms, and gets what changed in them. What
//! has been told is remembered for each connection, in bounded memory; a connection that was forgotten is
//! started anew by its client. A look for news reads what changed since the last one and nothing else: the
//! order of a user's rooms is kept in memory ([`user_rooms`]), moved on by changes.
//!
//! Main type: [`SlidingSync`]. An answer is made by a [`Look`](look::Look).
//!
//! [MSC4186]: https://github.com/matrix-org/matrix-spec-proposals/pull/4186

mod byte_lru;
mod connection;
mod connections;
mod encryption;
mod extensions;
mod filters;
mod look;
pub mod request;
mod required_state;
pub mod response;
mod room;
mod rules;
mod sticky;
mod stripped;
mod subscriptions;
pub mod user_rooms;

use std::sync::{Arc, Mutex, PoisonError};

use self::{
    connection::Connection, connections::Connections, look::Look, request::SlidingBody,
    response::SlidingResponse, user_rooms::UserRoomsCache,
};
use super::{
    SyncError, limits,
    v3::{SyncSources, SyncV3},
};
use crate::rooms::{SlidingToken, SyncToken, Viewer};

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct SlidingSync {
    inner: Arc<Inner>,
}

struct Inner {
    /// What both kinds of sync read with.
    sync: SyncV3,
    connections: Connections,
    user_rooms: UserRoomsCache,
}

impl std::fmt::Debug for SlidingSync {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlidingSync").field("connections", &self.inner.connections).finish_non_exhaustive()
    }
}

/// A request.
#[derive(Debug, Clone)]
pub struct SlidingRequest {
    /// Who asks.
    pub viewer: Viewer,
    /// The answer that the client has received; `None` if it starts afresh.
    pub pos: Option<SlidingToken>,
    /// What the client wants to see.
    pub body: SlidingBody,
}

/// A request's turn on its connection. It ends when the client asks anew: what a request finds that its client
/// no longer waits for must not be taken for told.
#[derive(Clone)]
pub struct Turn {
    connection: Arc<Mutex<Connection>>,
    number: u64,
    request: Arc<SlidingRequest>,
}

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn").field("number", &self.number).finish_non_exhaustive()
    }
}

/// What a look has found.
#[derive(Debug)]
pub struct SlidingAnswer {
    /// The answer.
    pub response: SlidingResponse,
    /// True when there is something to tell.
    pub is_news: bool,
}

impl SlidingSync {
    /// Reads with what sync v3 reads with, in [`limits::SLIDING_MEMORY_BYTES_DEFAULT`].
    pub fn new(sync: SyncV3) -> Self {
        Self::with_memory(sync, limits::SLIDING_MEMORY_BYTES_DEFAULT)
    }

    /// As [`SlidingSync::new`], remembering this many bytes at most.
    pub fn with_memory(sync: SyncV3, bytes_max: usize) -> Self {
        let of_connections = bytes_max / 3 * limits::CONNECTIONS_MEMORY_THIRDS;
        let connections = Connections::new(of_connections);
        let user_rooms = UserRoomsCache::new(bytes_max.saturating_sub(of_connections));
        Self { inner: Arc::new(Inner { sync, connections, user_rooms }) }
    }

    /// Takes up the request's connection, or starts it. [`SyncError::UnknownPosition`] when it was forgotten.
    pub fn begin(&self, request: SlidingRequest) -> Result<Turn, SyncError> {
        let connections = &self.inner.connections;
        let connection = match request.pos {
            None => connections.start(&request.viewer, request.body.conn_id.as_deref())?,
            Some(_) => connections
                .get(&request.viewer, request.body.conn_id.as_deref())
                .ok_or(SyncError::UnknownPosition)?,
        };
        let number = {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(pos) = request.pos {
                connection.acknowledge(pos)?;
            }
            connection.next_turn()
        };
        Ok(Turn { connection, number, request: Arc::new(request) })
    }

    /// What there is to tell now. Never waits. [`SyncError::UnknownPosition`] when the turn is over.
    pub fn answer(&self, turn: &Turn) -> Result<SlidingAnswer, SyncError> {
        let sources = self.sources();
        let mut connection = turn.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if !connection.has_turn(turn.number) {
            return Err(SyncError::UnknownPosition);
        }
        // Before anything is read: what comes later is told next time.
        let until = SyncToken::new(sources.storage.position(), sources.typing.serial());
        let look = Look::new(&self.inner, &turn.request, &connection, until)?;
        let (mut response, news, is_news) = look.run()?;
        response.pos = connection.answer(news, is_news).to_string();
        response.txn_id.clone_from(&turn.request.body.txn_id);
        let bytes = connection.bytes();
        drop(connection);
        self.inner.connections.used(&turn.request.viewer, turn.request.body.conn_id.as_deref(), bytes);
        Ok(SlidingAnswer { response, is_news })
    }

    fn sources(&self) -> &SyncSources {
        self.inner.sync.sources()
    }
}

#[cfg(test)]
mod tests;
