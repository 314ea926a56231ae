//! The tokens that clients carry between requests.
//!
//! A pagination token names a gap between two events of a room's timeline: `t<key>` is the gap just before
//! the event with that timeline key. Going backward from it shows smaller keys, going forward that key and
//! larger ones, so one token serves both directions. A sync token names a position in the stream of all
//! changes, and is accepted wherever a pagination token is. Tokens are not secrets: they grant nothing.

use std::{fmt, str::FromStr};

use super::ReadError;
use crate::storage::{StreamPosition, TimelineKey};

/// A `next_batch` of sync: `s<position>_<typing serial>`, with `_<position>` after it while there are more
/// to-device messages than one answer holds or presence is on, and then `_<presence serial>`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SyncToken {
    /// Everything up to and including this position has been told.
    pub position: StreamPosition,
    /// Typing has been told up to this serial.
    pub typing: u64,
    /// To-device messages have been delivered up to here: [`position`](Self::position), or before it while there
    /// are too many for one answer.
    pub to_device: StreamPosition,
    /// Presence has been told up to this serial; zero where it is switched off.
    pub presence: u64,
}

impl SyncToken {
    /// The token of an answer that told everything up to a position.
    pub fn new(position: StreamPosition, typing: u64) -> Self {
        Self { position, typing, to_device: position, presence: 0 }
    }
}

impl fmt::Display for SyncToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}_{}", self.position.0, self.typing)?;
        match (self.presence, self.to_device == self.position) {
            (0, true) => Ok(()),
            (0, false) => write!(f, "_{}", self.to_device.0),
            (presence, _) => write!(f, "_{}_{presence}", self.to_device.0),
        }
    }
}

impl FromStr for SyncToken {
    type Err = ReadError;

    fn from_str(text: &str) -> Result<Self, ReadError> {
        let parts = || {
            let mut parts = text.strip_prefix('s')?.split('_').map(|part| part.parse().ok());
            let token = Self::new(StreamPosition(parts.next()??), parts.next()??);
            let to_device = parts.next().unwrap_or(Some(token.position.0))?;
            let presence = parts.next().unwrap_or(Some(0))?;
            let is_whole = parts.next().is_none() && to_device <= token.position.0;
            is_whole.then_some(Self { to_device: StreamPosition(to_device), presence, ..token })
        };
        parts().ok_or_else(|| ReadError::InvalidToken(text.to_owned()))
    }
}

/// A `pos` of sliding sync: `s<position>_<typing serial>-<connection>-<answer>`. The first half is a sync
/// token, so that it says where to go on reading a room; the second says which answer of which connection it
/// came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlidingToken {
    /// What has been told.
    pub told: SyncToken,
    /// The connection, a random number.
    pub connection: u64,
    /// The answer's number within the connection, from 1.
    pub answer: u64,
}

impl fmt::Display for SlidingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.told, self.connection, self.answer)
    }
}

impl FromStr for SlidingToken {
    type Err = ReadError;

    fn from_str(text: &str) -> Result<Self, ReadError> {
        let parts = || {
            let (rest, answer) = text.rsplit_once('-')?;
            let (told, connection) = rest.rsplit_once('-')?;
            Some(Self {
                told: told.parse().ok()?,
                connection: connection.parse().ok()?,
                answer: answer.parse().ok()?,
            })
        };
        parts().ok_or_else(|| ReadError::InvalidToken(text.to_owned()))
    }
}

/// A place in a room's timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaginationToken {
    /// Just before the event with this key.
    Before(TimelineKey),
    /// After everything that a sync up to this token has told.
    Sync(SyncToken),
}

impl PaginationToken {
    /// Just after the event with this key.
    pub fn after(key: TimelineKey) -> Self {
        Self::Before(TimelineKey(key.0.saturating_add(1)))
    }
}

impl fmt::Display for PaginationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before(key) => write!(f, "t{}", key.0),
            Self::Sync(token) => token.fmt(f),
        }
    }
}

impl FromStr for PaginationToken {
    type Err = ReadError;

    fn from_str(text: &str) -> Result<Self, ReadError> {
        match text.strip_prefix('t') {
            Some(key) => key
                .parse()
                .map(|key| Self::Before(TimelineKey(key)))
                .map_err(|_| ReadError::InvalidToken(text.to_owned())),
            None => {
                text.parse().or_else(|_| text.parse::<SlidingToken>().map(|token| token.told)).map(Self::Sync)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_round_trip(key: i64, position: u64, typing: u64, presence: u64) {
            let token = PaginationToken::Before(TimelineKey(key));
            prop_assert_eq!(token.to_string().parse::<PaginationToken>().unwrap(), token);
            let token = SyncToken::new(StreamPosition(position), typing);
            let less = SyncToken { to_device: StreamPosition(position / 2), ..token };
            for token in [token, less, SyncToken { presence, ..token }, SyncToken { presence, ..less }] {
                let token = PaginationToken::Sync(token);
                prop_assert_eq!(token.to_string().parse::<PaginationToken>().unwrap(), token);
            }
        }

        #[test]
        fn any_text_is_a_token_or_an_error(text in "[st]?[-0-9_x]{0,24}") {
            if let Ok(token) = text.parse::<PaginationToken>() {
                prop_assert_eq!(token.to_string().parse::<PaginationToken>().unwrap(), token);
            }
        }

        #[test]
        fn tokens_of_sliding_sync_round_trip_and_are_places_in_a_room(
            position: u64, typing: u64, connection: u64, answer: u64,
        ) {
            let told = SyncToken::new(StreamPosition(position), typing);
            let token = SlidingToken { told, connection, answer };
            prop_assert_eq!(token.to_string().parse::<SlidingToken>().unwrap(), token);
            prop_assert_eq!(token.to_string().parse::<PaginationToken>().unwrap(), PaginationToken::Sync(told));
            prop_assert!(token.to_string().parse::<SyncToken>().is_err());
        }
    }

    #[test]
    fn forged_tokens_are_refused() {
        for text in [
            "",
            "t",
            "s",
            "s1",
            "s1_",
            "t99999999999999999999",
            "x1",
            "s-1_2",
            "t1_2",
            "s1_2_3",
            "s3_2_1_0_0",
            "s3_2_1_",
            "s3_2_4_0",
            "s3_2_",
        ] {
            assert!(text.parse::<PaginationToken>().is_err(), "{text}");
        }
    }
}
