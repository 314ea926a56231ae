//! What can go wrong with push rules.

use ruma::push::{InsertPushRuleError, RemovePushRuleError};

use crate::{storage::StorageError, users::UserError};

/// An error of push rules.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// No rule has this kind and id.
    #[error("The push rule was not found")]
    NoSuchRule,
    /// The rule can't be put there.
    #[error("The push rule can't be added: {0}")]
    Insert(#[from] InsertPushRuleError),
    /// One of the server's own rules.
    #[error("A rule of the server's can be disabled, but not deleted")]
    ServerDefault,
    /// A pattern that is never matched.
    #[error(
        "A pattern may have {} characters at most, or {} if it has wildcards",
        super::limits::LITERAL_CHARACTERS_MAX,
        super::limits::GLOB_CHARACTERS_MAX
    )]
    PatternTooLong,
    /// More rules than a user may have.
    #[error(
        "A user may have {} push rules and {} bytes of them",
        super::limits::USER_RULES_MAX,
        super::limits::RULES_BYTES_MAX
    )]
    TooManyRules,
    /// The pusher can't be used as it is.
    #[error("The pusher can't be used: {0}")]
    BadPusher(&'static str),
    /// More pushers than a user may have.
    #[error("A user may have {} pushers", super::limits::PUSHERS_PER_USER_MAX)]
    TooManyPushers,
    /// The gateway is at an address that is not connected to.
    #[error(
        "The push gateway {0} is at a private address, which this server does not connect to; its operator can \
         allow it with outbound.allowed_ranges"
    )]
    GatewayNotAllowed(String),
    /// The rules could not be written as JSON.
    #[error("the push rules could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The rules could not be stored as account data.
    #[error(transparent)]
    AccountData(#[from] UserError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<RemovePushRuleError> for PushError {
    fn from(error: RemovePushRuleError) -> Self {
        match error {
            RemovePushRuleError::ServerDefault => Self::ServerDefault,
            _ => Self::NoSuchRule,
        }
    }
}
