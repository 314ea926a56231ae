//! Rows of events that relate to others.

use crate::storage::{
    codec::{CodecError, Key},
    short_ids::{ShortEventId, TimelineKey},
    value::Value,
};

/// How an event relates to another one, directly or through those between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationRow {
    /// 1 for a direct relation, 2 for a relation to an event that relates, and so on.
    pub depth: u8,
    /// True when all relations on the way have the child's `rel_type`.
    pub same_rel_type: bool,
    /// True when all events on the way have the child's type.
    pub same_event_type: bool,
    /// The child's `rel_type`.
    pub rel_type: String,
    /// The child's type.
    pub event_type: String,
}

impl Value for RelationRow {
    fn to_value(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(40);
        (self.depth, self.same_rel_type, self.same_event_type).encode(&mut out);
        (self.rel_type.clone(), self.event_type.clone()).encode(&mut out);
        out
    }

    fn from_value(bytes: &[u8]) -> Result<Self, CodecError> {
        let (depth, same_rel_type, same_event_type, rel_type, event_type) = Key::from_bytes(bytes)?;
        Ok(Self { depth, same_rel_type, same_event_type, rel_type, event_type })
    }
}

/// What is told of an event's direct relations whenever the event is shown, so that it costs one read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RelationSummary {
    /// How many events refer to it (`m.reference`).
    pub references: u64,
    /// How many events are in the thread that it is the root of.
    pub thread_events: u64,
    /// The newest of them; zero when there is none.
    pub thread_latest: TimelineKey,
    /// Its newest edits (`m.replace`), by `origin_server_ts`, oldest first. Whether they are valid is the
    /// reader's to decide.
    pub edits: Vec<(u64, ShortEventId)>,
}

impl RelationSummary {
    /// True when it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Value for RelationSummary {
    fn to_value(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24 + 16 * self.edits.len());
        (self.references, self.thread_events, self.thread_latest).encode(&mut out);
        self.edits.iter().for_each(|edit| edit.encode(&mut out));
        out
    }

    fn from_value(mut bytes: &[u8]) -> Result<Self, CodecError> {
        let (references, thread_events, thread_latest) = Key::decode(&mut bytes)?;
        let mut edits = Vec::with_capacity(bytes.len() / 16);
        while !bytes.is_empty() {
            edits.push(Key::decode(&mut bytes)?);
        }
        Ok(Self { references, thread_events, thread_latest, edits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn relations_round_trip(depth: u8, flags: (bool, bool), rel_type: String, event_type: String) {
            let (same_rel_type, same_event_type) = flags;
            let row = RelationRow { depth, same_rel_type, same_event_type, rel_type, event_type };
            prop_assert_eq!(RelationRow::from_value(&row.to_value()).unwrap(), row);
        }

        #[test]
        fn summaries_round_trip(counts: (u64, u64, i64), edits in prop::collection::vec(any::<(u64, u64)>(), 0..9)) {
            let summary = RelationSummary {
                references: counts.0,
                thread_events: counts.1,
                thread_latest: TimelineKey(counts.2),
                edits: edits.into_iter().map(|(at, event)| (at, ShortEventId(event))).collect(),
            };
            prop_assert_eq!(RelationSummary::from_value(&summary.to_value()).unwrap(), summary);
        }
    }
}
