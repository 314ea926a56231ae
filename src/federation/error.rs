//! Why another server has not answered what it was asked.

use std::time::Duration;

use http::StatusCode;
use ruma::MilliSecondsSinceUnixEpoch;

use super::limits::ERROR_TEXT_BYTES_MAX;
use crate::net::outbound::OutboundError;

/// Why another server has not answered what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FederationError {
    /// It failed lately and is left alone for a while.
    #[error("the server has failed lately and is not asked again yet")]
    BackingOff {
        /// Until when.
        until: MilliSecondsSinceUnixEpoch,
    },
    /// It is there, and has had too many questions of this kind from this server.
    #[error("the server has been asked this too often and is not asked again yet")]
    Throttled {
        /// Until when.
        until: MilliSecondsSinceUnixEpoch,
    },
    /// Its name leads to no place.
    #[error("the server can't be found: {0}")]
    Discovery(OutboundError),
    /// No connection to it came about.
    #[error("the server can't be reached: {0}")]
    Connect(OutboundError),
    /// It gave no whole answer in time.
    #[error("the server is too slow: {0}")]
    Timeout(OutboundError),
    /// Its answer is longer than is taken.
    #[error("the server's answer is too large")]
    TooLarge,
    /// It answered with an error.
    #[error("the server answered {status} {errcode}: {message}")]
    Remote {
        /// The HTTP status.
        status: StatusCode,
        /// The errcode, `M_UNKNOWN` if there was none.
        errcode: String,
        /// What it said to people.
        message: String,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// Its answer is not what the specification says.
    #[error("the server's answer makes no sense: {0}")]
    BadAnswer(String),
    /// The operator does not want this server to be talked to.
    #[error("this server does not talk to that one")]
    NotAllowed,
    /// The mistake is on our side.
    #[error("the request could not be made: {0}")]
    Local(String),
}

impl FederationError {
    /// Whether the other server, or the way to it, is out of order: it is left alone for a while.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Discovery(_) | Self::Connect(_) | Self::Timeout(_) => true,
            // Proxies (and Cloudflare, 520 and up) say so when the server behind them is down.
            Self::Remote { status, .. } => matches!(status.as_u16(), 502..=504 | 520..=530),
            _ => false,
        }
    }

    /// Whether the server has had too many questions of this kind: the question may be asked later, and others at
    /// once.
    pub fn is_throttled(&self) -> bool {
        match self {
            Self::Throttled { .. } => true,
            Self::Remote { status, .. } => *status == StatusCode::TOO_MANY_REQUESTS,
            _ => false,
        }
    }

    /// The errcode that the other server answered with.
    pub fn remote_errcode(&self) -> Option<&str> {
        match self {
            Self::Remote { errcode, .. } => Some(errcode),
            _ => None,
        }
    }

    /// Reads an error that a server answered.
    pub(super) fn from_answer(status: StatusCode, body: &[u8]) -> Self {
        #[derive(serde::Deserialize)]
        struct Body {
            errcode: Option<String>,
            error: Option<String>,
            retry_after_ms: Option<u64>,
        }
        let body: Option<Body> = serde_json::from_slice(body).ok();
        let (errcode, message, retry_after) = match body {
            Some(body) => (body.errcode, body.error, body.retry_after_ms),
            None => (None, None, None),
        };
        Self::Remote {
            status,
            errcode: shortened(errcode.unwrap_or_else(|| "M_UNKNOWN".to_owned())),
            message: shortened(message.unwrap_or_default()),
            retry_after: retry_after.map(Duration::from_millis),
        }
    }
}

impl From<OutboundError> for FederationError {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::NotAllowed(_) => Self::NotAllowed,
            OutboundError::Resolve { .. } | OutboundError::Url(_) => Self::Discovery(error),
            OutboundError::Timeout(_) | OutboundError::Stalled => Self::Timeout(error),
            OutboundError::TooLarge(_) => Self::TooLarge,
            _ => Self::Connect(error),
        }
    }
}

/// What a stranger wrote, cut to what a log can bear.
fn shortened(mut text: String) -> String {
    if text.len() > ERROR_TEXT_BYTES_MAX {
        let end = (0..=ERROR_TEXT_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_whatever_they_look_like() {
        let read = |body: &[u8]| match FederationError::from_answer(StatusCode::FORBIDDEN, body) {
            FederationError::Remote { errcode, message, retry_after, .. } => (errcode, message, retry_after),
            other => panic!("{other}"),
        };
        let body = br#"{"errcode":"M_FORBIDDEN","error":"no","retry_after_ms":5}"#;
        assert_eq!(read(body), ("M_FORBIDDEN".into(), "no".into(), Some(Duration::from_millis(5))));
        for odd in [&b"<html>"[..], b"", b"[]", b"\xff", br#"{"errcode":1}"#] {
            assert_eq!(read(odd), ("M_UNKNOWN".into(), String::new(), None));
        }
        let long = format!(r#"{{"errcode":"M_X","error":"{}"}}"#, "\u{e9}".repeat(1000));
        assert_eq!(read(long.as_bytes()).1.len(), 300);
    }

    #[test]
    fn an_answer_of_the_server_itself_is_no_outage() {
        let answered = |status| FederationError::from_answer(status, b"{}").is_outage();
        assert!(!answered(StatusCode::NOT_FOUND) && !answered(StatusCode::INTERNAL_SERVER_ERROR));
        assert!(answered(StatusCode::BAD_GATEWAY) && !answered(StatusCode::TOO_MANY_REQUESTS));
        assert!(FederationError::from(OutboundError::Stalled).is_outage());
        assert!(!FederationError::from(OutboundError::NotAllowed("a".into())).is_outage());
    }
}
