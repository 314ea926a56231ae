//! What memberships that go through other servers need of this one's rooms. Asking the servers is not done here.

use std::sync::Arc;

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, RoomId, RoomVersionId, UserId,
    room_version_rules::RoomVersionRules,
};
use serde_json::Value;

use super::{Memberships, Moderation, restricted::AUTHORISED_VIA};
use crate::{
    matrix::{
        builder::{self, EventDraft, EventReference, MembershipFields},
        event::Event,
    },
    rooms::{RoomError, appender::Draft},
    storage::records::Membership,
};

/// An invite that the invited user's server must sign before it is part of the room.
#[derive(Debug)]
pub struct RemoteInvite {
    /// The event, allowed by the room's current state.
    pub event: Event,
    /// The room's version.
    pub version: RoomVersionId,
    /// The rules of the version.
    pub rules: RoomVersionRules,
    /// The state that tells the invited user what room this is, and who invites.
    pub state: Vec<Arc<Event>>,
}

/// A membership that a user here gives themselves.
#[derive(Debug, Clone, Copy)]
pub struct OwnMembership<'a> {
    /// `join`, `knock` or `leave`.
    pub membership: &'a str,
    /// Whose.
    pub user: &'a UserId,
    /// Of which room.
    pub room_id: &'a RoomId,
}

impl Memberships {
    /// Makes the invite of a user of another server. `extra` holds more keys of its content. `None` when the user
    /// is invited already.
    pub fn remote_invite(
        &self,
        invite: Moderation<'_>,
        extra: CanonicalJsonObject,
    ) -> Result<Option<RemoteInvite>, RoomError> {
        let batch = self.appender.begin_as_member(invite.room_id, invite.sender)?;
        let mut content = extra;
        content.extend(self.profiles.member_content("invite", None, invite.reason)?);
        content.remove(AUTHORISED_VIA);
        let target = invite.target.as_str();
        let event = batch.make(Draft::state(invite.sender, "m.room.member", target, content))?;
        let index = self.appender.index();
        let record = batch.room().map(|room| index.record(room)).transpose()?.flatten();
        let record = record.ok_or_else(|| RoomError::RoomNotFound(invite.room_id.to_owned()))?;
        if !record.federate {
            return Err(RoomError::Forbidden("This room is not federated".to_owned()));
        }
        if batch.membership(invite.target)? == Some(Membership::Invite) {
            return Ok(None);
        }
        let mut state = batch.identifying_state()?;
        state.extend(batch.state_event("m.room.member", invite.sender.as_str())?);
        Ok(Some(RemoteInvite { event, version: record.version.clone(), rules: batch.rules().clone(), state }))
    }

    /// Completes another server's template of a user's own membership and signs it. `further` holds more keys of
    /// its content.
    pub fn from_template(
        &self,
        template: &str,
        own: OwnMembership<'_>,
        further: CanonicalJsonObject,
        rules: &RoomVersionRules,
    ) -> Result<Event, RoomError> {
        let OwnMembership { membership, user, room_id } = own;
        let mut content = further;
        content.insert("membership".to_owned(), membership.into());
        if membership != "leave" {
            self.add_profile(user, &mut content)?;
        }
        if membership == "join" && rules.authorization.restricted_join_rule {
            let template: Value = serde_json::from_str(template)
                .map_err(|e| RoomError::BadContent(format!("the template is no JSON: {e}")))?;
            let via = template.pointer(&format!("/content/{AUTHORISED_VIA}")).and_then(Value::as_str);
            if let Some(via) = via {
                content.insert(AUTHORISED_VIA.to_owned(), CanonicalJsonValue::String(via.to_owned()));
            }
        }
        let origin_server_ts = self.appender.now_ms();
        let fields = MembershipFields { room_id, sender: user, content: &content, origin_server_ts };
        let (server, key) = (self.appender.server_name(), self.appender.signing_key());
        Ok(builder::build_from_template(template, fields, rules, server, key)?)
    }

    /// A leave that only this server will know, which ends an invite or knock whose room's servers can't be
    /// reached. It follows that event.
    pub fn unheard_leave(
        &self,
        user: &UserId,
        ends: &Event,
        reason: Option<&str>,
        rules: &RoomVersionRules,
    ) -> Result<Event, RoomError> {
        let reference = EventReference::of(ends, rules)
            .map_err(|source| RoomError::CorruptEvent { event_id: ends.event_id().to_owned(), source })?;
        let draft = EventDraft {
            sticky_ms: None,
            room_id: Some(ends.room_id().to_owned()),
            sender: user.to_owned(),
            event_type: "m.room.member".to_owned(),
            state_key: Some(user.to_string()),
            content: self.profiles.member_content("leave", None, reason)?,
            redacts: None,
            origin_server_ts: self.appender.now_ms(),
            prev_events: vec![reference.clone()],
            auth_events: vec![reference],
            depth: ends.depth().saturating_add(1),
        };
        Ok(draft.build(rules, self.appender.server_name(), self.appender.signing_key())?)
    }

    /// The rooms' appender.
    pub fn appender(&self) -> &crate::rooms::Appender {
        &self.appender
    }
}
