//! Short ids: a number for each long identifier, so that keys are small, fixed-width and ordered.
//!
//! A number is handed out inside the transaction that first uses it ([`Transaction`](super::Transaction)'s
//! `intern_*`), so that an id either is on disk with what refers to it, or was never given.

use super::{
    codec::{CodecError, Key},
    value::{Value, key_values},
};

macro_rules! short_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(
                Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
            )]
            #[serde(transparent)]
            pub struct $name(pub u64);

            impl Key for $name {
                fn encode(&self, out: &mut Vec<u8>) {
                    self.0.encode(out);
                }
                fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
                    u64::decode(input).map(Self)
                }
            }

            key_values!($name);
        )*
    };
}

short_ids! {
    /// A room.
    ShortRoomId;
    /// An event; smaller means first seen earlier by this server.
    ShortEventId;
    /// A user, local or remote.
    ShortUserId;
    /// A server.
    ShortServerId;
    /// A pair of event type and state key. Member keys have the top bit set and the user's short id below
    /// it, so that all other state of a room is one range that holds no member.
    ShortStateKeyId;
    /// A position in the order of everything that clients can see. Zero is before everything.
    StreamPosition;
}

impl ShortStateKeyId {
    /// The first id of the members' range.
    pub const FIRST_MEMBER: Self = Self(1 << 63);

    /// The key `("m.room.member", user)`.
    pub const fn member(user: ShortUserId) -> Self {
        Self(Self::FIRST_MEMBER.0 | user.0)
    }

    /// The user, if this is a member key.
    pub const fn as_member(self) -> Option<ShortUserId> {
        if self.0 >= Self::FIRST_MEMBER.0 { Some(ShortUserId(self.0 & !Self::FIRST_MEMBER.0)) } else { None }
    }
}

/// An event's place in its room's timeline: live events count up from 1, backfilled ones down from -1.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct TimelineKey(pub i64);

impl Key for TimelineKey {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        i64::decode(input).map(Self)
    }
}

key_values!(TimelineKey);

/// What a short id stands for. The number is part of the rows' keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ShortIdKind {
    /// A room id.
    Room = 1,
    /// An event id.
    Event = 2,
    /// A user id.
    User = 3,
    /// A server name.
    Server = 4,
    /// A pair of event type and state key.
    StateKey = 5,
}

impl ShortIdKind {
    /// How many kinds there are (they are numbered from 1).
    pub const COUNT: usize = 5;

    /// The place of this kind's counter.
    pub(super) const fn index(self) -> usize {
        self as usize - 1
    }
}

/// The text under which a pair of event type and state key is interned: the type's length in bytes
/// stands before it, so that no two pairs share a text.
pub(super) fn state_key_text(event_type: &str, state_key: &str) -> String {
    format!("{}:{event_type}{state_key}", event_type.len())
}

/// The pair behind such a text.
pub(super) fn state_key_from_text(text: &str) -> Result<(String, String), CodecError> {
    let parts = || {
        let (length, rest) = text.split_once(':')?;
        let length = length.parse::<usize>().ok()?;
        Some((rest.get(..length)?.to_owned(), rest.get(length..)?.to_owned()))
    };
    parts().ok_or_else(|| CodecError::invalid("event type and state key", text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn state_keys_round_trip(event_type: String, state_key: String) {
            let text = state_key_text(&event_type, &state_key);
            prop_assert_eq!(state_key_from_text(&text).unwrap(), (event_type, state_key));
        }
    }

    #[test]
    fn member_keys_name_their_user() {
        assert_eq!(ShortStateKeyId::member(ShortUserId(7)).as_member(), Some(ShortUserId(7)));
        assert_eq!(ShortStateKeyId(7).as_member(), None);
    }
}
