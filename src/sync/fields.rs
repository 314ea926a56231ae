//! Reducing events to the fields that a filter's `event_fields` names.

use serde_json::{Map, Value, value::RawValue};

use super::limits;
use crate::push::property::segments;

/// Dot-separated paths of properties (appendices, "Dot-separated property paths").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFields {
    paths: Vec<Vec<String>>,
}

impl EventFields {
    /// Takes over the paths of a filter.
    pub fn new(paths: &[String]) -> Self {
        Self { paths: paths.iter().take(limits::EVENT_FIELDS_MAX).map(|path| segments(path)).collect() }
    }

    /// The event with just these fields.
    pub fn reduce(&self, event: &RawValue) -> Result<Box<RawValue>, serde_json::Error> {
        let whole: Value = serde_json::from_str(event.get())?;
        let mut reduced = Map::new();
        for path in &self.paths {
            copy(&whole, path, &mut reduced);
        }
        serde_json::value::to_raw_value(&reduced)
    }
}

/// Copies the value at `path`, with the objects that hold it.
fn copy(from: &Value, path: &[String], to: &mut Map<String, Value>) {
    let Some((segment, rest)) = path.split_first() else { return };
    let Some(value) = from.get(segment) else { return };
    if rest.is_empty() {
        to.insert(segment.clone(), value.clone());
        return;
    }
    let mut inner = match to.remove(segment) {
        Some(Value::Object(inner)) => inner,
        Some(other) => {
            to.insert(segment.clone(), other);
            return;
        }
        None => Map::new(),
    };
    copy(value, rest, &mut inner);
    if !inner.is_empty() {
        to.insert(segment.clone(), Value::Object(inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_named_fields_stay() {
        let event = json!({
            "type": "m.room.message", "sender": "@a:x",
            "content": {"body": "hi", "format": "f", "m.x": {"a": 1, "b": 2}},
        });
        let event = serde_json::value::to_raw_value(&event).unwrap();
        let paths = ["type", "content.body", r"content.m\.x.a", "content.missing.deep", "absent"];
        let fields = EventFields::new(&paths.map(str::to_owned));
        let reduced: Value = serde_json::from_str(fields.reduce(&event).unwrap().get()).unwrap();
        let expected = json!({"type": "m.room.message", "content": {"body": "hi", "m.x": {"a": 1}}});
        assert_eq!(reduced, expected);
    }

    #[test]
    fn a_field_inside_one_that_is_taken_whole_changes_nothing() {
        let event = serde_json::value::to_raw_value(&json!({"content": {"a": 1, "b": 2}})).unwrap();
        let fields = EventFields::new(&["content".to_owned(), "content.a".to_owned()]);
        let reduced: Value = serde_json::from_str(fields.reduce(&event).unwrap().get()).unwrap();
        assert_eq!(reduced, json!({"content": {"a": 1, "b": 2}}));
    }
}
