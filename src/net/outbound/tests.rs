//! The client against servers of the tests' own on loopback: what must come through, and what hostile servers do.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::{ServerConfig, crypto::ring::default_provider, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::{Outbound, OutboundClient, OutboundError, ResponseLimits, limits::CONNECTIONS_MAX};
use crate::config::AddressRange;

const LIMITS: ResponseLimits =
    ResponseLimits { bytes_max: 1024, time_max: Duration::from_secs(20), redirects_max: 3 };

fn local() -> Outbound {
    Outbound::new(None, &AddressRange::loopback()).unwrap()
}

fn get(address: SocketAddr, path: &str) -> Request<Bytes> {
    Request::get(format!("http://{address}{path}")).body(Bytes::new()).unwrap()
}

/// A server that treats each connection as `work` says.
async fn server<F>(work: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(work(stream));
        }
    });
    address
}

/// A server that reads the head of one request and answers some bytes.
async fn raw_server(answer: &'static [u8]) -> SocketAddr {
    server(move |mut stream| async move {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(answer).await;
        // Keeps the connection until the client goes.
        let _ = stream.read(&mut request).await;
    })
    .await
}

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let version = request.version();
    let host = request.uri().authority().map(ToString::to_string);
    let host = host.or_else(|| Some(request.headers().get("host")?.to_str().ok()?.to_owned()));
    let line = format!("{version:?} {} {} ", host.unwrap_or_default(), request.uri().path());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    Ok(Response::new([line.as_bytes(), &body].concat().into()))
}

async fn serve_http(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static) {
    let builder = auto::Builder::new(TokioExecutor::new());
    let _ = builder.serve_connection(TokioIo::new(stream), service_fn(echo)).await;
}

#[tokio::test]
async fn a_request_is_answered_and_the_connection_used_again() {
    let (count, mut counted) = tokio::sync::mpsc::unbounded_channel();
    let address = server(move |stream| {
        count.send(()).unwrap();
        serve_http(stream)
    })
    .await;
    let client = local().public();
    for path in ["/a", "/b", "/c"] {
        let response = client.request(get(address, path), LIMITS).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.body(), format!("HTTP/1.1 {address} {path} ").as_bytes());
    }
    let post = Request::post(format!("http://{address}/p")).body(Bytes::from("content")).unwrap();
    assert!(client.request(post, LIMITS).await.unwrap().body().ends_with(b"/p content"));
    assert_eq!((counted.recv().await, counted.try_recv().ok()), (Some(()), None), "one connection for all");
}

#[tokio::test]
async fn more_hosts_than_connections_are_served_one_after_the_other() {
    let client = local().public();
    for number in 0..CONNECTIONS_MAX + 20 {
        let address = server(serve_http).await;
        client.request(get(address, "/"), LIMITS).await.unwrap_or_else(|error| panic!("{number}: {error}"));
    }
}

/// A certificate authority's file, and a server's side of TLS with a certificate of it for `name`.
fn tls(folder: &std::path::Path, name: &str, protocols: &[&[u8]]) -> (std::path::PathBuf, TlsAcceptor) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf =
        rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let file = folder.join("ca.pem");
    std::fs::write(&file, ca_certificate.pem()).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    (file, TlsAcceptor::from(Arc::new(config)))
}

async fn tls_server(acceptor: TlsAcceptor) -> SocketAddr {
    server(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve_http(stream).await;
            }
        }
    })
    .await
}

async fn get_secure(client: &OutboundClient, authority: &str) -> Result<Response<Bytes>, OutboundError> {
    let request = Request::get(format!("https://{authority}/x")).body(Bytes::new()).unwrap();
    client.request(request, LIMITS).await
}

#[tokio::test]
async fn both_versions_of_http_go_over_tls() {
    for (protocols, version) in
        [(&[&b"h2"[..]][..], Version::HTTP_2), (&[&b"http/1.1"[..]][..], Version::HTTP_11)]
    {
        let folder = tempfile::tempdir().unwrap();
        let (ca, acceptor) = tls(folder.path(), "localhost", protocols);
        let port = tls_server(acceptor).await.port();
        let outbound = Outbound::new(Some(&ca), &AddressRange::loopback()).unwrap();
        let client = outbound.public_secure();
        for _ in 0..2 {
            let response = get_secure(&client, &format!("localhost:{port}")).await.unwrap();
            let expected = format!("{version:?} localhost:{port} /x ");
            assert_eq!(response.body(), expected.as_bytes());
        }
    }
}

#[tokio::test]
async fn a_certificate_must_be_of_a_known_authority_and_for_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, acceptor) = tls(folder.path(), "localhost", &[b"http/1.1"]);
    let port = tls_server(acceptor).await.port();
    let trusting = Outbound::new(Some(&ca), &AddressRange::loopback()).unwrap().public();
    let other_name = get_secure(&trusting, &format!("127.0.0.1:{port}")).await;
    assert!(matches!(other_name, Err(OutboundError::Tls { .. })), "{other_name:?}");
    let unknown = get_secure(&local().public(), &format!("localhost:{port}")).await;
    assert!(matches!(unknown, Err(OutboundError::Tls { .. })), "{unknown:?}");
}

#[tokio::test]
async fn inner_addresses_are_refused_by_literal_name_and_redirect() {
    let address = server(serve_http).await;
    let strict = Outbound::new(None, &[]).unwrap();
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"] {
        let request = Request::get(format!("http://{host}:{}/", address.port())).body(Bytes::new()).unwrap();
        let refused = strict.public().request(request.clone(), LIMITS).await;
        assert!(matches!(refused, Err(OutboundError::NotAllowed(_))), "{host}: {refused:?}");
    }
    assert!(strict.trusted().request(get(address, "/"), LIMITS).await.is_ok());

    // Allowed at first, and then sent inside.
    let first =
        raw_server(b"HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/secret\r\ncontent-length: 0\r\n\r\n")
            .await;
    let refused = local().public().request(get(first, "/"), LIMITS).await;
    assert_eq!(refused.unwrap_err(), OutboundError::NotAllowed("10.0.0.1".to_owned()));
}

#[tokio::test]
async fn redirects_are_followed_a_few_times_and_never_away_from_tls() {
    let target = server(serve_http).await;
    let moved = format!(
        "HTTP/1.1 308 Moved\r\nconnection: close\r\nlocation: http://{target}/there\r\ncontent-length: 0\r\n\r\n"
    );
    let first = raw_server(moved.leak().as_bytes()).await;
    let client = local().public();
    let response = client.request(get(first, "/"), LIMITS).await.unwrap();
    assert!(response.body().ends_with(b"/there "));
    let as_it_is =
        client.request(get(first, "/"), ResponseLimits { redirects_max: 0, ..LIMITS }).await.unwrap();
    assert_eq!(as_it_is.status(), StatusCode::PERMANENT_REDIRECT);
    let post = Request::post(format!("http://{first}/")).body(Bytes::new()).unwrap();
    assert_eq!(client.request(post, LIMITS).await.unwrap().status(), StatusCode::PERMANENT_REDIRECT);

    let circle = raw_server(b"HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(client.request(get(circle, "/"), LIMITS).await.unwrap_err(), OutboundError::Redirects);
    let plain = local().public_secure().request(get(target, "/"), LIMITS).await;
    assert_eq!(plain.unwrap_err(), OutboundError::Redirects);
}

#[tokio::test]
async fn long_answers_are_given_up() {
    let announced = raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 9999999999\r\n\r\nx").await;
    let endless = server(|mut stream| async move {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while stream.write_all(b"100\r\n").await.is_ok()
            && stream.write_all(&[b'x'; 256]).await.is_ok()
            && stream.write_all(b"\r\n").await.is_ok()
        {}
    })
    .await;
    for address in [announced, endless] {
        let outcome = local().public().request(get(address, "/"), LIMITS).await;
        assert_eq!(outcome.unwrap_err(), OutboundError::TooLarge(1024));
    }
}

#[tokio::test]
async fn slow_answers_are_given_up() {
    let time_max = Duration::from_millis(300);
    let limits = ResponseLimits { time_max, ..LIMITS };
    let silent = raw_server(b"").await;
    let dripping = server(|mut stream| async move {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let endless_head = server(|mut stream| async move {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(b"a: b\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    for address in [silent, dripping, endless_head] {
        let outcome = local().public().request(get(address, "/"), limits).await;
        assert_eq!(outcome.unwrap_err(), OutboundError::Timeout(time_max));
    }
}

#[tokio::test]
async fn what_is_not_http_is_an_error() {
    for answer in [&b"SSH-2.0-x\r\n"[..], b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n\xff\xfe"] {
        let address = server(move |mut stream| async move {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer).await;
        })
        .await;
        let outcome = local().public().request(get(address, "/"), LIMITS).await;
        assert!(matches!(outcome, Err(OutboundError::Http(_))), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_connection_closed_meanwhile_is_replaced() {
    // Answers one request on each connection and closes it without saying so.
    let address = server(|mut stream| async move {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    })
    .await;
    let client = local().public();
    for _ in 0..20 {
        assert_eq!(client.request(get(address, "/"), LIMITS).await.unwrap().body(), "ok");
    }
}

#[tokio::test]
async fn only_http_urls_are_asked() {
    let client = local().public();
    for url in ["ftp://127.0.0.1/", "/relative", "http://user:password@127.0.0.1/"] {
        let request = Request::get(url).body(Bytes::new()).unwrap();
        assert!(matches!(client.request(request, LIMITS).await, Err(OutboundError::Url(_))), "{url}");
    }
}
