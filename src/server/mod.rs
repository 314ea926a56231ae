//! The server's shell: it assembles everything, listens, and sees to what all requests have in common
//! (ids, addresses, bounds, CORS, panics), and to starting and stopping.
//!
//! It holds no protocol logic: what an endpoint does stands in `api`. A request goes listener →
//! connection → middleware → router. The main function is [`run`].

mod assemble;
mod connection;
mod limits;
mod listener;
pub mod logging;
mod middleware;
mod open_files;
mod runtime;
mod serve;
mod write_guard;

use std::io;

use thiserror::Error;

pub use self::listener::BindError;
use self::serve::Server;
use crate::{
    config::{Config, ListenAddress},
    net::Shutdown,
};

/// Why the server could not start or had to stop.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The runtime or the handler of signals could not be made.
    #[error("the system refused what the server needs to run: {0}")]
    System(#[from] io::Error),
    /// An address could not be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// Runs the server until it is told to stop (SIGTERM or SIGINT). When it returns, requests that had
/// begun are answered, or were given up after some seconds.
pub fn run(config: Config) -> Result<(), ServerError> {
    open_files::raise_limit();
    let runtime = runtime::build()?;
    let result = runtime.block_on(run_until_stopped(&config));
    runtime.shutdown_timeout(limits::RUNTIME_STOP_TIME_MAX);
    result
}

async fn run_until_stopped(config: &Config) -> Result<(), ServerError> {
    // First, so that a signal during the start is not lost.
    let signals = serve::StopSignals::install()?;
    if config.allow_registration && config.registration_token.is_none() {
        tracing::warn!("anybody can register an account here: set registration_token, or expect spam");
    }
    let server = Server::bind(config)?;
    let (trigger, shutdown) = Shutdown::new();
    let router = assemble::router(config, &shutdown);
    for address in server.addresses() {
        match address {
            ListenAddress::Tcp(address) => tracing::info!("listening on http://{address}"),
            ListenAddress::Unix(_) => tracing::info!("listening on {address}"),
        }
    }
    server.serve(router, trigger, shutdown, signals).await;
    tracing::info!("stopped");
    Ok(())
}
