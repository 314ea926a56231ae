//! Identifiers that this server makes ([appendix]): user localparts and room IDs.
//!
//! Identifiers from elsewhere are checked by ruma's types, which are as tolerant as the historical
//! grammar demands. Randomness comes in as bytes; nothing here draws any.
//!
//! [appendix]: https://spec.matrix.org/v1.19/appendices/#user-identifiers

use base64::Engine;
use ruma::{OwnedRoomId, OwnedUserId, ServerName};

use super::{hashes::BASE64_URL, limits::ID_BYTES_MAX};

/// Random bytes in a room ID of room versions 1 to 11: 120 bits, which base64 writes without padding.
pub const ROOM_ID_RANDOM_BYTES: usize = 15;

/// Why no user ID can be made of a localpart. Answers `M_INVALID_USERNAME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocalpartError {
    /// Empty.
    #[error("the user name must not be empty")]
    Empty,
    /// Another character than the grammar allows for new users.
    #[error("the user name may only have the characters a-z, 0-9, `.`, `_`, `=`, `-`, `/` and `+`")]
    Character,
    /// The user ID would exceed [`ID_BYTES_MAX`].
    #[error("the user ID would be longer than {ID_BYTES_MAX} bytes")]
    TooLong,
}

/// The ID of a new user. Upper-case ASCII letters are accepted and made lower-case, as the
/// specification asks of registration.
pub fn new_user_id(localpart: &str, server: &ServerName) -> Result<OwnedUserId, LocalpartError> {
    let localpart = localpart.to_ascii_lowercase();
    if localpart.is_empty() {
        return Err(LocalpartError::Empty);
    }
    if !localpart.bytes().all(is_localpart_byte) {
        return Err(LocalpartError::Character);
    }
    let user_id = format!("@{localpart}:{server}");
    if user_id.len() > ID_BYTES_MAX {
        return Err(LocalpartError::TooLong);
    }
    OwnedUserId::try_from(user_id).map_err(|_| LocalpartError::Character)
}

/// Whether the grammar for new users has this character.
fn is_localpart_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'=' | b'-' | b'/' | b'+')
}

/// The ID of a new room of room versions 1 to 11. In later versions it follows from the create event
/// ([`room_id_of_create`](super::event::room_id_of_create)). `None` only if the server name is so long
/// that no room ID fits the limit.
pub fn new_room_id(random: [u8; ROOM_ID_RANDOM_BYTES], server: &ServerName) -> Option<OwnedRoomId> {
    let room_id = format!("!{}:{server}", BASE64_URL.encode(random));
    if room_id.len() > ID_BYTES_MAX {
        return None;
    }
    OwnedRoomId::try_from(room_id).ok()
}

#[cfg(test)]
mod tests {
    use ruma::{UserId, server_name};

    use super::*;

    #[test]
    fn new_users_follow_the_current_grammar() {
        let server = server_name!("example.org");
        assert_eq!(new_user_id("a.b_c=d-e/f+9", server).unwrap(), "@a.b_c=d-e/f+9:example.org");
        assert_eq!(new_user_id("Alice", server).unwrap(), "@alice:example.org");
        assert_eq!(new_user_id("", server), Err(LocalpartError::Empty));
        for localpart in ["a b", "a:b", "ä", "a\0", "a#b", "@a"] {
            assert_eq!(new_user_id(localpart, server), Err(LocalpartError::Character), "{localpart:?}");
        }
    }

    #[test]
    fn user_ids_have_at_most_255_bytes() {
        let server = server_name!("example.org");
        let longest = "a".repeat(255 - "@:example.org".len());
        assert_eq!(new_user_id(&longest, server).unwrap().as_str().len(), 255);
        assert_eq!(new_user_id(&format!("{longest}a"), server), Err(LocalpartError::TooLong));
    }

    #[test]
    fn historical_user_ids_of_others_are_accepted() {
        for user in ["@Alice:example.org", "@ä b\t:example.org", "@:example.org"] {
            assert!(<&UserId>::try_from(user).is_ok(), "{user:?}");
        }
        for user in ["alice:example.org", "@alice", "@a\0:example.org", "@a:"] {
            assert!(<&UserId>::try_from(user).is_err(), "{user:?}");
        }
    }

    #[test]
    fn room_ids_hold_their_random_bytes() {
        let server = server_name!("example.org:8448");
        assert_eq!(new_room_id([0; 15], server).unwrap(), "!AAAAAAAAAAAAAAAAAAAA:example.org:8448");
        assert_ne!(new_room_id([1; 15], server), new_room_id([2; 15], server));
    }
}
