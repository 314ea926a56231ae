//! The content of a new room's create event.

use std::collections::HashSet;

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedUserId, RoomVersionId, UserId,
    room_version_rules::RoomVersionRules,
};

use super::{NewRoom, Preset};
use crate::rooms::RoomError;

/// What the caller asked for, with the keys that the server sets.
pub(super) fn of(
    new: &NewRoom,
    version: &RoomVersionId,
    rules: &RoomVersionRules,
) -> Result<CanonicalJsonObject, RoomError> {
    let mut content = new.creation_content.clone();
    check(&content)?;
    content.insert("room_version".to_owned(), version.as_str().into());
    // Room version 11 has the sender of the create event in its place.
    content.remove("creator");
    if !rules.authorization.use_room_create_sender {
        content.insert("creator".to_owned(), new.creator.as_str().into());
    }
    if rules.authorization.additional_room_creators {
        let creators = additional_creators(new, &content)?;
        content.remove("additional_creators");
        if !creators.is_empty() {
            let creators = creators.iter().map(|creator| creator.as_str().into()).collect();
            content.insert("additional_creators".to_owned(), CanonicalJsonValue::Array(creators));
        }
    }
    Ok(content)
}

/// Refuses keys of known meaning whose value has the wrong type.
fn check(content: &CanonicalJsonObject) -> Result<(), RoomError> {
    let wrong = |key: &str, expected: &str| {
        Err(RoomError::BadContent(format!("`{key}` of `creation_content` must be {expected}")))
    };
    match content.get("m.federate") {
        None | Some(CanonicalJsonValue::Bool(_)) => {}
        Some(_) => return wrong("m.federate", "true or false"),
    }
    match content.get("type") {
        None | Some(CanonicalJsonValue::String(_)) => {}
        Some(_) => return wrong("type", "a string"),
    }
    match content.get("predecessor") {
        None | Some(CanonicalJsonValue::Object(_)) => {}
        Some(_) => return wrong("predecessor", "an object"),
    }
    Ok(())
}

/// The creators beside the one who asks: those named, and in a trusted chat the invited, each once.
fn additional_creators(new: &NewRoom, content: &CanonicalJsonObject) -> Result<Vec<OwnedUserId>, RoomError> {
    let wrong = || {
        RoomError::BadContent(
            "`additional_creators` of `creation_content` must be a list of user ids".to_owned(),
        )
    };
    let mut creators: Vec<OwnedUserId> = Vec::new();
    // A request may name a million; the event that is too large is refused only when it is built.
    let mut seen = HashSet::from([new.creator.clone()]);
    let mut add = |user: OwnedUserId| {
        if seen.insert(user.clone()) {
            creators.push(user);
        }
    };
    match content.get("additional_creators") {
        None => {}
        Some(CanonicalJsonValue::Array(named)) => {
            for user in named {
                let CanonicalJsonValue::String(user) = user else { return Err(wrong()) };
                add(<&UserId>::try_from(user.as_str()).map_err(|_| wrong())?.to_owned());
            }
        }
        Some(_) => return Err(wrong()),
    }
    if new.preset() == Preset::TrustedPrivateChat {
        new.invite.iter().cloned().for_each(add);
    }
    Ok(creators)
}
