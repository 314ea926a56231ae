//! Rooms' rows. Those written with every event are fixed-width, so that an event costs few bytes.

use ruma::{RoomVersionId, events::room::member::MembershipState};
use serde::{Deserialize, Serialize};

use crate::storage::{
    codec::{CodecError, Key},
    short_ids::{ShortEventId, ShortRoomId, ShortUserId, StreamPosition, TimelineKey},
    value::Value,
};

/// What never changes about a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomRecord {
    /// The version, from the create event.
    pub version: RoomVersionId,
    /// The create event; 0 while this server knows no more of the room than an invite or a knock.
    pub create_event: ShortEventId,
    /// False when the create event says that only this server's users may take part.
    pub federate: bool,
    /// The create event's room type, such as `m.space`.
    pub room_type: Option<String>,
}

/// Where a room's history ends: what the next event is built on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomHead {
    /// The depth of the deepest event; the next one gets one more.
    pub depth: u64,
    /// The current state: the root of its tree.
    pub state: [u8; 16],
    /// The newest live event's timeline key; 0 before the first.
    pub newest: TimelineKey,
    /// The oldest backfilled event's timeline key; 0 when there is none.
    pub oldest: TimelineKey,
    /// The forward extremities: events that no other event names as previous. None while a room that is
    /// being joined through another server is taken in.
    pub extremities: Vec<ShortEventId>,
}

impl Value for RoomHead {
    fn to_value(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(40 + 8 * self.extremities.len());
        (self.depth, self.state, self.newest, self.oldest).encode(&mut out);
        self.extremities.iter().for_each(|event| event.encode(&mut out));
        out
    }

    fn from_value(mut bytes: &[u8]) -> Result<Self, CodecError> {
        let (depth, state, newest, oldest) = Key::decode(&mut bytes)?;
        let mut extremities = Vec::with_capacity(bytes.len() / 8);
        while !bytes.is_empty() {
            extremities.push(ShortEventId::decode(&mut bytes)?);
        }
        Ok(Self { depth, state, newest, oldest, extremities })
    }
}

/// How an event was received (server-server API, "Checks performed on receipt of a PDU").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EventStatus {
    /// Passed all checks.
    Accepted = 1,
    /// Failed the check against the current state: part of the graph, hidden from clients.
    SoftFailed = 2,
    /// Failed the check against the state before it (5 on receipt): hidden from clients, and not part of the
    /// state after it.
    Rejected = 3,
    /// Known only as an entry of a state or somebody's auth event; its place in the graph is not.
    Outlier = 4,
    /// Failed the check against its own auth events (4 on receipt): part of no state on any server.
    Unauthorised = 5,
    /// The invite, knock or leave of a user here and a room that this server is not in: nothing was known by
    /// which it could have been checked.
    OutOfBand = 6,
}

impl EventStatus {
    /// Whether the authorisation rules refused the event for good.
    pub const fn is_rejected(self) -> bool {
        matches!(self, Self::Rejected | Self::Unauthorised)
    }
}

impl Key for EventStatus {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }

    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        match u8::decode(input)? {
            1 => Ok(Self::Accepted),
            2 => Ok(Self::SoftFailed),
            3 => Ok(Self::Rejected),
            4 => Ok(Self::Outlier),
            5 => Ok(Self::Unauthorised),
            6 => Ok(Self::OutOfBand),
            other => Err(CodecError::invalid("event status", other)),
        }
    }
}

/// What this server knows of an event beside its JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventMeta {
    /// The room.
    pub room: ShortRoomId,
    /// The sender.
    pub sender: ShortUserId,
    /// The place in the room's timeline; `None` for events that clients never see there.
    pub timeline: Option<TimelineKey>,
    /// When this server's clients could first see it; zero for backfilled events and outliers.
    pub position: StreamPosition,
    /// The room's state before the event: the root of its tree. Empty for outliers, of which it is not known.
    pub state_before: [u8; 16],
    /// How it was received.
    pub status: EventStatus,
    /// The event that redacted it.
    pub redacted_by: Option<ShortEventId>,
}

impl Value for EventMeta {
    fn to_value(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(57);
        (self.room, self.sender, self.timeline.unwrap_or(TimelineKey(0)), self.position).encode(&mut out);
        (self.state_before, self.status, self.redacted_by.unwrap_or_default()).encode(&mut out);
        out
    }

    fn from_value(mut bytes: &[u8]) -> Result<Self, CodecError> {
        let (room, sender, timeline, position) = Key::decode(&mut bytes)?;
        let (state_before, status, redacted_by) = Key::from_bytes(bytes)?;
        Ok(Self {
            room,
            sender,
            timeline: Some(timeline).filter(|key| *key != TimelineKey(0)),
            position,
            state_before,
            status,
            redacted_by: Some(redacted_by).filter(|event| *event != ShortEventId(0)),
        })
    }
}

/// A user's relation to a room, in the order of how much they may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Membership {
    /// In the room.
    Join = 1,
    /// Invited.
    Invite = 2,
    /// Asked to be let in.
    Knock = 3,
    /// Left, was kicked, or turned an invite down.
    Leave = 4,
    /// Banned.
    Ban = 5,
}

impl Membership {
    /// The membership of a member event's content; `None` for values that the spec does not know.
    pub fn of(state: &MembershipState) -> Option<Self> {
        match state {
            MembershipState::Join => Some(Self::Join),
            MembershipState::Invite => Some(Self::Invite),
            MembershipState::Knock => Some(Self::Knock),
            MembershipState::Leave => Some(Self::Leave),
            MembershipState::Ban => Some(Self::Ban),
            _ => None,
        }
    }

    /// The word in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Invite => "invite",
            Self::Knock => "knock",
            Self::Leave => "leave",
            Self::Ban => "ban",
        }
    }
}

impl Key for Membership {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }

    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        match u8::decode(input)? {
            1 => Ok(Self::Join),
            2 => Ok(Self::Invite),
            3 => Ok(Self::Knock),
            4 => Ok(Self::Leave),
            5 => Ok(Self::Ban),
            other => Err(CodecError::invalid("membership", other)),
        }
    }
}

/// A user's current membership of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MembershipRow {
    /// The membership.
    pub membership: Membership,
    /// The member event.
    pub event: ShortEventId,
    /// When it took effect.
    pub position: StreamPosition,
    /// True when the user asked to forget the room.
    pub forgotten: bool,
}

impl Value for MembershipRow {
    fn to_value(&self) -> Vec<u8> {
        (self.membership, self.event, self.position, self.forgotten).to_bytes()
    }

    fn from_value(bytes: &[u8]) -> Result<Self, CodecError> {
        let (membership, event, position, forgotten) = Key::from_bytes(bytes)?;
        Ok(Self { membership, event, position, forgotten })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn heads_round_trip(depth: u64, state: [u8; 16], newest: i64, ends in prop::collection::vec(any::<u64>(), 0..5)) {
            let extremities = ends.into_iter().map(ShortEventId).collect();
            let head = RoomHead { depth, state, newest: TimelineKey(newest), oldest: TimelineKey(-3), extremities };
            prop_assert_eq!(RoomHead::from_value(&head.to_value()).unwrap(), head);
        }

        #[test]
        fn event_rows_round_trip(room: u64, position: u64, state_before: [u8; 16], timeline in 1..i64::MAX, redacted: bool) {
            let meta = EventMeta {
                room: ShortRoomId(room),
                sender: ShortUserId(7),
                timeline: Some(TimelineKey(timeline)),
                position: StreamPosition(position),
                state_before,
                status: EventStatus::SoftFailed,
                redacted_by: redacted.then_some(ShortEventId(9)),
            };
            prop_assert_eq!(EventMeta::from_value(&meta.to_value()).unwrap(), meta);
        }
    }
}
