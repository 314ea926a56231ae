//! Profiles of this server's users: display name, avatar and any other field (client-server API,
//! "Profiles").
//!
//! The copies of name and avatar in rooms' member events are the room service's: a change is answered
//! ([`ProfileChange`]) for the caller to carry there.

use std::collections::BTreeMap;

use ruma::{MxcUri, UserId};
use serde_json::Value;

use super::{
    Accounts, UserError, limits,
    user_directory::{self, ShownProfile},
};
use crate::storage::{Json, Read, ShortUserId, Storage, StorageError, tables};

/// The display name's field.
const DISPLAY_NAME: &str = "displayname";

/// The avatar's field.
const AVATAR_URL: &str = "avatar_url";

/// A user's profile.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// Field names and values.
    pub fields: BTreeMap<String, Value>,
}

impl Profile {
    /// The display name.
    pub fn display_name(&self) -> Option<&str> {
        self.fields.get(DISPLAY_NAME)?.as_str()
    }

    /// The avatar's URL.
    pub fn avatar_url(&self) -> Option<&MxcUri> {
        Some(self.fields.get(AVATAR_URL)?.as_str()?.into())
    }

    /// The profile of a local user as `reader` sees it; empty for everybody else.
    pub fn read(reader: &impl Read, user: ShortUserId) -> Result<Self, StorageError> {
        let fields = reader.get(&tables::PROFILES, &user)?.map(|Json(fields)| fields);
        Ok(Self { fields: fields.unwrap_or_default() })
    }
}

/// What a change of a profile did.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileChange {
    /// True when display name or avatar was set, so member events should follow; also to what it was, as
    /// the request before may have failed halfway through the rooms.
    pub concerns_members: bool,
    /// The profile after the change.
    pub profile: Profile,
}

/// The service for profiles; cheap to clone.
#[derive(Debug, Clone)]
pub struct Profiles {
    storage: Storage,
    accounts: Accounts,
}

impl Profiles {
    /// The service.
    pub fn new(storage: Storage, accounts: Accounts) -> Self {
        Self { storage, accounts }
    }

    /// The profile behind an account, be it closed or not.
    pub fn of_account(&self, user: ShortUserId) -> Result<Profile, StorageError> {
        Profile::read(&self.storage, user)
    }

    /// The profile of a user of this server who has an account that is not deactivated.
    pub fn get(&self, user_id: &UserId) -> Result<Profile, UserError> {
        match self.accounts.local_user(user_id)? {
            Some(user) => Ok(Profile::read(&self.storage, user)?),
            None => Err(UserError::UnknownUser(user_id.to_owned())),
        }
    }

    /// Sets a field. An empty display name or avatar URL removes it, as clients do it.
    pub fn set(&self, user: ShortUserId, field: &str, value: Value) -> Result<ProfileChange, UserError> {
        check_field_name(field)?;
        if matches!(field, DISPLAY_NAME | AVATAR_URL) && value.as_str() == Some("") {
            return self.change(user, field, None);
        }
        check_value(field, &value)?;
        self.change(user, field, Some(value))
    }

    /// Removes a field; it need not be there.
    pub fn remove(&self, user: ShortUserId, field: &str) -> Result<ProfileChange, UserError> {
        check_field_name(field)?;
        self.change(user, field, None)
    }

    fn change(
        &self,
        user: ShortUserId,
        field: &str,
        value: Option<Value>,
    ) -> Result<ProfileChange, UserError> {
        self.storage.write(|tx| {
            let mut profile = Profile::read(tx, user)?;
            let before = profile.fields.get(field).cloned();
            let concerns_members = matches!(field, DISPLAY_NAME | AVATAR_URL);
            if before == value {
                return Ok(ProfileChange { concerns_members, profile });
            }
            match value {
                Some(value) => profile.fields.insert(field.to_owned(), value),
                None => profile.fields.remove(field),
            };
            let size = serde_json::to_vec(&profile.fields).map_or(usize::MAX, |json| json.len());
            if size > limits::PROFILE_BYTES_MAX {
                return Err(UserError::ProfileTooLarge);
            }
            tx.put(&tables::PROFILES, &user, &Json(profile.fields.clone()));
            if concerns_members {
                let user_id = tx.user_id(user)?;
                user_directory::update(tx, user, &user_id, ShownProfile::of(&profile))?;
            }
            Ok(ProfileChange { concerns_members, profile })
        })
    }
}

/// Field names: the specification's own, or a common namespaced identifier (appendices).
fn check_field_name(field: &str) -> Result<(), UserError> {
    if field.len() > limits::PROFILE_FIELD_NAME_BYTES_MAX {
        return Err(UserError::ProfileFieldNameTooLong);
    }
    let is_segment = |segment: &str| {
        segment.starts_with(|c: char| c.is_ascii_lowercase())
            && segment.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let is_namespaced = field.contains('.') && field.split('.').all(is_segment);
    if matches!(field, DISPLAY_NAME | AVATAR_URL) || is_namespaced {
        Ok(())
    } else {
        Err(UserError::InvalidProfileField)
    }
}

fn check_value(field: &str, value: &Value) -> Result<(), UserError> {
    let text = || value.as_str().ok_or(UserError::InvalidProfileValue("it must be a string"));
    match field {
        DISPLAY_NAME if text()?.len() > limits::DISPLAY_NAME_BYTES_MAX => {
            Err(UserError::InvalidProfileValue("the display name is too long"))
        }
        AVATAR_URL if text()?.len() > limits::AVATAR_URL_BYTES_MAX => {
            Err(UserError::InvalidProfileValue("the avatar's URL is too long"))
        }
        "m.tz" => text().map(drop),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::fixture::Fixture;
    use ruma::user_id;
    use serde_json::json;

    #[test]
    fn fields_are_set_read_and_removed() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let profiles = &server.profiles;
        assert_eq!(profiles.get(&alice.user_id).unwrap(), Profile::default());

        let change = profiles.set(alice.user, "displayname", json!("Alice")).unwrap();
        assert!(change.concerns_members);
        assert_eq!(change.profile.display_name(), Some("Alice"));
        let again = profiles.set(alice.user, "displayname", json!("Alice")).unwrap();
        assert!(again.concerns_members, "the request before may have failed halfway through the rooms");
        assert!(!profiles.set(alice.user, "org.example.pronouns", json!(["she"])).unwrap().concerns_members);
        profiles.set(alice.user, "avatar_url", json!("mxc://example.org/abc")).unwrap();
        profiles.set(alice.user, "m.tz", json!("Europe/London")).unwrap();
        let profile = profiles.get(&alice.user_id).unwrap();
        assert_eq!(profile.fields.len(), 4);
        assert_eq!(profile.avatar_url().unwrap(), "mxc://example.org/abc");

        assert!(profiles.set(alice.user, "avatar_url", json!("")).unwrap().concerns_members);
        assert!(!profiles.remove(alice.user, "org.example.pronouns").unwrap().concerns_members);
        profiles.remove(alice.user, "org.example.pronouns").unwrap();
        assert_eq!(profiles.get(&alice.user_id).unwrap().fields.len(), 2);
    }

    #[test]
    fn only_active_users_of_this_server_have_profiles() {
        let server = Fixture::new();
        let alice = server.user("alice");
        server.accounts.deactivate(&alice.user_id, false).unwrap();
        for user in [&*alice.user_id, user_id!("@bob:example.org"), user_id!("@bob:elsewhere.org")] {
            assert!(matches!(server.profiles.get(user), Err(UserError::UnknownUser(_))));
        }
    }

    #[test]
    fn field_names_follow_the_grammar() {
        for right in ["displayname", "avatar_url", "m.tz", "org.example.a_1"] {
            assert!(check_field_name(right).is_ok(), "{right}");
        }
        for wrong in ["", "custom", "Org.example", "org..example", "org.1a", ".a.b", "org.exämple", "a.b-c"]
        {
            assert!(matches!(check_field_name(wrong), Err(UserError::InvalidProfileField)), "{wrong}");
        }
        let long = format!("org.{}", "a".repeat(252));
        assert!(matches!(check_field_name(&long), Err(UserError::ProfileFieldNameTooLong)));
    }

    #[test]
    fn values_are_what_their_field_takes() {
        let wrong = [
            ("displayname", json!(1)),
            ("displayname", json!(null)),
            ("displayname", json!("a".repeat(1_025))),
            ("avatar_url", json!(format!("mxc://example.org/{}", "a".repeat(1_024)))),
            ("m.tz", json!({})),
        ];
        for (field, value) in wrong {
            let refused = check_value(field, &value);
            assert!(matches!(refused, Err(UserError::InvalidProfileValue(_))), "{field} {value}");
        }
        // Not for this server to judge: bridges and old clients set what the specification does not foresee.
        assert!(check_value("avatar_url", &json!("https://example.org/a.png")).is_ok());
        assert!(check_value("org.example.any", &json!({ "a": [1, null] })).is_ok());
    }

    #[test]
    fn a_profile_stays_under_64_kib() {
        let server = Fixture::new();
        let alice = server.user("alice");
        server.profiles.set(alice.user, "org.example.one", json!("a".repeat(40_000))).unwrap();
        let second = server.profiles.set(alice.user, "org.example.two", json!("a".repeat(40_000)));
        assert!(matches!(second, Err(UserError::ProfileTooLarge)));
        assert_eq!(server.profiles.get(&alice.user_id).unwrap().fields.len(), 1);
    }
}
