//! `POST /createRoom`: makes a room.

use std::collections::BTreeSet;

use axum::extract::State;
use ruma::{
    CanonicalJsonObject, OwnedUserId, RoomAliasId, RoomId, UserId,
    api::client::room::{
        Visibility,
        create_room::v3::{Request, Response, RoomPreset},
    },
    serde::Raw,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    api::{
        ApiError, ApiResult, Requester, Ruma, RumaResponse, blocking,
        client::{alias::create::check_reserved, send::parse_content},
    },
    federation::{RemoteRooms, joins::Invitation},
    rooms::{
        RoomCreator, RoomError,
        creation::{InitialState, NewRoom, Preset},
    },
    users::Sessions,
};

/// The handler.
pub async fn create(
    State(creator): State<RoomCreator>,
    State(rooms): State<RemoteRooms>,
    State(sessions): State<Sessions>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    if !creator.is_for(requester.is_admin) {
        return Err(ApiError::forbidden("Only administrators may create rooms on this server"));
    }
    if let Some(name) = &request.room_alias_name
        && let Ok(alias) = RoomAliasId::parse(format!("#{name}:{}", requester.user_id.server_name()))
    {
        check_reserved(&sessions, &requester, &alias)?;
    }
    let new = new_room(requester.user_id, request)?;
    let (remote, is_direct) = (remote_invites(&new), new.is_direct);
    let sender = new.creator.clone();
    let room_id = blocking::run(move || creator.create(&new)).await?;
    let invitation = |target| invitation(&room_id, &sender, target, is_direct);
    rooms.invite_all(remote.into_iter().map(invitation).collect()).await;
    Ok(RumaResponse(Response::new(room_id)))
}

/// Those to invite whose servers must sign the invites.
fn remote_invites(new: &NewRoom) -> BTreeSet<OwnedUserId> {
    let is_remote = |user: &&OwnedUserId| user.server_name() != new.creator.server_name();
    new.invite.iter().filter(is_remote).cloned().collect()
}

fn invitation(room_id: &RoomId, sender: &UserId, target: OwnedUserId, is_direct: bool) -> Invitation {
    let mut extra = CanonicalJsonObject::new();
    if is_direct {
        extra.insert("is_direct".to_owned(), true.into());
    }
    Invitation { room_id: room_id.to_owned(), sender: sender.to_owned(), target, reason: None, extra }
}

fn new_room(creator: OwnedUserId, request: Request) -> Result<NewRoom, ApiError> {
    if !request.invite_3pid.is_empty() {
        return Err(RoomError::NoIdentityServer.into());
    }
    let listed = match request.visibility {
        Visibility::Public => true,
        Visibility::Private => false,
        other => return Err(ApiError::invalid_param(format!("`{other}` is not a visibility"))),
    };
    Ok(NewRoom {
        creator,
        version: request.room_version,
        preset: request.preset.map(preset).transpose()?,
        listed,
        alias_localpart: request.room_alias_name,
        name: request.name,
        topic: request.topic,
        invite: request.invite,
        is_direct: request.is_direct,
        initial_state: request.initial_state.iter().map(initial_state).collect::<Result<_, _>>()?,
        creation_content: object(request.creation_content.as_ref())?,
        power_level_override: object(request.power_level_content_override.as_ref())?,
    })
}

fn preset(preset: RoomPreset) -> Result<Preset, ApiError> {
    match preset {
        RoomPreset::PrivateChat => Ok(Preset::PrivateChat),
        RoomPreset::TrustedPrivateChat => Ok(Preset::TrustedPrivateChat),
        RoomPreset::PublicChat => Ok(Preset::PublicChat),
        other => Err(ApiError::invalid_param(format!("`{other}` is not a preset"))),
    }
}

fn initial_state<T>(raw: &Raw<T>) -> Result<InitialState, ApiError> {
    #[derive(Deserialize)]
    struct StateEvent<'a> {
        #[serde(rename = "type")]
        event_type: String,
        #[serde(default)]
        state_key: String,
        #[serde(borrow)]
        content: &'a RawValue,
    }
    let event: StateEvent<'_> = serde_json::from_str(raw.json().get())
        .map_err(|e| ApiError::bad_json(format!("An event of `initial_state` is not valid: {e}")))?;
    let content = parse_content(event.content)?;
    Ok(InitialState { event_type: event.event_type, state_key: event.state_key, content })
}

fn object<T>(raw: Option<&Raw<T>>) -> Result<CanonicalJsonObject, ApiError> {
    let Some(raw) = raw else { return Ok(CanonicalJsonObject::new()) };
    parse_content(raw.json())
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use ruma::{
        api::{IncomingRequestExt, error::ErrorKind},
        user_id,
    };
    use serde_json::{Value, json};

    use super::*;

    fn parse(body: Value) -> Result<NewRoom, ApiError> {
        let body = body.to_string();
        let request = http::Request::post("/_matrix/client/v3/createRoom").body(body.as_bytes()).unwrap();
        let request = Request::try_from_http_request(request, &[] as &[&str])?;
        new_room(user_id!("@alice:example.org").to_owned(), request)
    }

    fn refusal(body: Value) -> (u16, ErrorKind) {
        match parse(body.clone()) {
            Err(ApiError::Standard { status, kind, .. }) => (status.as_u16(), *kind),
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn every_key_is_taken() {
        let new = parse(json!({
            "visibility": "public",
            "preset": "trusted_private_chat",
            "room_alias_name": "pub",
            "name": "The Pub",
            "topic": "Beer",
            "invite": ["@bob:example.org"],
            "is_direct": true,
            "room_version": "11",
            "creation_content": {"m.federate": false, "org.example": [1]},
            "initial_state": [
                {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}},
                {"type": "org.example", "state_key": "key", "content": {}},
            ],
            "power_level_content_override": {"ban": 75},
        }))
        .unwrap();
        assert_eq!((new.listed, new.preset), (true, Some(Preset::TrustedPrivateChat)));
        assert_eq!((new.alias_localpart.as_deref(), new.name.as_deref()), (Some("pub"), Some("The Pub")));
        assert_eq!((new.topic.as_deref(), new.is_direct), (Some("Beer"), true));
        assert_eq!(new.invite, ["@bob:example.org"]);
        assert_eq!(new.version.unwrap().as_str(), "11");
        assert_eq!(new.creation_content.len(), 2);
        assert_eq!(new.power_level_override.len(), 1);
        let state: Vec<_> =
            new.initial_state.iter().map(|state| (&*state.event_type, &*state.state_key)).collect();
        assert_eq!(state, [("m.room.encryption", ""), ("org.example", "key")]);
    }

    #[test]
    fn an_empty_request_is_a_private_room() {
        let new = parse(json!({})).unwrap();
        assert_eq!((new.listed, new.preset, new.version), (false, None, None));
    }

    #[test]
    fn values_that_are_not_allowed_are_told_apart() {
        let bad_request = StatusCode::BAD_REQUEST.as_u16();
        for (body, kind) in [
            (json!({"visibility": "secret"}), ErrorKind::InvalidParam),
            (json!({"preset": "party"}), ErrorKind::InvalidParam),
            (json!({"name": 1}), ErrorKind::BadJson),
            (json!({"invite": ["bob"]}), ErrorKind::BadJson),
            (json!({"initial_state": [{"content": {}}]}), ErrorKind::BadJson),
            (json!({"initial_state": [{"type": "a", "content": []}]}), ErrorKind::BadJson),
            (json!({"initial_state": [{"type": "a", "content": {"b": 1.5}}]}), ErrorKind::BadJson),
            (json!({"creation_content": []}), ErrorKind::BadJson),
            (json!({"power_level_content_override": 1}), ErrorKind::BadJson),
        ] {
            assert_eq!(refusal(body.clone()), (bad_request, kind), "{body}");
        }
        let by_mail = json!({"invite_3pid": [{
            "id_server": "id.example.org",
            "id_access_token": "abc",
            "medium": "email",
            "address": "bob@example.org",
        }]});
        assert_eq!(refusal(by_mail), (StatusCode::FORBIDDEN.as_u16(), ErrorKind::ThreepidDenied));
    }
}
