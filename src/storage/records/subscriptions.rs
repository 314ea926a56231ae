//! Rows of threads that users follow.

use crate::storage::{
    codec::{CodecError, Key},
    short_ids::StreamPosition,
    value::Value,
};

/// Whether a user follows a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionState {
    /// Not any more.
    Unsubscribed,
    /// A client has subscribed by itself.
    Automatic,
    /// The user has subscribed.
    Manual,
}

/// How a user follows a thread, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadSubscriptionRow {
    /// When it changed; also the key of its row in the order of changes.
    pub position: StreamPosition,
    /// What it is.
    pub state: SubscriptionState,
}

impl Value for ThreadSubscriptionRow {
    fn to_value(&self) -> Vec<u8> {
        let state: u8 = match self.state {
            SubscriptionState::Unsubscribed => 0,
            SubscriptionState::Automatic => 1,
            SubscriptionState::Manual => 2,
        };
        (self.position, state).to_bytes()
    }

    fn from_value(bytes: &[u8]) -> Result<Self, CodecError> {
        let (position, state): (StreamPosition, u8) = Key::from_bytes(bytes)?;
        let state = match state {
            0 => SubscriptionState::Unsubscribed,
            1 => SubscriptionState::Automatic,
            2 => SubscriptionState::Manual,
            other => return Err(CodecError::invalid("subscription", other)),
        };
        Ok(Self { position, state })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_went() {
        for state in
            [SubscriptionState::Unsubscribed, SubscriptionState::Automatic, SubscriptionState::Manual]
        {
            let row = ThreadSubscriptionRow { position: StreamPosition(7), state };
            assert_eq!(ThreadSubscriptionRow::from_value(&row.to_value()).unwrap(), row);
        }
        assert!(ThreadSubscriptionRow::from_value(&[0, 0, 0, 0, 0, 0, 0, 7, 3]).is_err());
        assert!(ThreadSubscriptionRow::from_value(&[7]).is_err());
    }
}
