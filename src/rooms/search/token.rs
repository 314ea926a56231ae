//! Where a search goes on: how many results were told of those that there were when it began, and of which group.
//!
//! `w<position>_<offset>`, with `_r<room>` or `_u<user>` after it for a group. What came after the position is left
//! out, so that pages don't shift. Tokens are no secrets and grant nothing.

use std::{fmt, str::FromStr};

use crate::{
    rooms::{ReadError, limits},
    storage::{ShortRoomId, ShortUserId, StreamPosition},
};

/// A part of the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchGroup {
    /// Those of a room.
    Room(ShortRoomId),
    /// Those that a user has sent.
    Sender(ShortUserId),
}

/// Where a search goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchToken {
    /// Only what was there at this position is found.
    pub position: StreamPosition,
    /// How many results were told.
    pub offset: usize,
    /// Only this group's are told.
    pub group: Option<SearchGroup>,
}

impl SearchToken {
    /// Of the first page of what there is at a position.
    pub fn first(position: StreamPosition) -> Self {
        Self { position, offset: 0, group: None }
    }

    /// The same search in a group, from `offset` on.
    pub(super) fn in_group(&self, group: SearchGroup, offset: usize) -> Self {
        Self { position: self.position, offset, group: Some(group) }
    }
}

impl fmt::Display for SearchToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}_{}", self.position.0, self.offset)?;
        match self.group {
            None => Ok(()),
            Some(SearchGroup::Room(room)) => write!(f, "_r{}", room.0),
            Some(SearchGroup::Sender(user)) => write!(f, "_u{}", user.0),
        }
    }
}

impl FromStr for SearchToken {
    type Err = ReadError;

    fn from_str(text: &str) -> Result<Self, ReadError> {
        let parse = || {
            let mut parts = text.strip_prefix('w')?.splitn(3, '_');
            let position = StreamPosition(parts.next()?.parse().ok()?);
            let offset = parts.next()?.parse().ok().filter(|offset| *offset <= limits::SEARCH_PAGED_MAX)?;
            let group = match parts.next() {
                None => None,
                Some(group) => Some(match (group.get(..1)?, group.get(1..)?.parse().ok()?) {
                    ("r", room) => SearchGroup::Room(ShortRoomId(room)),
                    ("u", user) => SearchGroup::Sender(ShortUserId(user)),
                    _ => return None,
                }),
            };
            Some(Self { position, offset, group })
        };
        parse().ok_or_else(|| ReadError::InvalidToken(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_went() {
        let first = SearchToken::first(StreamPosition(7));
        let later = SearchToken { offset: 10, ..first.clone() };
        let room = first.in_group(SearchGroup::Room(ShortRoomId(3)), 5);
        let sender = first.in_group(SearchGroup::Sender(ShortUserId(4)), 5);
        for token in [first, later, room, sender] {
            assert_eq!(token.to_string().parse::<SearchToken>().unwrap(), token);
        }
        for wrong in
            ["", "w", "w1", "w1_", "w1_-1", "w1_2_", "w1_2_x3", "w1_2_rx", "s1_2", "w1_999999999", "w1_2_é"]
        {
            assert!(wrong.parse::<SearchToken>().is_err(), "{wrong}");
        }
    }
}
