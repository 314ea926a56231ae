//! Why an outgoing request has no answer.

use std::time::Duration;

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// It is no name that DNS could know.
    #[error("it is not a host name")]
    NotAName,
    /// DNS says that there is no such record.
    #[error("there is no such name")]
    NoSuchName,
    /// No DNS server gave an answer.
    #[error("the lookup failed: {0}")]
    Failed(String),
    /// Too many lookups are waiting.
    #[error("too many lookups are under way")]
    Busy,
}

/// Why an outgoing request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// The URL is not one that can be asked.
    #[error("the URL can't be asked: {0}")]
    Url(String),
    /// The address is not on the public internet, and the operator has not allowed it.
    #[error("{0} is at an address that this server does not connect to")]
    NotAllowed(String),
    /// The host's name could not be resolved.
    #[error("{host}: {source}")]
    Resolve {
        /// The host.
        host: String,
        /// Why.
        source: ResolveError,
    },
    /// No connection could be made.
    #[error("cannot connect to {host}: {why}")]
    Connect {
        /// The host.
        host: String,
        /// What the system said.
        why: String,
    },
    /// The TLS handshake failed, the certificate included.
    #[error("cannot connect to {host} securely: {why}")]
    Tls {
        /// The host.
        host: String,
        /// What was wrong.
        why: String,
    },
    /// No whole answer came in time.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The answer paused for too long.
    #[error("the answer came too slowly")]
    Stalled,
    /// The answer is longer than allowed.
    #[error("the answer is longer than {0} bytes")]
    TooLarge(u64),
    /// More redirects than allowed, or one that leads nowhere or away from TLS.
    #[error("the redirects lead nowhere")]
    Redirects,
    /// The host broke the connection, or does not speak HTTP.
    #[error("the connection broke: {0}")]
    Http(String),
}

/// Why the outgoing side could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum OutboundSetupError {
    /// The file with further certificate authorities can't be used.
    #[error("cannot use the certificates in {path}: {why}")]
    CaFile {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// TLS itself can't be set up.
    #[error("TLS can't be set up: {0}")]
    Tls(String),
}
