//! When something last happened in a room.

use crate::storage::{
    codec::{CodecError, Key},
    short_ids::StreamPosition,
    value::Value,
};

/// What kind of room it is, as far as lists of rooms are filtered by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum RoomKind {
    /// Without a type.
    #[default]
    Plain = 1,
    /// A space.
    Space = 2,
    /// Of a type that the room's record names.
    Other = 3,
}

impl RoomKind {
    /// The kind of a room with this type in its create event.
    pub fn of(room_type: Option<&str>) -> Self {
        match room_type {
            None => Self::Plain,
            Some("m.space") => Self::Space,
            Some(_) => Self::Other,
        }
    }
}

impl Key for RoomKind {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }

    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        match u8::decode(input)? {
            1 => Ok(Self::Plain),
            2 => Ok(Self::Space),
            3 => Ok(Self::Other),
            other => Err(CodecError::invalid("room kind", other)),
        }
    }
}

/// What a list of rooms is ordered by. Fixed-width, as it is written with every event and read for every room
/// of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoomActivity {
    /// The newest event.
    pub newest: StreamPosition,
    /// The newest event that counts as activity for a person: a message, a call; zero when there is none.
    pub bumped: StreamPosition,
    /// What kind of room it is.
    pub kind: RoomKind,
}

impl Value for RoomActivity {
    fn to_value(&self) -> Vec<u8> {
        (self.newest, self.bumped, self.kind).to_bytes()
    }

    fn from_value(bytes: &[u8]) -> Result<Self, CodecError> {
        let (newest, bumped, kind) = Key::from_bytes(bytes)?;
        Ok(Self { newest, bumped, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn activity_round_trips(newest: u64, bumped: u64, kind in 0..3_usize) {
            let kind = [RoomKind::Plain, RoomKind::Space, RoomKind::Other][kind];
            let row = RoomActivity { newest: StreamPosition(newest), bumped: StreamPosition(bumped), kind };
            prop_assert_eq!(RoomActivity::from_value(&row.to_value()).unwrap(), row);
        }
    }
}
