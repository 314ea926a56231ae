//! `make_*`: asking a server for an event to sign, and what must be true of its answer.

use ruma::{
    RoomVersionId, ServerName,
    api::federation::membership::{prepare_join_event, prepare_knock_event, prepare_leave_event},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{OwnChange, RemoteError, RemoteRooms, Version, blocking};
use crate::{
    federation::{SendOptions, limits},
    matrix::{event::Event, room_versions},
    rooms::{RoomError, memberships::OwnMembership, resident::TemplateKind},
};

/// The fields of a template that must be as asked for.
#[derive(Deserialize)]
struct Template<'a> {
    room_id: &'a str,
    sender: &'a str,
    state_key: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    content: TemplateContent<'a>,
}

#[derive(Deserialize)]
struct TemplateContent<'a> {
    membership: &'a str,
}

impl RemoteRooms {
    /// Asks a server for a template, and makes the event of it, signed by this server.
    pub(super) async fn make(
        &self,
        kind: TemplateKind,
        server: &ServerName,
        change: &OwnChange,
    ) -> Result<(Version, Event), RemoteError> {
        let (version, template) = self.ask_for_template(kind, server, change).await?;
        let rules =
            room_versions::rules(&version).ok_or_else(|| RemoteError::UnsupportedVersion(version.clone()))?;
        check_template(kind, template.get(), change)?;
        let version = Version { id: version, rules };
        let (memberships, change, rules) =
            (self.0.memberships.clone(), change.clone(), version.rules.clone());
        let make = move || {
            let (user, room_id) = (&change.user, &change.room_id);
            let membership = OwnMembership { membership: kind.membership(), user, room_id };
            let made = memberships.from_template(template.get(), membership, change.further.clone(), &rules);
            made.map_err(|error| match error {
                RoomError::Build(error) => RemoteError::Invalid(format!("its template is no event: {error}")),
                other => other.into(),
            })
        };
        let event = blocking(make).await?;
        Ok((version, event))
    }

    async fn ask_for_template(
        &self,
        kind: TemplateKind,
        server: &ServerName,
        change: &OwnChange,
    ) -> Result<(RoomVersionId, Box<RawValue>), RemoteError> {
        let (room_id, user) = (change.room_id.clone(), change.user.clone());
        let options = SendOptions { time_max: limits::MAKE_TIME_MAX, ..SendOptions::default() }.insisting();
        let client = &self.0.client;
        // Versions 1 and 2 need not be named.
        let named = |version: Option<RoomVersionId>| version.unwrap_or(RoomVersionId::V1);
        match kind {
            TemplateKind::Join => {
                let mut request = prepare_join_event::v1::Request::new(room_id, user);
                request.ver = room_versions::SUPPORTED.to_vec();
                let answer = client.send_with(server, request, options).await.map_err(RemoteError::of)?;
                Ok((named(answer.room_version), answer.event))
            }
            TemplateKind::Knock => {
                let mut request = prepare_knock_event::v1::Request::new(room_id, user);
                request.ver = room_versions::SUPPORTED.to_vec();
                let answer = client.send_with(server, request, options).await.map_err(RemoteError::of)?;
                Ok((answer.room_version, answer.event))
            }
            TemplateKind::Leave => {
                let request = prepare_leave_event::v1::Request::new(room_id, user);
                let answer = client.send_with(server, request, options).await.map_err(RemoteError::of)?;
                Ok((named(answer.room_version), answer.event))
            }
        }
    }
}

/// What the specification wants verified before a template is signed.
fn check_template(kind: TemplateKind, template: &str, change: &OwnChange) -> Result<(), RemoteError> {
    let invalid = |why: &str| RemoteError::Invalid(format!("its template is wrong: {why}"));
    let template: Template<'_> = serde_json::from_str(template).map_err(|e| invalid(&e.to_string()))?;
    let is_as_asked = template.room_id == change.room_id.as_str()
        && template.sender == change.user.as_str()
        && template.state_key == change.user.as_str()
        && template.event_type == "m.room.member"
        && template.content.membership == kind.membership();
    if is_as_asked { Ok(()) } else { Err(invalid("it is of another room, user or membership")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_of_something_else_is_not_signed() {
        let change = OwnChange {
            user: "@a:b.c".try_into().unwrap(),
            room_id: "!r:b.c".try_into().unwrap(),
            via: Vec::new(),
            further: ruma::CanonicalJsonObject::new(),
        };
        let right = json!({
            "room_id": "!r:b.c", "sender": "@a:b.c", "state_key": "@a:b.c", "type": "m.room.member",
            "content": {"membership": "join"}, "depth": 1,
        });
        assert!(check_template(TemplateKind::Join, &right.to_string(), &change).is_ok());
        assert!(check_template(TemplateKind::Leave, &right.to_string(), &change).is_err());
        for (key, value) in [
            ("room_id", json!("!s:b.c")),
            ("sender", json!("@b:b.c")),
            ("state_key", json!("@b:b.c")),
            ("type", json!("m.room.power_levels")),
            ("content", json!({"membership": "leave"})),
            ("content", json!([])),
        ] {
            let mut wrong = right.clone();
            wrong[key] = value;
            assert!(check_template(TemplateKind::Join, &wrong.to_string(), &change).is_err(), "{wrong}");
        }
    }
}
