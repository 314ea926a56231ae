//! A new room's events, in the order that the spec gives.

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedRoomAliasId, OwnedUserId, RoomVersionId,
    room_version_rules::RoomVersionRules,
};

use super::{NewRoom, Preset, create_content, power_levels};
use crate::rooms::{MemberProfiles, RoomError, appender::Draft};

/// What the events are made of.
pub(super) struct Drafts<'a> {
    pub(super) new: &'a NewRoom,
    pub(super) version: &'a RoomVersionId,
    pub(super) rules: &'a RoomVersionRules,
    pub(super) alias: Option<&'a OwnedRoomAliasId>,
    pub(super) profiles: &'a MemberProfiles,
}

impl Drafts<'_> {
    /// All events, first to last.
    pub(super) fn all(&self) -> Result<Vec<Draft>, RoomError> {
        let new = self.new;
        let creator = &new.creator;
        // 1. The create event.
        let mut drafts =
            vec![self.state("m.room.create", "", create_content::of(new, self.version, self.rules)?)];
        // 2. The creator joins.
        let join = self.profiles.member_content("join", Some(creator), None)?;
        drafts.push(self.state("m.room.member", creator.as_str(), join));
        // 3. Power levels.
        drafts.push(self.state("m.room.power_levels", "", power_levels::of(new, self.rules)));
        // 4. The canonical alias.
        if let Some(alias) = self.alias {
            drafts.push(self.state("m.room.canonical_alias", "", object([("alias", alias.as_str().into())])));
        }
        // 5. What the preset gives, unless the initial state has something else in its place.
        drafts.extend(self.of_preset());
        // 6. The initial state, without what name and topic replace.
        drafts.extend(self.of_initial_state());
        // 7. Name and topic.
        if let Some(name) = &new.name {
            drafts.push(self.state("m.room.name", "", object([("name", name.as_str().into())])));
        }
        if let Some(topic) = &new.topic {
            drafts.push(self.state("m.room.topic", "", topic_content(topic)));
        }
        // 8. Invites.
        // Users of other servers are invited once the room is there: their servers sign the invites.
        for user in self.invited().filter(|user| user.server_name() == self.new.creator.server_name()) {
            let mut invite = self.profiles.member_content("invite", Some(user), None)?;
            if new.is_direct {
                invite.insert("is_direct".to_owned(), true.into());
            }
            drafts.push(self.state("m.room.member", user.as_str(), invite));
        }
        Ok(drafts)
    }

    fn state(&self, event_type: &str, state_key: &str, content: CanonicalJsonObject) -> Draft {
        Draft::state(&self.new.creator, event_type, state_key, content)
    }

    fn of_preset(&self) -> impl Iterator<Item = Draft> {
        // That guests are forbidden is what a room without the event says: it would be one more that every
        // server in the room keeps.
        let (join_rule, guest_access) = match self.new.preset() {
            Preset::PrivateChat | Preset::TrustedPrivateChat => ("invite", Some("can_join")),
            Preset::PublicChat => ("public", None),
        };
        let defaults = [
            ("m.room.join_rules", "join_rule", Some(join_rule)),
            ("m.room.history_visibility", "history_visibility", Some("shared")),
            ("m.room.guest_access", "guest_access", guest_access),
        ];
        let replaced = |event_type: &str| {
            let mut initial_state = self.new.initial_state.iter();
            initial_state.any(|state| state.event_type == event_type && state.state_key.is_empty())
        };
        defaults
            .into_iter()
            .filter(move |(event_type, ..)| !replaced(event_type))
            .filter_map(|(event_type, key, value)| Some((event_type, key, value?)))
            .map(|(event_type, key, value)| self.state(event_type, "", object([(key, value.into())])))
    }

    fn of_initial_state(&self) -> impl Iterator<Item = Draft> {
        let replaced = |event_type: &str| match event_type {
            "m.room.name" => self.new.name.is_some(),
            "m.room.topic" => self.new.topic.is_some(),
            _ => false,
        };
        self.new
            .initial_state
            .iter()
            .filter(move |state| !(state.state_key.is_empty() && replaced(&state.event_type)))
            .map(|state| self.state(&state.event_type, &state.state_key, state.content.clone()))
    }

    /// Whom to invite, each once.
    fn invited(&self) -> impl Iterator<Item = &OwnedUserId> {
        let mut seen = std::collections::HashSet::new();
        self.new.invite.iter().filter(move |user| seen.insert(*user))
    }
}

/// The topic as plain text, in the old and the new form.
fn topic_content(topic: &str) -> CanonicalJsonObject {
    // Without a MIME type, a text block is `text/plain`.
    let text = CanonicalJsonValue::Object(object([("body", topic.into())]));
    let block = object([("m.text", CanonicalJsonValue::Array(vec![text]))]);
    object([("topic", topic.into()), ("m.topic", CanonicalJsonValue::Object(block))])
}

/// An object of a few members.
pub(super) fn object<const N: usize>(members: [(&str, CanonicalJsonValue); N]) -> CanonicalJsonObject {
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
