//! The name and picture that member events carry.

use std::sync::Arc;

use ruma::{CanonicalJsonObject, CanonicalJsonValue, UserId};

use crate::{
    storage::{Read, Storage, StorageError},
    users::Profile,
};

/// What a user is called and looks like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberProfile {
    /// The display name.
    pub displayname: Option<String>,
    /// The avatar, an `mxc:` URI.
    pub avatar_url: Option<String>,
}

impl MemberProfile {
    /// Sets a member event's fields: those that the profile lacks are removed.
    pub fn write(&self, content: &mut CanonicalJsonObject) {
        for (key, value) in [("displayname", &self.displayname), ("avatar_url", &self.avatar_url)] {
            match value {
                Some(value) => content.insert(key.to_owned(), CanonicalJsonValue::String(value.clone())),
                None => content.remove(key),
            };
        }
    }
}

type Lookup = dyn Fn(&UserId) -> Result<MemberProfile, StorageError> + Send + Sync;

/// Where profiles are looked up. Who keeps them is the accounts' business; rooms only copy.
#[derive(Clone)]
pub struct MemberProfiles(Arc<Lookup>);

impl std::fmt::Debug for MemberProfiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemberProfiles").finish_non_exhaustive()
    }
}

impl MemberProfiles {
    /// Profiles as `look_up` finds them; a user without one has the default.
    pub fn new(
        look_up: impl Fn(&UserId) -> Result<MemberProfile, StorageError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(look_up))
    }

    /// The profiles that this server's accounts have set.
    pub fn stored(storage: Storage) -> Self {
        Self::new(move |user| {
            let Some(user) = storage.short_user_id(user)? else { return Ok(MemberProfile::default()) };
            let profile = Profile::read(&storage, user)?;
            Ok(MemberProfile {
                displayname: profile.display_name().map(str::to_owned),
                avatar_url: profile.avatar_url().map(ToString::to_string),
            })
        })
    }

    /// A user's profile now.
    pub fn of(&self, user: &UserId) -> Result<MemberProfile, StorageError> {
        (self.0)(user)
    }

    /// The content of a member event: the membership, the profile, and a reason if given.
    pub(super) fn member_content(
        &self,
        membership: &str,
        profile_of: Option<&UserId>,
        reason: Option<&str>,
    ) -> Result<CanonicalJsonObject, StorageError> {
        let mut content = CanonicalJsonObject::new();
        content.insert("membership".to_owned(), membership.into());
        if let Some(user) = profile_of {
            self.of(user)?.write(&mut content);
        }
        if let Some(reason) = reason {
            content.insert("reason".to_owned(), reason.into());
        }
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::users::fixture::Fixture;

    #[test]
    fn stored_profiles_are_read_as_they_are_now() {
        let users = Fixture::new();
        let alice = users.user("alice");
        let profiles = MemberProfiles::stored(users.storage.clone());
        assert_eq!(profiles.of(&alice.user_id).unwrap(), MemberProfile::default());
        users.profiles.set(alice.user, "displayname", json!("Alice")).unwrap();
        users.profiles.set(alice.user, "avatar_url", json!("mxc://example.org/face")).unwrap();
        let profile = profiles.of(&alice.user_id).unwrap();
        assert_eq!(profile.displayname.as_deref(), Some("Alice"));
        assert_eq!(profile.avatar_url.as_deref(), Some("mxc://example.org/face"));
        let stranger = ruma::user_id!("@stranger:elsewhere.org");
        assert_eq!(profiles.of(stranger).unwrap(), MemberProfile::default());
    }
}
