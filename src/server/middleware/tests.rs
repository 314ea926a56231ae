//! The layers around a small router, without a network.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{Request, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Frame;
use serde_json::Value;
use tower::ServiceExt;

use super::{Shell, body::BodyLimits, wrap};
use crate::{
    api::routes::unknown_endpoint,
    config::Config,
    net::{ClientAddress, Peer},
};

/// The most that a body may have here, in bytes.
const BODY_BYTES_MAX: u64 = 1024;

fn shell() -> Shell {
    let mut config = Config::new("a.b".try_into().expect("a name"), "/nowhere".into());
    config.max_request_bytes = BODY_BYTES_MAX;
    Shell::new(&config)
}

async fn panics() -> &'static str {
    panic!("as the test wants")
}

async fn long_json() -> ([(&'static str, &'static str); 1], String) {
    ([("content-type", "application/json")], format!("\"{}\"", "a".repeat(5000)))
}

/// Some endpoints within the layers.
fn endpoints() -> Router {
    let router = Router::new()
        .route("/ok", get(|| async { "ok" }))
        .route("/panic", get(panics))
        .route("/echo", post(|body: Bytes| async { body }))
        .route("/client", get(|client: ClientAddress| async move { client.0.to_string() }))
        .route("/long", get(long_json))
        .fallback(unknown_endpoint);
    wrap(router, shell())
}

fn request(method: &str, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).expect("a request")
}

async fn answer(router: &Router, request: Request<Body>) -> Response<Body> {
    router.clone().oneshot(request).await.expect("it always answers")
}

async fn body_of(response: Response<Body>) -> Bytes {
    response.into_body().collect().await.expect("a body").to_bytes()
}

async fn errcode_of(response: Response<Body>) -> String {
    let body: Value = serde_json::from_slice(&body_of(response).await).expect("JSON");
    assert!(body["error"].is_string(), "{body}");
    body["errcode"].as_str().expect("an errcode").to_owned()
}

fn has_cors(headers: &HeaderMap) -> bool {
    headers.get("access-control-allow-origin").is_some_and(|origin| origin == "*")
}

/// A body that comes in pieces, its length not announced, and then ends or stops coming.
struct Pieces {
    left: Vec<usize>,
    then_stops: bool,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.left.pop() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b'x'; bytes]))))),
            None if self.then_stops => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}

fn pieces(sizes: &[usize]) -> Body {
    Body::new(Pieces { left: sizes.to_vec(), then_stops: false })
}

fn unfinished(sizes: &[usize]) -> Body {
    Body::new(Pieces { left: sizes.to_vec(), then_stops: true })
}

fn echo(body: Body) -> Request<Body> {
    Request::post("/echo").body(body).expect("a request")
}

#[tokio::test]
async fn every_answer_has_cors_headers_and_an_id() {
    let router = endpoints();
    let mut ids = Vec::new();
    for (path, status) in [("/ok", 200), ("/nowhere", 404), ("/panic", 500)] {
        let response = answer(&router, request("GET", path)).await;
        assert_eq!(response.status().as_u16(), status, "{path}");
        assert!(has_cors(response.headers()), "{path}");
        ids.push(response.headers()["x-request-id"].clone());
    }
    assert!(ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
}

#[tokio::test]
async fn a_preflight_is_answered_for_every_path_without_calling_the_endpoint() {
    let router = endpoints();
    for path in ["/ok", "/panic", "/echo", "/nowhere"] {
        let response = answer(&router, request("OPTIONS", path)).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let headers = response.headers().clone();
        assert!(has_cors(&headers), "{path}");
        let allowed = |name: &str| headers[name].to_str().expect("text").to_lowercase();
        let methods = allowed("access-control-allow-methods");
        assert!(["get", "post", "put", "delete", "options"].iter().all(|m| methods.contains(m)), "{methods}");
        let names = allowed("access-control-allow-headers");
        let wanted = ["x-requested-with", "content-type", "authorization"];
        assert!(wanted.iter().all(|name| names.contains(name)), "{names}");
        assert!(body_of(response).await.is_empty());
    }
}

#[tokio::test]
async fn a_panic_answers_500_and_the_next_request_is_served() {
    let router = endpoints();
    let response = answer(&router, request("GET", "/panic")).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(errcode_of(response).await, "M_UNKNOWN");
    assert_eq!(answer(&router, request("GET", "/ok")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_body_of_many_pieces_arrives_whole() {
    let router = endpoints();
    for sizes in [vec![1024], vec![1, 2, 3], vec![1023, 0, 1]] {
        let response = answer(&router, echo(pieces(&sizes))).await;
        assert_eq!(response.status(), StatusCode::OK, "{sizes:?}");
        assert_eq!(body_of(response).await.len(), sizes.iter().sum::<usize>());
    }
}

#[tokio::test]
async fn a_body_over_the_limit_answers_413() {
    let router = endpoints();
    let announced = Request::post("/echo").header("content-length", "1025").body(unfinished(&[]));
    for request in [echo(pieces(&[1025])), echo(pieces(&[1, 1024])), announced.expect("a request")] {
        let response = answer(&router, request).await;
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(errcode_of(response).await, "M_TOO_LARGE");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_answers_408() {
    let shell =
        Shell { bodies: Arc::new(BodyLimits::new(BODY_BYTES_MAX, Duration::from_millis(1))), ..shell() };
    let router = wrap(Router::new().route("/echo", post(|body: Bytes| async { body })), shell);
    let response = answer(&router, echo(unfinished(&[10]))).await;
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(errcode_of(response).await, "M_UNKNOWN");
}

#[tokio::test]
async fn bodies_have_a_budget_together_which_comes_back() {
    let router = endpoints();
    // Four of the largest are the budget: each holds its part while it waits for its end.
    let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(answer(&router, echo(unfinished(&[1024]))))).collect();
    for request in &mut waiting {
        let polled = std::future::poll_fn(|context| Poll::Ready(request.as_mut().poll(context))).await;
        assert!(polled.is_pending());
    }
    let response = answer(&router, echo(pieces(&[1024]))).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(answer(&router, request("GET", "/ok")).await.status(), StatusCode::OK);
    let small = answer(&router, echo(pieces(&[30, 30]))).await;
    assert_eq!(small.status(), StatusCode::OK, "small bodies have places of their own");
    drop(waiting);
    assert_eq!(answer(&router, echo(pieces(&[1024]))).await.status(), StatusCode::OK);
    assert_eq!(answer(&router, echo(pieces(&[30, 994]))).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn long_json_is_compressed_for_those_who_take_it() {
    let router = endpoints();
    let with_gzip = |path: &str| {
        Request::get(path).header("accept-encoding", "gzip").body(Body::empty()).expect("a request")
    };
    let compressed = answer(&router, with_gzip("/long")).await;
    assert_eq!(compressed.headers()["content-encoding"], "gzip");
    assert!(body_of(compressed).await.len() < 500);
    let plain = answer(&router, request("GET", "/long")).await;
    assert!(!plain.headers().contains_key("content-encoding"));
    assert_eq!(body_of(plain).await.len(), 5002);
    assert!(!answer(&router, with_gzip("/nowhere")).await.headers().contains_key("content-encoding"));
}

#[tokio::test]
async fn the_client_is_whom_a_trusted_proxy_names() {
    let router = endpoints();
    let client_of = async |peer: &str| {
        let mut request = Request::get("/client").header("x-forwarded-for", "203.0.113.9");
        let peer = Peer::Address(peer.parse().expect("an address"));
        request.extensions_mut().expect("no error yet").insert(peer);
        body_of(answer(&router, request.body(Body::empty()).expect("a request")).await).await
    };
    assert_eq!(client_of("127.0.0.1").await, "203.0.113.9");
    assert_eq!(client_of("192.0.2.7").await, "192.0.2.7");
}
