//! The log: set up once at the start of the process.
//!
//! No secret goes into it: requests are logged by method, path and id, never with query, headers or
//! body. Libraries that could print headers (HTTP/2 frames at "trace") stay at "info" unless the
//! operator names them in the filter.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io,
    io::IsTerminal,
    panic,
};

use thiserror::Error;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::ParseError, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::config::{Log, LogFormat};

/// What goes before the operator's filter; later directives win.
const QUIET_LIBRARIES: &str = "h2=info,hyper=info,hyper_util=info";

/// Why there is no log.
#[derive(Debug, Error)]
pub enum LoggingError {
    /// The filter is not understood.
    #[error("log.filter is not understood: {0}")]
    Filter(#[from] ParseError),
    /// The process has a log already.
    #[error("the log is set up already: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Sets up the process's log on standard error, and lets panics go there too.
pub fn init(config: &Log) -> Result<(), LoggingError> {
    let filter = EnvFilter::builder().parse(format!("{QUIET_LIBRARIES},{}", config.filter.as_str()))?;
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match config.format {
        LogFormat::Pretty => {
            fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).boxed()
        }
        LogFormat::Json => {
            fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(io::stderr).boxed()
        }
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()?;
    panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Logs a panic with its place; it stands in the span of its request, so its id is told too.
fn log_panic(info: &panic::PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let message = panic_message(info.payload());
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(place, %backtrace, "panic: {message}");
    } else {
        tracing::error!(place, "panic: {message}");
    }
}

/// The text that a panic was given.
fn panic_message(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
