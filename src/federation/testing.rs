//! Other servers for tests: real ones, on loopback, with TLS by a certificate authority of the test's own.

use std::{
    convert::Infallible,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Body};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use ruma::{OwnedServerName, ServerName, server_name};
use rustls::{ServerConfig, crypto::ring::default_provider, pki_types::PrivateKeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::{Backoff, FederationClient, Outside, ServerKeys};
use crate::{
    config::{AddressRange, Config},
    matrix::{SigningKey, canonical_json, signing::sign_json},
    net::outbound::Outbound,
    storage::Storage,
    users::{Clock, ManualClock},
};

/// The time of all tests' clocks at the start.
pub(crate) const START_MS: u64 = 1_700_000_000_000;

/// This server, as far as it talks to others; its name is `own.test`.
pub(crate) struct Own {
    pub(crate) client: FederationClient,
    pub(crate) keys: ServerKeys,
    pub(crate) backoff: Backoff,
    pub(crate) storage: Storage,
    pub(crate) time: ManualClock,
    pub(crate) key: SigningKey,
    trust: Arc<Trust>,
}

/// The certificate authority of a test.
struct Trust {
    ca: rcgen::Issuer<'static, rcgen::KeyPair>,
    file: PathBuf,
    _folder: TempDir,
}

impl Own {
    pub(crate) fn new() -> Self {
        Self::configured(|_| ())
    }

    pub(crate) fn configured(change: impl FnOnce(&mut Config)) -> Self {
        Self::over(Arc::new(Trust::new()), change)
    }

    /// Another database under the same authority, with a notary.
    pub(crate) fn trusting(&self, notary: &ServerName) -> Self {
        let notaries = vec![notary.to_owned()];
        Self::over(self.trust.clone(), |config| config.federation.trusted_key_servers = notaries)
    }

    /// The certificate authority's file.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.trust.file.clone()
    }

    fn over(trust: Arc<Trust>, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(server_name!("own.test").to_owned(), "/nowhere".into());
        config.federation.trusted_key_servers = Vec::new();
        change(&mut config);
        let storage = Storage::in_memory().unwrap();
        let (clock, time) = Clock::manual(START_MS);
        let outbound = Outbound::new(Some(&trust.file), &AddressRange::loopback()).unwrap();
        let key = SigningKey::from_seed([1; 32], "own").unwrap();
        let outside = Outside::new(&config, &storage, &clock, outbound, key.clone()).unwrap();
        let backoff = outside.client.backoff().clone();
        Self { client: outside.client, keys: outside.server_keys, backoff, storage, time, key, trust }
    }

    /// Starts another server that answers as `router` does; its name is `127.0.0.1:PORT`. What it is asked is
    /// noted.
    pub(crate) async fn other(&self, router: Router) -> Other {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let leaf = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &self.trust.ca).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), router, asked.clone()));
        Other { name: ServerName::parse(format!("127.0.0.1:{port}")).unwrap(), asked }
    }
}

/// Another server.
pub(crate) struct Other {
    pub(crate) name: OwnedServerName,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Other {
    /// The requests so far, as method and path.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, router: Router, asked: Arc<Mutex<Vec<String>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, router, asked) = (tls.clone(), router.clone(), asked.clone());
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let line = format!("{} {}", request.method(), request.uri().path());
                asked.lock().unwrap().push(line);
                let router = router.clone();
                async move { Ok::<_, Infallible>(router.oneshot(request.map(Body::new)).await.unwrap()) }
            });
            let builder = auto::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Trust {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, ca.self_signed(&key).unwrap().pem()).unwrap();
        Self { ca: rcgen::Issuer::new(ca, key), file, _folder: folder }
    }
}

/// A server's document of keys, signed with each key in it that is not old.
pub(crate) fn key_document(
    server: &str,
    keys: &[&SigningKey],
    old: &[(&SigningKey, u64)],
    valid_until_ms: u64,
) -> Value {
    let public = |key: &SigningKey| (key.key_id().to_owned(), json!({ "key": key.public_key_base64() }));
    let current: serde_json::Map<_, _> = keys.iter().map(|key| public(key)).collect();
    let old: serde_json::Map<_, _> = old
        .iter()
        .map(|(key, until)| {
            (key.key_id().to_owned(), json!({ "key": key.public_key_base64(), "expired_ts": until }))
        })
        .collect();
    let mut document = canonical_json::to_object(&json!({
        "server_name": server, "verify_keys": current, "old_verify_keys": old,
        "valid_until_ts": valid_until_ms,
    }))
    .unwrap();
    for key in keys {
        sign_json(&mut document, server, key).unwrap();
    }
    serde_json::to_value(document).unwrap()
}
