//! The sockets that the server listens on.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::{fs::PermissionsExt, net::UnixStream as StdUnixStream},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::ServerConfig;
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};

use crate::config::{Config, FileMode, ListenAddress};

/// Why an address could not be listened on.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: {source}{}", hint(source))]
pub struct BindError {
    /// The address, as configured.
    pub address: ListenAddress,
    /// What the system said.
    pub source: io::Error,
}

/// What to do about an error.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another program listens there: stop it, or change `listen`",
        io::ErrorKind::PermissionDenied => {
            "; the user may not: use a port from 1024 up, or a folder that it may write to"
        }
        io::ErrorKind::AddrNotAvailable => "; this machine does not have that address: change `listen`",
        _ => "",
    }
}

/// A socket that accepts connections.
#[derive(Debug)]
pub enum Listener {
    /// On a TCP address.
    Tcp(TcpListener),
    /// On a TCP address, with TLS.
    Tls(TcpListener, Arc<ServerConfig>),
    /// On a Unix socket, whose file goes when the listener does.
    Unix(UnixListener, SocketFile),
}

/// The file of a Unix socket; removed on drop.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "cannot remove the socket");
        }
    }
}

impl Listener {
    /// Listens on all configured addresses. Must be called within the runtime.
    pub fn bind_all(config: &Config, tls: Option<&Arc<ServerConfig>>) -> Result<Vec<Self>, BindError> {
        let bind = |address: &ListenAddress| {
            let bound = match address {
                ListenAddress::Tcp(address) => bind_tcp(*address).map(Self::Tcp),
                ListenAddress::Unix(path) => bind_unix(path, config.unix_socket_mode),
            };
            bound.map_err(|source| BindError { address: address.clone(), source })
        };
        let bind_tls = |tls: &Arc<ServerConfig>, address: SocketAddr| {
            bind_tcp(address)
                .map(|listener| Self::Tls(listener, tls.clone()))
                .map_err(|source| BindError { address: ListenAddress::Tcp(address), source })
        };
        let plain = config.listen.iter().map(bind);
        let secure = tls
            .into_iter()
            .flat_map(|tls| config.tls.listen.iter().map(move |address| bind_tls(tls, *address)));
        plain.chain(secure).collect()
    }

    /// The URL of what is listened on, for people.
    pub fn url(&self) -> Option<String> {
        let scheme = match self {
            Self::Tcp(_) => "http://",
            Self::Tls(..) => "https://",
            Self::Unix(..) => "",
        };
        self.address().map(|address| format!("{scheme}{address}"))
    }

    /// The address listened on; where port 0 was configured, with the port that the system chose.
    pub fn address(&self) -> Option<ListenAddress> {
        match self {
            Self::Tcp(listener) | Self::Tls(listener, _) => {
                listener.local_addr().ok().map(ListenAddress::Tcp)
            }
            Self::Unix(_, file) => Some(ListenAddress::Unix(file.0.clone())),
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// A server that was killed leaves its socket's file behind: it is removed if nobody answers there.
fn bind_unix(path: &Path, mode: FileMode) -> io::Result<Listener> {
    if let Err(error) = StdUnixStream::connect(path)
        && error.kind() == io::ErrorKind::ConnectionRefused
    {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    let file = SocketFile(path.to_owned());
    fs::set_permissions(path, fs::Permissions::from_mode(mode.bits()))?;
    Ok(Listener::Unix(listener, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("conduit.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket is bound"));
        assert!(path.exists(), "the file is left behind");

        let mode = FileMode::new(0o600);
        let listener = bind_unix(&path, mode).expect("the dead socket is replaced");
        assert_eq!(fs::metadata(&path).expect("file").permissions().mode() & 0o777, 0o600);
        let second = bind_unix(&path, mode).expect_err("the socket is in use");
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert!(!path.exists(), "the file goes with the listener");
    }

    #[tokio::test]
    async fn an_address_in_use_is_named_with_what_to_do() {
        let first = Listener::Tcp(bind_tcp(([127, 0, 0, 1], 0).into()).expect("a free port"));
        let address = first.address().expect("its address");
        let mut config = Config::new("a.b".try_into().expect("a name"), "/nowhere".into());
        config.listen = vec![address.clone()];
        let message = Listener::bind_all(&config, None).expect_err("it is in use").to_string();
        assert!(message.contains(&address.to_string()) && message.contains("change `listen`"), "{message}");
    }
}
