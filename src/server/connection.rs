//! One connection: HTTP/1 or HTTP/2, bounded in time and buffers, ended politely when the server stops.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};
use tower::ServiceExt;

use super::{
    limits::{
        CONNECTION_BUFFER_BYTES, HTTP2_HEAD_BYTES_MAX, HTTP2_PING_INTERVAL, HTTP2_PING_TIMEOUT,
        HTTP2_STREAMS_MAX, HTTP2_WINDOW_BYTES,
    },
    write_guard::WriteGuard,
};
use crate::net::{Peer, Shutdown};

/// How connections speak HTTP: versions 1 and 2, within the bounds of `limits`.
#[derive(Clone, Debug)]
pub struct Protocol {
    http: auto::Builder<TokioExecutor>,
    head_time_max: Duration,
    stalled_time_max: Duration,
}

impl Protocol {
    /// With at most `head_time_max` for the head of a request, and answers given up when the client has
    /// taken nothing for `stalled_time_max`.
    pub fn new(head_time_max: Duration, stalled_time_max: Duration) -> Self {
        Self { http: http(head_time_max), head_time_max, stalled_time_max }
    }
}

fn http(head_time_max: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head_time_max)
        .max_buf_size(CONNECTION_BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(HTTP2_HEAD_BYTES_MAX)
        .initial_stream_window_size(HTTP2_WINDOW_BYTES)
        .initial_connection_window_size(HTTP2_WINDOW_BYTES)
        .max_send_buf_size(CONNECTION_BUFFER_BYTES)
        .keep_alive_interval(HTTP2_PING_INTERVAL)
        .keep_alive_timeout(HTTP2_PING_TIMEOUT);
    builder
}

/// Serves the requests of one connection with `router` until the client closes it, breaks the protocol
/// or a bound, or the server stops and the requests under way are answered.
pub async fn serve_connection<S>(
    stream: S,
    peer: Peer,
    router: Router,
    protocol: Arc<Protocol>,
    shutdown: Shutdown,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let has_asked = Arc::new(AtomicBool::new(false));
    let service = service_fn({
        let has_asked = has_asked.clone();
        move |mut request: Request<Incoming>| {
            has_asked.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(peer);
            router.clone().oneshot(request.map(Body::new))
        }
    });
    let stream = TokioIo::new(WriteGuard::new(stream, protocol.stalled_time_max));
    let mut connection = pin!(protocol.http.serve_connection(stream, service));
    // The protocol's own timer starts only once it is known which HTTP it is: a client that says nothing
    // at all is left to this one.
    let mut silence = pin!(sleep(protocol.head_time_max));
    let mut is_first = true;
    let mut is_stopping = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(error = %error, "connection ended");
                }
                return;
            }
            () = silence.as_mut(), if is_first => {
                is_first = false;
                if !has_asked.load(Ordering::Relaxed) {
                    return;
                }
            }
            () = shutdown.triggered(), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
