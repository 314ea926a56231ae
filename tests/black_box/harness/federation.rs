//! Several servers that talk to each other: over TLS on loopback, with a certificate authority of the test's own.
//!
//! A server's name is `localhost:PORT`, with the port that it serves TLS on; plain HTTP for its clients is on
//! another, as always. Names stay the same when a server is stopped and started again.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU16, Ordering},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::{Client, Server, ServerSettings};

/// The first port that is tried. From here to 32,767 the system gives no ports to anybody's connections.
const PORT_MIN: u16 = 16_000;

/// How many ports are tried.
const PORTS: u16 = 16_000;

/// Servers that trust each other's certificates. Dropping it stops them.
pub struct Federation {
    servers: Vec<FederatedServer>,
    _folder: TempDir,
}

/// One of them.
pub struct FederatedServer {
    /// The server.
    pub server: Server,
    /// Its name.
    pub name: String,
}

impl std::ops::Deref for FederatedServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl std::ops::DerefMut for FederatedServer {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

impl Federation {
    /// Two servers.
    #[track_caller]
    pub fn pair() -> Self {
        Self::of(2)
    }

    /// `count` servers.
    #[track_caller]
    pub fn of(count: usize) -> Self {
        Self::with(count, |_, _| ())
    }

    /// `count` servers, with settings of the test's choice; `change` gets a server's number.
    #[track_caller]
    pub fn with(count: usize, change: impl Fn(usize, &mut ServerSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let start = |number| {
            let port = free_port();
            let (certificate, key) = authority.certificate(folder.path(), &format!("server-{number}"));
            let tables = format!(
                "[tls]\n\
                 listen = [\"127.0.0.1:{port}\"]\n\
                 certificate_file = \"{}\"\n\
                 key_file = \"{}\"\n\
                 [outbound]\n\
                 ca_file = \"{}\"\n\
                 allowed_ranges = [\"127.0.0.0/8\", \"::1\"]\n\
                 [federation]\n\
                 trusted_key_servers = []\n",
                certificate.display(),
                key.display(),
                authority.file.display(),
            );
            let name = format!("localhost:{port}");
            let mut settings =
                ServerSettings { server_name: name.clone(), tables, ..ServerSettings::default() };
            change(number, &mut settings);
            FederatedServer { server: Server::start_with(&settings), name }
        };
        Self { servers: (0..count).map(start).collect(), _folder: folder }
    }

    /// A server by its number, from 0.
    pub fn server(&self, number: usize) -> &FederatedServer {
        &self.servers[number]
    }

    /// The same, to stop and start it.
    pub fn server_mut(&mut self, number: usize) -> &mut FederatedServer {
        &mut self.servers[number]
    }

    /// A new account on a server.
    #[track_caller]
    pub fn register(&self, number: usize, name: &str) -> Client {
        self.servers[number].server.register(name)
    }
}

/// A certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(folder: &Path) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let file = folder.join("ca.pem");
        std::fs::write(&file, parameters.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(parameters, key), file }
    }

    /// The files of a certificate for loopback and its key.
    fn certificate(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        let files = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        std::fs::write(&files.0, certificate.pem()).unwrap();
        std::fs::write(&files.1, key.serialize_pem()).unwrap();
        files
    }
}

/// A port that nobody listens on: a server's name has its port in it, so it must be known before the start.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test runs beside each other begin at different ports.
    let start = u16::try_from(process::id() % u32::from(PORTS)).unwrap();
    for _ in 0..PORTS {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORT_MIN + (start + offset % PORTS) % PORTS;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}
