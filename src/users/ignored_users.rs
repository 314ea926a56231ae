//! Whom a user ignores (client-server API, "Ignoring Users").

use std::collections::HashSet;

use ruma::{OwnedUserId, UserId};
use serde::Deserialize;

use super::AccountData;
use crate::storage::{Read, ShortUserId, StorageError};

#[derive(Deserialize)]
struct IgnoredUserList {
    ignored_users: serde_json::Map<String, serde_json::Value>,
}

/// The users that a user ignores; never the user.
pub fn ignored_users(
    reader: &impl Read,
    user: ShortUserId,
    user_id: &UserId,
) -> Result<HashSet<OwnedUserId>, StorageError> {
    let Some(content) = AccountData::read(reader, user, None, "m.ignored_user_list")? else {
        return Ok(HashSet::new());
    };
    // What a client has put there and is no such list ignores nobody.
    let list = serde_json::from_str::<IgnoredUserList>(content.get()).ok();
    let users = list.into_iter().flat_map(|list| list.ignored_users).map(|(user, _)| user);
    Ok(users.filter_map(|user| OwnedUserId::try_from(user).ok()).filter(|user| *user != user_id).collect())
}
