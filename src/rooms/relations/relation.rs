//! What an event says it relates to (`m.relates_to`).

use ruma::OwnedEventId;
use serde::{Deserialize, Deserializer};

use crate::{matrix::event::Event, rooms::limits};

/// The `rel_type` of threads.
pub const THREAD: &str = "m.thread";
/// The `rel_type` of edits.
pub const REPLACE: &str = "m.replace";
/// The `rel_type` of references.
pub const REFERENCE: &str = "m.reference";
/// The `rel_type` of reactions.
pub const ANNOTATION: &str = "m.annotation";

/// A well-formed relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Its kind.
    pub rel_type: String,
    /// The event related to.
    pub parent: OwnedEventId,
    /// What annotates, for reactions.
    pub key: Option<String>,
}

/// The form of `m.relates_to`. Values of other types count as absent: such a relation is none.
#[derive(Default, Deserialize)]
struct RelatesTo {
    #[serde(default, deserialize_with = "text")]
    rel_type: Option<String>,
    #[serde(default, deserialize_with = "text")]
    event_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    key: Option<String>,
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    })
}

impl Relation {
    /// The event's relation; `None` when it has none, or one that is not well-formed, or is state.
    pub fn of(event: &Event) -> Option<Self> {
        if event.is_state() {
            return None;
        }
        Self::from_parts(event.content_field("m.relates_to")?)
    }

    /// As [`of`](Self::of), of an event's stored text, with the event's type: for where the event itself is
    /// not parsed.
    pub(in crate::rooms) fn of_stored(json: &[u8]) -> Option<(Self, String)> {
        #[derive(Deserialize)]
        struct Stored {
            #[serde(rename = "type")]
            event_type: String,
            state_key: Option<serde::de::IgnoredAny>,
            content: Content,
        }
        #[derive(Deserialize)]
        struct Content {
            #[serde(rename = "m.relates_to")]
            relates_to: Option<RelatesTo>,
        }
        let stored: Stored = serde_json::from_slice(json).ok()?;
        if stored.state_key.is_some() {
            return None;
        }
        Some((Self::from_parts(stored.content.relates_to?)?, stored.event_type))
    }

    fn from_parts(parts: RelatesTo) -> Option<Self> {
        let RelatesTo { rel_type, event_id, key } = parts;
        let rel_type = rel_type.filter(|rel_type| rel_type.len() <= limits::REL_TYPE_BYTES_MAX)?;
        let parent = OwnedEventId::try_from(event_id?).ok()?;
        Some(Self { rel_type, parent, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_relations_count() {
        let relation = |content: &str| {
            let json = format!(r#"{{"type":"m.room.message","content":{content}}}"#);
            Relation::of_stored(json.as_bytes()).map(|(relation, _)| relation.rel_type)
        };
        let whole = r#"{"m.relates_to":{"rel_type":"m.thread","event_id":"$a"}}"#;
        assert_eq!(relation(whole).as_deref(), Some(THREAD));
        for broken in [
            "{}",
            r#"{"m.relates_to":{}}"#,
            r#"{"m.relates_to":{"rel_type":"m.thread"}}"#,
            r#"{"m.relates_to":{"rel_type":7,"event_id":"$a"}}"#,
            r#"{"m.relates_to":{"rel_type":"m.thread","event_id":"a"}}"#,
            r#"{"m.relates_to":{"m.in_reply_to":{"event_id":"$a"}}}"#,
            r#"{"m.relates_to":[]}"#,
        ] {
            assert_eq!(relation(broken), None, "{broken}");
        }
        let state =
            br#"{"type":"a","state_key":"","content":{"m.relates_to":{"rel_type":"b","event_id":"$a"}}}"#;
        assert!(Relation::of_stored(state).is_none());
    }
}
