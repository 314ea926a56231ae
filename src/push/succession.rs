//! What a user keeps when a room is replaced by another one: when they join the successor, the push rules,
//! tags and direct-chat mark that they gave the old room are given to it as well (client-server API, "Room
//! Upgrades": "the server should automatically transfer/replicate some of the user's personalized settings").
//!
//! What the user has set for the successor already stays as it is. Main type: [`Successions`].

use ruma::{
    OwnedRoomId, RoomId, UserId,
    push::{
        Action, EventMatchConditionData, NewConditionalPushRule, NewPushRule, NewSimplePushRule,
        PushCondition, Ruleset,
    },
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{PushError, PushRules};
use crate::{
    rooms::{EventStore, RoomError, RoomIndex},
    storage::{Read, ShortRoomId, ShortUserId, Storage},
    users::{AccountData, UserError},
};

/// Carries settings over. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Successions {
    storage: Storage,
    index: RoomIndex,
    events: EventStore,
    rules: PushRules,
}

/// Why settings could not be carried over.
#[derive(Debug, thiserror::Error)]
enum SuccessionError {
    #[error(transparent)]
    Room(#[from] RoomError),
    #[error(transparent)]
    User(#[from] UserError),
    #[error(transparent)]
    Push(#[from] PushError),
}

impl From<crate::storage::StorageError> for SuccessionError {
    fn from(error: crate::storage::StorageError) -> Self {
        Self::Room(error.into())
    }
}

#[derive(Deserialize)]
struct Predecessor {
    room_id: OwnedRoomId,
}

impl Successions {
    /// The service.
    pub fn new(storage: Storage, index: RoomIndex, events: EventStore, rules: PushRules) -> Self {
        Self { storage, index, events, rules }
    }

    /// The user has joined a room. If it replaces another one, their settings are carried over; a failure is
    /// logged, as they are in the room all the same.
    pub fn joined(&self, user_id: &UserId, room: ShortRoomId) {
        if let Err(error) = self.carry_over(user_id, room) {
            tracing::error!(%user_id, "settings of a room that was replaced are not carried over: {error}");
        }
    }

    fn carry_over(&self, user_id: &UserId, room: ShortRoomId) -> Result<(), SuccessionError> {
        let Some(record) = self.index.record(room)? else { return Ok(()) };
        let Some(create) = self.events.get(record.create_event)? else { return Ok(()) };
        let Some(predecessor) = create.event.content_field::<Predecessor>("predecessor") else {
            return Ok(());
        };
        let Some(old) = self.index.room(&predecessor.room_id)? else { return Ok(()) };
        let Some(user) = self.storage.short_user_id(user_id)? else { return Ok(()) };
        if self.index.membership(user, old)?.is_none() {
            return Ok(());
        }
        let (old_id, new_id) = (predecessor.room_id, self.storage.room_id(room)?);
        self.carry_rules(user, user_id, &old_id, &new_id)?;
        self.carry_account_data(user, (old, &old_id), (room, &new_id))
    }

    fn carry_rules(
        &self,
        user: ShortUserId,
        user_id: &UserId,
        old: &RoomId,
        new: &RoomId,
    ) -> Result<(), SuccessionError> {
        for rule in carried_rules(&*self.rules.of_user(user, user_id)?, old, new) {
            self.rules.put(user, user_id, rule, None, None)?;
        }
        Ok(())
    }

    fn carry_account_data(
        &self,
        user: ShortUserId,
        (old, old_id): (ShortRoomId, &RoomId),
        (new, new_id): (ShortRoomId, &RoomId),
    ) -> Result<(), SuccessionError> {
        self.storage.write(|rows| {
            let tags = AccountData::read(rows, user, Some(old), "m.tag")?;
            if let Some(tags) = tags
                && AccountData::read(rows, user, Some(new), "m.tag")?.is_none()
            {
                AccountData::put(rows, user, Some(new), "m.tag", &tags)?;
            }
            let direct = AccountData::read(rows, user, None, "m.direct")?;
            let direct =
                direct.and_then(|direct| serde_json::from_str::<Map<String, Value>>(direct.get()).ok());
            if let Some(direct) = direct.and_then(|direct| with_successor(direct, old_id, new_id))
                && let Ok(direct) = serde_json::value::to_raw_value(&direct)
            {
                AccountData::put(rows, user, None, "m.direct", &direct)?;
            }
            Ok(())
        })
    }
}

/// The rules about the old room as rules about the new one, without those that are there.
fn carried_rules(rules: &Ruleset, old: &RoomId, new: &RoomId) -> Vec<NewPushRule> {
    let mut carried = Vec::new();
    let actions = |actions: &[Action]| actions.to_vec();
    if let Some(rule) = rules.room.get(old.as_str())
        && rules.room.get(new.as_str()).is_none()
    {
        carried.push(NewPushRule::Room(NewSimplePushRule::new(new.to_owned(), actions(&rule.actions))));
    }
    // Clients mute a room by an override whose id is the room's.
    if let Some(rule) = rules.override_.get(old.as_str())
        && rules.override_.get(new.as_str()).is_none()
    {
        let conditions = rule.conditions.iter().map(|condition| match condition {
            PushCondition::EventMatch(it) if it.key == "room_id" && it.pattern == old.as_str() => {
                PushCondition::EventMatch(EventMatchConditionData::new(it.key.clone(), new.to_string()))
            }
            other => other.clone(),
        });
        let rule = NewConditionalPushRule::new(new.to_string(), conditions.collect(), actions(&rule.actions));
        carried.push(NewPushRule::Override(rule));
    }
    carried
}

/// `m.direct` with the successor beside each mention of the old room; `None` when nothing changes.
fn with_successor(mut direct: Map<String, Value>, old: &RoomId, new: &RoomId) -> Option<Map<String, Value>> {
    let mut changed = false;
    for rooms in direct.values_mut().filter_map(Value::as_array_mut) {
        let has = |room: &RoomId| rooms.iter().any(|it| it == room.as_str());
        if has(old) && !has(new) {
            rooms.push(new.as_str().into());
            changed = true;
        }
    }
    changed.then_some(direct)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rooms::{
        creation::NewRoom,
        testing::{RoomsFixture, content},
    };

    #[test]
    fn rules_tags_and_direct_chats_follow_into_the_successor_once() {
        let fixture = RoomsFixture::new();
        let (alice, bob) = (RoomsFixture::user("alice"), RoomsFixture::user("bob"));
        let old = fixture.public_room(&alice);
        fixture.join(&old, &bob);
        let rules = PushRules::new(fixture.storage.clone());
        let successions = Successions::new(
            fixture.storage.clone(),
            fixture.index.clone(),
            fixture.events.clone(),
            rules.clone(),
        );
        fixture.appender.on_join(move |user, room| successions.joined(user, room));
        let short = fixture.storage.short_user_id(&bob).unwrap().unwrap();
        let rule = NewPushRule::Room(NewSimplePushRule::new(old.clone(), vec![]));
        rules.put(short, &bob, rule, None, None).unwrap();
        let data = AccountData::new(fixture.storage.clone());
        data.set_tag(short, &old, "m.favourite", json!({ "order": 0.5 })).unwrap();
        let direct = json!({ &alice: [&old] }).to_string();
        let direct = serde_json::value::RawValue::from_string(direct).unwrap();
        data.set(short, None, "m.direct", &direct).unwrap();

        let creation_content = content(json!({ "predecessor": { "room_id": old } }));
        let preset = Some(crate::rooms::creation::Preset::PublicChat);
        let new = fixture.create(NewRoom { creation_content, preset, ..NewRoom::by(alice.clone()) });
        fixture.join(&new, &bob);
        assert!(rules.of_user(short, &bob).unwrap().room.get(new.as_str()).is_some());
        assert_eq!(json!(data.tags(short, &new).unwrap()), json!({ "m.favourite": { "order": 0.5 } }));
        let direct = data.get(short, None, "m.direct").unwrap().unwrap();
        assert_eq!(serde_json::from_str::<Value>(direct.get()).unwrap(), json!({ alice: [old, new] }));

        data.remove_tag(short, &new, "m.favourite").unwrap();
        fixture.join(&new, &bob);
        assert!(data.tags(short, &new).unwrap().is_empty(), "a change of profile carries nothing over again");
    }
}
