//! A server on a real socket, with clients that say what they want to, byte by byte.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};

use axum::{Router, routing::get};
use tokio::{
    runtime::Runtime,
    sync::{Notify, mpsc},
    task::JoinHandle,
};

use super::*;
use crate::{config::ListenAddress, server::runtime};

/// Long enough for anything that should happen; nothing waits for it in vain.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that runs until it is told to stop.
struct Running {
    runtime: Runtime,
    address: SocketAddr,
    trigger: ShutdownTrigger,
    accepting: JoinHandle<Connections>,
}

impl Running {
    /// A server with `make_router`'s endpoints, with changes to its configuration and protocol.
    fn start(
        make_router: impl FnOnce(&Shutdown) -> Router,
        change: impl FnOnce(&mut Config),
        protocol: Protocol,
    ) -> Self {
        let runtime = runtime::build().expect("a runtime");
        let (trigger, shutdown) = Shutdown::new();
        let mut config = Config::new("a.b".try_into().expect("a name"), "/nowhere".into());
        config.listen = vec![ListenAddress::Tcp(([127, 0, 0, 1], 0).into())];
        change(&mut config);
        let guard = runtime.enter();
        let mut server = Server::bind(&config).expect("a free port");
        server.protocol = protocol;
        let Some(ListenAddress::Tcp(address)) = server.listeners.first().and_then(Listener::address) else {
            panic!("the first address is TCP")
        };
        let accepting = tokio::spawn(server.accept_until(make_router(&shutdown), shutdown));
        drop(guard);
        Self { runtime, address, trigger, accepting }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout is set");
        stream
    }

    /// Stops the server; whether all connections ended in time.
    fn stop(self) -> bool {
        self.trigger.trigger();
        self.runtime.block_on(async {
            let connections = self.accepting.await.expect("accepting ends");
            connections.drain(PATIENCE).await
        })
    }
}

/// A server with usual settings.
fn start(make_router: impl FnOnce(&Shutdown) -> Router) -> Running {
    Running::start(make_router, |_| {}, Protocol::new(PATIENCE, PATIENCE))
}

fn ok(_: &Shutdown) -> Router {
    Router::new().route("/", get(|| async { "ok" }))
}

fn ask(mut stream: impl Read + Write) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer comes");
    answer
}

#[test]
fn requests_are_answered_on_all_listeners() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path: PathBuf = folder.path().join("conduit.sock");
    let listen = |config: &mut Config| config.listen.push(ListenAddress::Unix(path.clone()));
    let server = Running::start(ok, listen, Protocol::new(PATIENCE, PATIENCE));
    let over_tcp = ask(server.connect());
    assert!(over_tcp.starts_with("HTTP/1.1 200") && over_tcp.ends_with("ok"), "{over_tcp}");
    assert!(ask(UnixStream::connect(&path).expect("the socket")).starts_with("HTTP/1.1 200"));
    assert!(server.stop());
    assert!(!path.exists(), "the socket's file is removed");
}

#[test]
fn http_2_is_spoken_to_those_who_know_it() {
    let server = start(ok);
    let mut stream = server.connect();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("it is sent");
    stream.write_all(&settings).expect("it is sent");
    let mut head = [0; 9];
    stream.read_exact(&mut head).expect("a frame comes");
    assert_eq!(head[3], 4, "the server's settings");
    drop(stream);
    assert!(server.stop());
}

#[test]
fn a_client_that_says_nothing_or_too_little_is_let_go() {
    let server = Running::start(ok, |_| {}, Protocol::new(Duration::from_millis(20), PATIENCE));
    for beginning in ["", "PRI * HT", "GET / HTTP/1.1\r\nhost: a\r\n"] {
        let mut stream = server.connect();
        stream.write_all(beginning.as_bytes()).expect("it is sent");
        let mut rest = Vec::new();
        match stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{beginning:?}"),
        }
    }
    assert!(server.stop());
}

#[test]
fn a_client_that_takes_no_answer_is_let_go() {
    // Far more than what the system buffers for both sides.
    const ANSWER_BYTES: usize = 64 * 1024 * 1024;
    let large = |_: &Shutdown| Router::new().route("/", get(|| async { "x".repeat(ANSWER_BYTES) }));
    let server = Running::start(large, |_| {}, Protocol::new(PATIENCE, Duration::from_millis(20)));
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("it is sent");
    let mut first = [0; 12];
    stream.read_exact(&mut first).expect("the answer begins");
    assert!(server.stop(), "the connection ends although its answer was never taken");
    let mut rest = Vec::new();
    let taken = stream.read_to_end(&mut rest).map_or(rest.len(), |_| rest.len());
    assert!(taken < ANSWER_BYTES, "the answer was cut, not kept for the client");
}

#[test]
fn connections_above_the_bound_wait_for_a_place() {
    let server = Running::start(ok, |config| config.max_connections = 1, Protocol::new(PATIENCE, PATIENCE));
    let mut first = server.connect();
    first.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("it is sent");
    let mut answer = [0; 12];
    first.read_exact(&mut answer).expect("an answer comes");

    let mut second = server.connect();
    second.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("it is sent");
    second.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout is set");
    second.read_exact(&mut answer).expect_err("the first has the only place");
    drop(first);
    second.set_read_timeout(Some(PATIENCE)).expect("a timeout is set");
    second.read_exact(&mut answer).expect("now there is a place");
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert!(server.stop());
}

/// Tells that it was called, and answers when the server stops, as a long poll does.
fn long_poll(called: mpsc::UnboundedSender<()>) -> impl FnOnce(&Shutdown) -> Router {
    move |shutdown| {
        let shutdown = shutdown.clone();
        let handler = async move || {
            called.send(()).expect("the test listens");
            shutdown.triggered().await;
            "stopping"
        };
        Router::new().route("/", get(handler))
    }
}

#[test]
fn a_stop_answers_long_polls_and_refuses_newcomers() {
    let (called, mut calls) = mpsc::unbounded_channel();
    let server = start(long_poll(called));
    let address = server.address;
    let idle = server.connect();
    let polling: Vec<_> = (0..3)
        .map(|_| {
            let stream = server.connect();
            std::thread::spawn(move || ask(stream))
        })
        .collect();
    for _ in 0..3 {
        calls.blocking_recv().expect("the endpoint is called");
    }
    assert!(server.stop(), "all connections end, the idle one too");
    for client in polling {
        assert!(client.join().expect("no panic").ends_with("stopping"));
    }
    TcpStream::connect(address).expect_err("nobody listens any more");
    drop(idle);
}

#[test]
fn a_request_that_never_ends_does_not_hold_up_the_stop() {
    let called = Arc::new(Notify::new());
    let server = start({
        let called = called.clone();
        |_| {
            let handler = async move || {
                called.notify_one();
                std::future::pending::<&str>().await
            };
            Router::new().route("/", get(handler))
        }
    });
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("it is sent");
    server.runtime.block_on(called.notified());
    server.trigger.trigger();
    let all_ended = server.runtime.block_on(async {
        let connections = server.accepting.await.expect("accepting ends");
        connections.drain(Duration::from_millis(10)).await
    });
    assert!(!all_ended);
}
