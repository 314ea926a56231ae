//! Events for another server's users to sign: joins, leaves and knocks ([make_join], make_leave, make_knock).
//!
//! A template is checked by the authorisation rules against the room's current state, and changes nothing.
//!
//! [make_join]: https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1make_joinroomiduserid

use ruma::{CanonicalJsonObject, RoomId, RoomVersionId, ServerName, UserId};
use serde_json::value::RawValue;

use super::{Resident, ResidentError};
use crate::rooms::{RoomError, appender::Draft};

/// What a template is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateKind {
    /// To join.
    Join,
    /// To leave, decline an invite, or take a knock back.
    Leave,
    /// To ask to be let in.
    Knock,
}

impl TemplateKind {
    /// The membership that such an event sets.
    pub const fn membership(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Leave => "leave",
            Self::Knock => "knock",
        }
    }
}

/// An event without time, hashes and signatures of its sender's server.
#[derive(Debug)]
pub struct MembershipTemplate {
    /// The room's version.
    pub version: RoomVersionId,
    /// The event.
    pub event: Box<RawValue>,
}

impl Resident {
    /// A template for a user of the server that asks. `versions` are the room versions that it supports; `None`
    /// where it need not say so.
    pub fn template(
        &self,
        kind: TemplateKind,
        server: &ServerName,
        room_id: &RoomId,
        user: &UserId,
        versions: Option<&[RoomVersionId]>,
    ) -> Result<MembershipTemplate, ResidentError> {
        if user.server_name() != server {
            return Err(ResidentError::ForeignUser(user.to_owned()));
        }
        let room = self.open(server, room_id)?;
        let record = self.index.record(room)?.ok_or(ResidentError::UnknownRoom)?;
        let version = record.version.clone();
        if versions.is_some_and(|versions| !versions.contains(&version)) {
            return Err(ResidentError::IncompatibleVersion(version));
        }
        let batch = self.appender.begin(room_id)?;
        let mut content = CanonicalJsonObject::new();
        content.insert("membership".to_owned(), kind.membership().into());
        if kind == TemplateKind::Join {
            self.memberships.authorise_restricted(&batch, user, &mut content)?;
        }
        let draft = batch.check(Draft::state(user, "m.room.member", user.as_str(), content))?;
        let json = draft.template(batch.rules()).map_err(RoomError::from)?;
        let event = RawValue::from_string(json).map_err(|e| RoomError::BadContent(e.to_string()))?;
        Ok(MembershipTemplate { version, event })
    }
}
