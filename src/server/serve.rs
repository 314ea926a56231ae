//! Accepts connections within their bound, and stops in an orderly way: no new connections, long polls
//! answered, requests under way finished, within a time.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpStream, UnixStream},
    signal::unix::{Signal, SignalKind, signal},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    ServerError,
    connection::{Protocol, serve_connection},
    limits::{
        ACCEPT_RETRY_PAUSE, ANSWER_STALLED_TIME_MAX, DRAIN_TIME_MAX, REQUEST_HEAD_TIME_MAX,
        TLS_HANDSHAKE_TIME_MAX,
    },
    listener::Listener,
    middleware::{self, Shell},
    tls::Certificates,
};
use crate::{
    config::Config,
    net::{Peer, Shutdown, ShutdownTrigger},
};

/// The signals that stop the server.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// From now on the signals do not kill the process. Must be called within the runtime.
    pub fn install() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Returns when one of the signals comes.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A server that listens and is about to serve.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<Listener>,
    certificates: Option<Certificates>,
    shell: Shell,
    protocol: Protocol,
    connections_max: usize,
}

impl Server {
    /// Listens on all configured addresses. Must be called within the runtime.
    pub fn bind(config: &Config) -> Result<Self, ServerError> {
        let certificates = Certificates::load(&config.tls)?;
        let tls = certificates.as_ref().map(Certificates::server_config).transpose()?;
        Ok(Self {
            listeners: Listener::bind_all(config, tls.as_ref())?,
            certificates,
            shell: Shell::new(config),
            protocol: Protocol::new(REQUEST_HEAD_TIME_MAX, ANSWER_STALLED_TIME_MAX),
            connections_max: usize::try_from(config.max_connections)
                .unwrap_or(Semaphore::MAX_PERMITS)
                .min(Semaphore::MAX_PERMITS),
        })
    }

    /// The URLs of what is listened on, with real ports.
    pub fn urls(&self) -> Vec<String> {
        self.listeners.iter().filter_map(Listener::url).collect()
    }

    /// Serves `router` until a signal comes, then gives `trigger` and drains. A second signal ends the
    /// draining.
    pub async fn serve(
        self,
        router: Router,
        trigger: ShutdownTrigger,
        shutdown: Shutdown,
        mut signals: StopSignals,
    ) {
        let stop = async {
            signals.next().await;
            tracing::info!("stopping");
            trigger.trigger();
        };
        let (connections, ()) = tokio::join!(self.accept_until(router, shutdown), stop);
        tokio::select! {
            all_ended = connections.drain(DRAIN_TIME_MAX) => {
                if !all_ended {
                    tracing::warn!("some requests did not end in time and are given up");
                }
            }
            () = signals.next() => tracing::warn!("told to stop at once"),
        }
    }

    /// Accepts connections on all listeners until `shutdown`; the result is what to drain.
    async fn accept_until(self, router: Router, shutdown: Shutdown) -> Connections {
        let connections = Connections::new(self.connections_max);
        let acceptor = Acceptor {
            router: middleware::wrap(router, self.shell),
            protocol: Arc::new(self.protocol),
            connections: connections.clone(),
            shutdown: shutdown.clone(),
        };
        let mut loops = JoinSet::new();
        if let Some(certificates) = self.certificates {
            loops.spawn(certificates.keep_current(shutdown));
        }
        for listener in self.listeners {
            loops.spawn(acceptor.clone().run(listener));
        }
        while loops.join_next().await.is_some() {}
        connections
    }
}

/// The open connections, counted.
#[derive(Clone, Debug)]
struct Connections {
    places: Arc<Semaphore>,
    places_max: usize,
}

impl Connections {
    fn new(places_max: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places_max)), places_max }
    }

    /// Waits until there is room for one more connection.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().acquire_owned().await.ok()
    }

    /// Waits until all connections have ended, `time_max` at most; whether they have.
    async fn drain(&self, time_max: Duration) -> bool {
        let all = u32::try_from(self.places_max).unwrap_or(u32::MAX);
        timeout(time_max, self.places.acquire_many(all)).await.is_ok()
    }
}

/// What accepting a connection needs.
#[derive(Clone)]
struct Acceptor {
    router: Router,
    protocol: Arc<Protocol>,
    connections: Connections,
    shutdown: Shutdown,
}

impl Acceptor {
    /// Accepts connections of one listener until the server stops.
    async fn run(self, listener: Listener) {
        loop {
            let accepted = async {
                let place = self.connections.place().await?;
                Some((place, listener.accept().await))
            };
            let accepted = tokio::select! {
                accepted = accepted => accepted,
                () = self.shutdown.triggered() => return,
            };
            match accepted {
                Some((place, Ok(accepted))) => self.spawn(place, accepted),
                Some((_, Err(error))) if is_of_one_connection(&error) => {}
                Some((_, Err(error))) => {
                    tracing::warn!(%error, "cannot accept connections");
                    sleep(ACCEPT_RETRY_PAUSE).await;
                }
                None => return,
            }
        }
    }

    fn spawn(&self, place: OwnedSemaphorePermit, accepted: Accepted) {
        let Self { router, protocol, shutdown, .. } = self.clone();
        tokio::spawn(async move {
            match accepted {
                Accepted::Tcp(stream, address) => {
                    let peer = Peer::Address(address.ip());
                    serve_connection(stream, peer, router, protocol, shutdown).await;
                }
                Accepted::Tls(stream, address, acceptor) => {
                    // Who does not get through the handshake is no client yet, and told nothing.
                    let handshake = timeout(TLS_HANDSHAKE_TIME_MAX, acceptor.accept(stream));
                    let stream = tokio::select! {
                        done = handshake => done,
                        () = shutdown.triggered() => return,
                    };
                    if let Ok(Ok(stream)) = stream {
                        let peer = Peer::Address(address.ip());
                        serve_connection(stream, peer, router, protocol, shutdown).await;
                    }
                }
                Accepted::Unix(stream) => {
                    serve_connection(stream, Peer::UnixSocket, router, protocol, shutdown).await;
                }
            }
            drop(place);
        });
    }
}

/// A connection just accepted.
enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Tls(TcpStream, SocketAddr, TlsAcceptor),
    Unix(UnixStream),
}

impl Listener {
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Answers are written whole; waiting for more to send would only delay them.
                stream.set_nodelay(true)?;
                Ok(Accepted::Tcp(stream, address))
            }
            Self::Tls(listener, tls) => {
                let (stream, address) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Accepted::Tls(stream, address, TlsAcceptor::from(tls.clone())))
            }
            Self::Unix(listener, _) => Ok(Accepted::Unix(listener.accept().await?.0)),
        }
    }
}

/// Whether the error tells of the connection that was to be accepted, and not of the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidInput, NotConnected};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | InvalidInput | NotConnected
    )
}

#[cfg(test)]
mod tests;
