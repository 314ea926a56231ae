//! Open connections, shared by requests to the same origin and bounded in number.
//!
//! An HTTP/2 connection serves many requests at a time, an HTTP/1 connection one after the other. When all
//! places are taken, the connection that has been idle for longest is closed for the new one.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use http::{Method, Request, Response, Version, header::HOST};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};

use super::{
    OutboundError,
    connector::{Connector, Origin, Stream},
    limits::{
        CONNECTION_BUFFER_BYTES, CONNECTIONS_MAX, HTTP2_CONNECTION_WINDOW_BYTES, HTTP2_HEAD_BYTES_MAX,
        HTTP2_STREAM_WINDOW_BYTES, IDLE_PER_HOST_MAX, IDLE_TIME_MAX, REQUESTS_PER_HOST_MAX, REUSE_WAIT_MAX,
    },
};

type Http1 = http1::SendRequest<Full<Bytes>>;
type Http2 = http2::SendRequest<Full<Bytes>>;

/// The connections of one client. Cheap to clone.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("connector", &self.0.connector).finish_non_exhaustive()
    }
}

struct Inner {
    connector: Connector,
    hosts: Mutex<HashMap<Origin, HostConnections>>,
    open: Arc<Semaphore>,
    is_swept: AtomicBool,
}

/// What is kept for one origin.
struct HostConnections {
    places: Arc<Semaphore>,
    idle: Vec<(Http1, Instant)>,
    shared: Option<Shared>,
}

impl Default for HostConnections {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(REQUESTS_PER_HOST_MAX));
        Self { places, idle: Vec::new(), shared: None }
    }
}

/// An HTTP/2 connection; who holds `users` uses it.
struct Shared {
    sender: Http2,
    users: Arc<()>,
    used: Instant,
}

impl Shared {
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.users) == 1
    }
}

/// A connection that a request goes out on.
enum Connection {
    Http1(Http1),
    Http2(Http2, Arc<()>),
}

/// Holds a request's place until its answer has been read. Then the connection serves the next one.
pub struct Lease {
    pool: Pool,
    origin: Origin,
    connection: Option<Connection>,
    _place: OwnedSemaphorePermit,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Lease {
    /// The answer has been read to its end: the connection may serve the next request.
    pub fn give_back(mut self) {
        if matches!(self.connection, Some(Connection::Http1(_)))
            && let Some(Connection::Http1(sender)) = self.connection.take()
            && !sender.is_closed()
        {
            let mut hosts = self.pool.hosts();
            let host = hosts.entry(self.origin.clone()).or_default();
            if host.idle.len() < IDLE_PER_HOST_MAX {
                host.idle.push((sender, Instant::now()));
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(Connection::Http2(..)) = self.connection.take()
            && let Some(host) = self.pool.hosts().get_mut(&self.origin)
            && let Some(shared) = &mut host.shared
        {
            shared.used = Instant::now();
        }
    }
}

impl Pool {
    /// No connections yet.
    pub fn new(connector: Connector) -> Self {
        Self(Arc::new(Inner {
            connector,
            hosts: Mutex::default(),
            open: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            is_swept: AtomicBool::new(false),
        }))
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<Origin, HostConnections>> {
        self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request and waits for the head of its answer; the caller bounds the time. The request's URI is
    /// absolute. What is sent on a connection that turns out to be closed already is sent once more on a new
    /// one, if that can't do it twice.
    pub async fn send(
        &self,
        origin: &Origin,
        request: Request<Bytes>,
    ) -> Result<(Response<Incoming>, Lease), OutboundError> {
        let places = self.hosts().entry(origin.clone()).or_default().places.clone();
        let place = places.acquire_owned().await.map_err(|_| OutboundError::Http("closed".to_owned()))?;
        if let Some(connection) = self.reuse(origin).await {
            match self.send_on(connection, request.clone()).await {
                Ok((response, connection)) => return Ok((response, self.lease(origin, connection, place))),
                Err((error, was_sent)) => {
                    let may_repeat = !was_sent || *request.method() != Method::POST;
                    if !may_repeat || !is_of_a_closed_connection(&error) {
                        return Err(OutboundError::Http(shown(&error)));
                    }
                }
            }
        }
        let connection = self.open(origin).await?;
        match self.send_on(connection, request).await {
            Ok((response, connection)) => Ok((response, self.lease(origin, connection, place))),
            Err((error, _)) => Err(OutboundError::Http(shown(&error))),
        }
    }

    fn lease(&self, origin: &Origin, connection: Connection, place: OwnedSemaphorePermit) -> Lease {
        Lease { pool: self.clone(), origin: origin.clone(), connection: Some(connection), _place: place }
    }

    /// An open connection to the origin that can take a request.
    async fn reuse(&self, origin: &Origin) -> Option<Connection> {
        loop {
            let (mut sender, since) = {
                let mut hosts = self.hosts();
                let host = hosts.get_mut(origin)?;
                match &mut host.shared {
                    Some(shared) if !shared.sender.is_closed() => {
                        shared.used = Instant::now();
                        return Some(Connection::Http2(shared.sender.clone(), shared.users.clone()));
                    }
                    shared => *shared = None,
                }
                host.idle.pop()?
            };
            if since.elapsed() < IDLE_TIME_MAX
                && matches!(timeout(REUSE_WAIT_MAX, sender.ready()).await, Ok(Ok(())))
            {
                return Some(Connection::Http1(sender));
            }
        }
    }

    /// A new connection, for which an idle one is closed if all places are taken.
    async fn open(&self, origin: &Origin) -> Result<Connection, OutboundError> {
        let free = self.0.open.clone().try_acquire_owned().ok();
        let place = if let Some(place) = free {
            place
        } else {
            self.close_longest_idle();
            let waiting = self.0.open.clone().acquire_owned().await;
            waiting.map_err(|_| OutboundError::Http("closed".to_owned()))?
        };
        let refuse = |error: hyper::Error| OutboundError::Connect {
            host: origin.host().to_owned(),
            why: shown(&error),
        };
        let stream = self.0.connector.connect(origin).await?;
        self.start_sweeping();
        match stream {
            Stream::Plain(stream) => {
                let (sender, connection) = http1_builder().handshake(stream).await.map_err(refuse)?;
                drive(connection, place);
                Ok(Connection::Http1(sender))
            }
            Stream::Tls(stream, false) => {
                let (sender, connection) = http1_builder().handshake(*stream).await.map_err(refuse)?;
                drive(connection, place);
                Ok(Connection::Http1(sender))
            }
            Stream::Tls(stream, true) => {
                let (sender, connection) = http2_builder().handshake(*stream).await.map_err(refuse)?;
                drive(connection, place);
                let users = Arc::new(());
                let shared = Shared { sender: sender.clone(), users: users.clone(), used: Instant::now() };
                self.hosts().entry(origin.clone()).or_default().shared = Some(shared);
                Ok(Connection::Http2(sender, users))
            }
        }
    }

    /// Sends on one connection. The flag of an error says whether the request may have been sent.
    async fn send_on(
        &self,
        connection: Connection,
        mut request: Request<Bytes>,
    ) -> Result<(Response<Incoming>, Connection), (hyper::Error, bool)> {
        match connection {
            Connection::Http1(mut sender) => {
                if let Some(path) = request.uri().path_and_query().cloned() {
                    *request.uri_mut() = path.into();
                }
                match sender.try_send_request(request.map(Full::new)).await {
                    Ok(response) => Ok((response, Connection::Http1(sender))),
                    Err(mut failure) => {
                        let was_sent = failure.take_message().is_none();
                        Err((failure.into_error(), was_sent))
                    }
                }
            }
            Connection::Http2(mut sender, users) => {
                // The URI says it.
                request.headers_mut().remove(HOST);
                *request.version_mut() = Version::HTTP_2;
                match sender.try_send_request(request.map(Full::new)).await {
                    Ok(response) => Ok((response, Connection::Http2(sender, users))),
                    Err(mut failure) => {
                        let was_sent = failure.take_message().is_none();
                        Err((failure.into_error(), was_sent))
                    }
                }
            }
        }
    }

    /// Closes the connection that has been idle for longest, of any origin.
    fn close_longest_idle(&self) {
        let mut hosts = self.hosts();
        let oldest = hosts.iter().filter_map(|(origin, host)| Some((host.idle_since()?, origin.clone())));
        let Some((since, origin)) = oldest.min_by_key(|(since, _)| *since) else { return };
        if let Some(host) = hosts.get_mut(&origin) {
            host.close_idle_before(since + std::time::Duration::from_nanos(1));
        }
    }

    /// Starts the task that closes what is idle for too long; it ends when there is nothing left.
    fn start_sweeping(&self) {
        if self.0.is_swept.swap(true, Ordering::AcqRel) {
            return;
        }
        let pool = self.clone();
        tokio::spawn(async move {
            loop {
                sleep(IDLE_TIME_MAX / 2).await;
                let mut hosts = pool.hosts();
                for host in hosts.values_mut() {
                    if let Some(before) = Instant::now().checked_sub(IDLE_TIME_MAX) {
                        host.close_idle_before(before);
                    }
                }
                hosts.retain(|_, host| !host.is_unused());
                if hosts.is_empty() {
                    pool.0.is_swept.store(false, Ordering::Release);
                    return;
                }
            }
        });
    }
}

impl HostConnections {
    fn is_unused(&self) -> bool {
        self.idle.is_empty() && self.shared.is_none() && Arc::strong_count(&self.places) == 1
    }

    /// Since when its longest idle connection has been idle.
    fn idle_since(&self) -> Option<Instant> {
        let shared = self.shared.as_ref().filter(|shared| shared.is_idle()).map(|shared| shared.used);
        self.idle.iter().map(|(_, since)| *since).chain(shared).min()
    }

    fn close_idle_before(&mut self, before: Instant) {
        self.idle.retain(|(sender, since)| *since >= before && !sender.is_closed());
        let shared = self.shared.take();
        self.shared = shared
            .filter(|shared| !shared.sender.is_closed() && (!shared.is_idle() || shared.used >= before));
    }
}

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(CONNECTION_BUFFER_BYTES);
    builder
}

fn http2_builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HTTP2_HEAD_BYTES_MAX)
        .max_send_buf_size(CONNECTION_BUFFER_BYTES);
    builder
}

/// Runs a connection until it is closed; its place is free then.
fn drive(connection: impl Future<Output = hyper::Result<()>> + Send + 'static, place: OwnedSemaphorePermit) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::trace!(%error, "an outgoing connection ended");
        }
        drop(place);
    });
}

/// Whether a request that failed so may not have been looked at.
fn is_of_a_closed_connection(error: &hyper::Error) -> bool {
    error.is_canceled() || error.is_closed() || error.is_incomplete_message()
}

/// An error with its cause, which hyper's own text leaves out.
fn shown(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
