//! Upgrading a room: a successor of another version with the state, names and bans of the old room, and an
//! end for that ([room upgrades]).
//!
//! The successor comes into being whole; what follows (bans, names, the tombstone) is one step each, and an
//! upgrade that is cut off between them leaves a successor that nobody is pointed to, and a room that can be
//! upgraded again. Main type: [`RoomUpgrades`].
//!
//! [room upgrades]: https://spec.matrix.org/v1.19/client-server-api/#room-upgrades

mod levels;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId,
    UserId, room_version_rules::RoomVersionRules,
};

use super::{
    Aliases, Appender, EventSender, RoomCreator, RoomError,
    appender::{Draft, RoomBatch},
    creation::{InitialState, NewRoom, Preset},
    limits,
    sending::StateEvent,
};
use crate::{
    matrix::{auth_rules::AuthRefusal, event::Event, room_versions},
    storage::{Read, ShortRoomId, records::Membership, tables::PUBLIC_ROOMS},
};

/// State that the successor starts with as it stands, with the content that stands for none.
const CARRIED: [(&str, Option<(&str, &str)>); 8] = [
    ("m.room.server_acl", None),
    ("m.room.encryption", None),
    ("m.room.name", None),
    ("m.room.avatar", None),
    ("m.room.topic", None),
    ("m.room.guest_access", Some(("guest_access", "forbidden"))),
    ("m.room.history_visibility", Some(("history_visibility", "shared"))),
    ("m.room.join_rules", Some(("join_rule", "invite"))),
];

/// An upgrade that a user asks for.
#[derive(Debug)]
pub struct Upgrade<'a> {
    /// The room.
    pub room_id: &'a RoomId,
    /// Who asks.
    pub user: &'a UserId,
    /// The successor's version.
    pub version: &'a RoomVersionId,
    /// Who else shall have a creator's power, where the version has that.
    pub additional_creators: Vec<OwnedUserId>,
}

/// Upgrades rooms. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RoomUpgrades {
    appender: Appender,
    creator: RoomCreator,
    sender: EventSender,
}

/// What is known of the old room before anything is changed.
struct OldRoom {
    room: ShortRoomId,
    new: NewRoom,
    /// The power levels that the successor ends with, where it can't start with them.
    final_levels: Option<CanonicalJsonObject>,
    canonical_alias: Option<Arc<Event>>,
}

impl RoomUpgrades {
    /// The service.
    pub fn new(appender: Appender, creator: RoomCreator, sender: EventSender) -> Self {
        Self { appender, creator, sender }
    }

    /// Upgrades a room; answers its successor. Who may end the room may upgrade it.
    pub fn upgrade(&self, upgrade: &Upgrade<'_>) -> Result<OwnedRoomId, RoomError> {
        let rules = room_versions::rules(upgrade.version)
            .ok_or_else(|| RoomError::UnsupportedVersion(upgrade.version.clone()))?;
        let old = self.old_room(upgrade, &rules)?;
        let successor = self.creator.create(&old.new)?;
        self.carry_bans(upgrade, &old, &successor)?;
        self.move_names(upgrade, &old, &successor)?;
        if let Some(levels) = &old.final_levels {
            let set = self.put_state(&successor, upgrade.user, "m.room.power_levels", levels.clone());
            unless_refused(set.map(drop))?;
        }
        self.end(upgrade, &successor)?;
        Ok(successor)
    }

    fn old_room(&self, upgrade: &Upgrade<'_>, rules: &RoomVersionRules) -> Result<OldRoom, RoomError> {
        let batch = self.appender.begin_as_member(upgrade.room_id, upgrade.user)?;
        let room = batch.room().ok_or_else(|| RoomError::RoomNotFound(upgrade.room_id.to_owned()))?;
        if batch.membership(upgrade.user)? != Some(Membership::Join) {
            return Err(AuthRefusal::SenderNotJoined(upgrade.user.to_owned()).into());
        }
        if !batch.power_levels()?.may_send(upgrade.user, "m.room.tombstone", true)? {
            return Err(RoomError::Forbidden(
                "You may not end this room, so you can't upgrade it".to_owned(),
            ));
        }
        let levels = levels::carried(&batch, upgrade, rules)?;
        let mut new = NewRoom {
            version: Some(upgrade.version.clone()),
            preset: Some(Preset::PrivateChat),
            creation_content: self.creation_content(upgrade, rules, &batch, room)?,
            power_level_override: levels.first,
            ..NewRoom::by(upgrade.user.to_owned())
        };
        for (event_type, otherwise) in CARRIED {
            let content = match batch.state_event(event_type, "")? {
                Some(event) => event.content().ok(),
                None => otherwise.map(|(key, value)| object([(key, value.into())])),
            };
            new.initial_state.extend(content.map(|content| state(event_type, "", content)));
        }
        self.carry_links(&mut new, room)?;
        let canonical_alias = batch.state_event("m.room.canonical_alias", "")?;
        Ok(OldRoom { room, new, final_levels: levels.last, canonical_alias })
    }

    /// The links of a space to the rooms in it.
    fn carry_links(&self, new: &mut NewRoom, room: ShortRoomId) -> Result<(), RoomError> {
        let index = self.appender.index();
        let is_space = index.record(room)?.is_some_and(|it| it.room_type.as_deref() == Some("m.space"));
        if !is_space {
            return Ok(());
        }
        for (key, short) in self.appender.states().without_members(index.current_state(room)?)? {
            let (event_type, child) = self.appender.storage().state_key(key)?;
            if event_type != "m.space.child" || new.initial_state.len() >= limits::STATE_CARRIED_MAX {
                continue;
            }
            let Some(stored) = self.appender.events().get(short)? else { continue };
            let Ok(content) = stored.event.content::<CanonicalJsonObject>() else { continue };
            if content.contains_key("via") {
                new.initial_state.push(state("m.space.child", &child, content));
            }
        }
        Ok(())
    }

    fn creation_content(
        &self,
        upgrade: &Upgrade<'_>,
        rules: &RoomVersionRules,
        batch: &RoomBatch,
        room: ShortRoomId,
    ) -> Result<CanonicalJsonObject, RoomError> {
        let mut content = CanonicalJsonObject::new();
        if let Some(create) = batch.state_event("m.room.create", "")? {
            let old: CanonicalJsonObject = create.content().unwrap_or_default();
            let kept = old.into_iter().filter(|(key, _)| matches!(key.as_str(), "type" | "m.federate"));
            content.extend(kept);
        }
        let mut predecessor = object([("room_id", upgrade.room_id.as_str().into())]);
        if !rules.authorization.explicitly_privilege_room_creators {
            let head = self.appender.index().head(room)?;
            if let Some(last) = head.and_then(|head| head.extremities.last().copied()) {
                let last = self.appender.storage().event_id(last)?;
                predecessor.insert("event_id".to_owned(), last.as_str().into());
            }
        }
        content.insert("predecessor".to_owned(), CanonicalJsonValue::Object(predecessor));
        if rules.authorization.additional_room_creators && !upgrade.additional_creators.is_empty() {
            let creators = upgrade.additional_creators.iter().map(|user| user.as_str().into()).collect();
            content.insert("additional_creators".to_owned(), CanonicalJsonValue::Array(creators));
        }
        Ok(content)
    }

    /// Bans who is banned from the old room, as far as is allowed.
    fn carry_bans(&self, upgrade: &Upgrade<'_>, old: &OldRoom, successor: &RoomId) -> Result<(), RoomError> {
        let mut batch = self.appender.begin(successor)?;
        let banned = self.appender.index().members(old.room, Membership::Ban);
        for row in banned.take(limits::STATE_CARRIED_MAX) {
            let (user, event) = row?;
            let user = self.appender.storage().user_id(user)?;
            let mut content = object([("membership", "ban".into())]);
            let event = self.appender.events().get(event)?;
            if let Some(reason) = event.and_then(|it| it.event.content_field::<String>("reason")) {
                content.insert("reason".to_owned(), reason.into());
            }
            let draft = Draft::state(upgrade.user, "m.room.member", user.as_str(), content);
            unless_refused(batch.push(draft).map(drop))?;
        }
        batch.commit(None).map(drop)
    }

    /// Gives the successor the old room's aliases of this server, and its place in the directory.
    fn move_names(&self, upgrade: &Upgrade<'_>, old: &OldRoom, successor: &RoomId) -> Result<(), RoomError> {
        let new = self.appender.index().room(successor)?;
        let new = new.ok_or_else(|| RoomError::RoomNotFound(successor.to_owned()))?;
        self.appender.storage().write(|rows| {
            Aliases::move_all(rows, old.room, new)?;
            if rows.contains(&PUBLIC_ROOMS, &old.room)? {
                rows.delete(&PUBLIC_ROOMS, &old.room);
                rows.put(&PUBLIC_ROOMS, &new, &());
            }
            Ok::<_, RoomError>(())
        })?;
        let Some(alias) = &old.canonical_alias else { return Ok(()) };
        let Ok(content) = alias.content::<CanonicalJsonObject>() else { return Ok(()) };
        if content.is_empty() {
            return Ok(());
        }
        let set = |room: &RoomId, content| {
            let sent = self.put_state(room, upgrade.user, "m.room.canonical_alias", content);
            unless_refused(sent.map(drop))
        };
        set(successor, content)?;
        set(upgrade.room_id, CanonicalJsonObject::new())
    }

    fn put_state(
        &self,
        room: &RoomId,
        user: &UserId,
        event_type: &str,
        content: CanonicalJsonObject,
    ) -> Result<OwnedEventId, RoomError> {
        let (event_type, state_key) = (event_type.to_owned(), String::new());
        self.sender.put_state(
            room,
            user,
            StateEvent { event_type, state_key, content, at_ms: None, sticky_ms: None },
        )
    }

    /// Points the old room's members to the successor, and lets them say no more there.
    fn end(&self, upgrade: &Upgrade<'_>, successor: &RoomId) -> Result<(), RoomError> {
        let mut batch = self.appender.begin_as_member(upgrade.room_id, upgrade.user)?;
        let tombstone = object([
            ("body", "This room has been replaced".into()),
            ("replacement_room", successor.as_str().into()),
        ]);
        batch.push(Draft::state(upgrade.user, "m.room.tombstone", "", tombstone))?;
        if let Some(levels) = levels::closed(&batch)? {
            let draft = Draft::state(upgrade.user, "m.room.power_levels", "", levels);
            unless_refused(batch.push(draft).map(drop))?;
        }
        batch.commit(None).map(drop)
    }
}

/// What the upgrade does beyond its heart is left out where the rooms' rules don't allow it.
fn unless_refused(outcome: Result<(), RoomError>) -> Result<(), RoomError> {
    match outcome {
        Err(error) if error.is_callers() => {
            tracing::debug!("a step of a room's upgrade is left out: {error}");
            Ok(())
        }
        other => other,
    }
}

fn state(event_type: &str, state_key: &str, content: CanonicalJsonObject) -> InitialState {
    InitialState { event_type: event_type.to_owned(), state_key: state_key.to_owned(), content }
}

fn object<const N: usize>(members: [(&str, CanonicalJsonValue); N]) -> CanonicalJsonObject {
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
