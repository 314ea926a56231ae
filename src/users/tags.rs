//! Room tags: one entry of account data per room, `m.tag`, changed tag by tag (client-server API, "Room
//! Tagging").

use std::collections::BTreeMap;

use ruma::RoomId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::{AccountData, UserError, limits};
use crate::storage::ShortUserId;

/// The type of account data that holds a room's tags.
const TAGS_TYPE: &str = "m.tag";

/// The content of `m.tag`. What clients put there beside tags is kept.
#[derive(Default, Serialize, Deserialize)]
struct TagContent {
    #[serde(default)]
    tags: BTreeMap<String, Value>,
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

impl TagContent {
    /// What another client has put there and is no content of tags counts as none.
    fn read(content: Option<&RawValue>) -> Self {
        content.and_then(|content| serde_json::from_str(content.get()).ok()).unwrap_or_default()
    }

    fn write(&self) -> Result<Option<Box<RawValue>>, UserError> {
        serde_json::value::to_raw_value(self).map(Some).map_err(|_| UserError::AccountDataNotAnObject)
    }
}

impl AccountData {
    /// The tags that a user has given a room, with their content.
    pub fn tags(&self, user: ShortUserId, room: &RoomId) -> Result<BTreeMap<String, Value>, UserError> {
        Ok(TagContent::read(self.get(user, Some(room), TAGS_TYPE)?.as_deref()).tags)
    }

    /// Gives a room a tag, or changes the tag's content.
    pub fn set_tag(&self, user: ShortUserId, room: &RoomId, tag: &str, info: Value) -> Result<(), UserError> {
        if tag.len() > limits::TAG_BYTES_MAX {
            return Err(UserError::TooLarge {
                what: "A tag",
                max: format!("{} bytes", limits::TAG_BYTES_MAX),
            });
        }
        self.update_in_room(user, room, TAGS_TYPE, |content| {
            let mut content = TagContent::read(content);
            content.tags.insert(tag.to_owned(), info);
            if content.tags.len() > limits::TAGS_PER_ROOM_MAX {
                let max = format!("{} tags", limits::TAGS_PER_ROOM_MAX);
                return Err(UserError::TooLarge { what: "A room", max });
            }
            content.write()
        })
    }

    /// Takes a tag from a room; it need not be there.
    pub fn remove_tag(&self, user: ShortUserId, room: &RoomId, tag: &str) -> Result<(), UserError> {
        self.update_in_room(user, room, TAGS_TYPE, |content| {
            let mut content = TagContent::read(content);
            if content.tags.remove(tag).is_none() {
                return Ok(None);
            }
            content.write()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::fixture::Fixture;
    use ruma::room_id;
    use serde_json::json;

    #[test]
    fn tags_come_and_go_one_by_one() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let room = room_id!("!r:example.org");
        server.storage.write(|tx| tx.intern_room(room)).unwrap();
        let data = &server.account_data;
        data.set_tag(alice.user, room, "m.favourite", json!({ "order": 0.5 })).unwrap();
        data.set_tag(alice.user, room, "u.work", json!({})).unwrap();
        data.set_tag(alice.user, room, "m.favourite", json!({ "order": 0.1 })).unwrap();
        data.remove_tag(alice.user, room, "u.work").unwrap();
        data.remove_tag(alice.user, room, "u.never").unwrap();
        let tags = data.tags(alice.user, room).unwrap();
        assert_eq!(json!(tags), json!({ "m.favourite": { "order": 0.1 } }));
        let content = data.get(alice.user, Some(room), "m.tag").unwrap().unwrap();
        assert_eq!(content.get(), r#"{"tags":{"m.favourite":{"order":0.1}}}"#);
    }

    #[test]
    fn tags_are_bounded_and_need_a_known_room() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let (room, unknown) = (room_id!("!r:example.org"), room_id!("!unknown:example.org"));
        server.storage.write(|tx| tx.intern_room(room)).unwrap();
        let set = |room: &RoomId, tag: &str| server.account_data.set_tag(alice.user, room, tag, json!({}));
        assert!(matches!(set(unknown, "u.a"), Err(UserError::UnknownRoom)));
        assert!(matches!(set(room, &"a".repeat(256)), Err(UserError::TooLarge { .. })));
        for n in 0..limits::TAGS_PER_ROOM_MAX {
            set(room, &format!("u.{n}")).unwrap();
        }
        assert!(matches!(set(room, "u.more"), Err(UserError::TooLarge { .. })));
        assert!(server.account_data.tags(alice.user, unknown).unwrap().is_empty());
    }

    #[test]
    fn nonsense_from_another_client_does_no_harm() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let room = room_id!("!r:example.org");
        server.storage.write(|tx| tx.intern_room(room)).unwrap();
        let nonsense = RawValue::from_string(r#"{"tags": 1}"#.to_owned()).unwrap();
        server.account_data.set(alice.user, Some(room), "m.tag", &nonsense).unwrap();
        assert!(server.account_data.tags(alice.user, room).unwrap().is_empty());
        server.account_data.set_tag(alice.user, room, "u.a", json!({})).unwrap();
        assert_eq!(server.account_data.tags(alice.user, room).unwrap().len(), 1);
    }
}
