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
#[cfg(test)]
mod rate_limit_tests;
mod registrations;
mod runtime;
mod serve;
pub mod services;
mod tls;
mod write_guard;

use std::io;

use thiserror::Error;

use self::serve::Server;
pub use self::{listener::BindError, tls::TlsError};
use crate::{
    api,
    config::Config,
    net::Shutdown,
    users::{Clock, appservices::RegistrationError},
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
    /// TLS can't be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A registration of an application service is wrong.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// The store or a service failed to start.
    #[error(transparent)]
    Services(#[from] services::StartError),
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
    warn_about_registration(config);
    let storage = services::open_storage(config)?;
    let server = Server::bind(config)?;
    let (trigger, shutdown) = Shutdown::new();
    let clock = Clock::system();
    let state = services::build(config, &storage, &clock)?;
    let registrations = registrations::load(config, &state)?;
    let tasks = assemble::start_tasks(&state, registrations, &shutdown);
    let router = api::router(state);
    for url in server.urls() {
        tracing::info!("listening on {url}");
    }
    server.serve(router, trigger, shutdown, signals).await;
    tasks.stop().await;
    storage.durable().await.map_err(services::StartError::from)?;
    tracing::info!("stopped");
    Ok(())
}

fn warn_about_registration(config: &Config) {
    let needs_no_token = config.allow_registration && config.registration_token.is_none();
    if needs_no_token && config.allow_open_registration {
        tracing::warn!("anybody can register an account here: set registration_token, or expect spam");
    } else if needs_no_token {
        tracing::info!("people can register with the tokens that administrators make");
    }
}
