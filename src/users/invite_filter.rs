//! Whose invites a user takes ([invite permission], MSC4155, [ignoring users]).
//!
//! One place decides, for whoever makes, takes in or shows invites: those that are *blocked* are refused, those that
//! are *ignored* happen and are not shown. Main type: [`InviteFilter`].
//!
//! [invite permission]: https://spec.matrix.org/v1.19/client-server-api/#invite-permission
//! [ignoring users]: https://spec.matrix.org/v1.19/client-server-api/#ignoring-users

use std::collections::HashSet;

use ruma::{OwnedUserId, UserId};
use serde::Deserialize;

use super::{AccountData, ignored_users};
use crate::{
    matrix::glob::{self, Wildcards},
    storage::{Read, ShortUserId, StorageError},
};

/// Account data that says to block all invites, by its name and that from before it was in the specification.
const BLOCKING: [&str; 2] = ["m.invite_permission_config", "org.matrix.msc4380.invite_permission_config"];

/// Account data with lists of users and servers.
const FILTERING: &str = "org.matrix.msc4155.invite_permission_config";

/// What becomes of an invite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteVerdict {
    /// It is shown.
    Allow,
    /// It takes place and is not shown.
    Ignore,
    /// It is refused; one that took place all the same is not shown.
    Block,
}

/// Whose invites one user takes.
#[derive(Debug, Default)]
pub struct InviteFilter {
    blocks_all: bool,
    lists: Lists,
    ignored: HashSet<OwnedUserId>,
}

#[derive(Debug, Deserialize)]
struct Blocking {
    default_action: Option<serde_json::Value>,
}

/// A list that is missing or null is empty; where one is something else, nothing counts.
#[derive(Debug, Default, Deserialize)]
struct Lists {
    enabled: Option<bool>,
    allowed_users: Option<Vec<String>>,
    ignored_users: Option<Vec<String>>,
    blocked_users: Option<Vec<String>>,
    allowed_servers: Option<Vec<String>>,
    ignored_servers: Option<Vec<String>>,
    blocked_servers: Option<Vec<String>>,
}

impl InviteFilter {
    /// The filter of a user as `reader` sees it.
    pub fn of(reader: &impl Read, user: ShortUserId, user_id: &UserId) -> Result<Self, StorageError> {
        let mut filter = Self { ignored: ignored_users(reader, user, user_id)?, ..Self::default() };
        for event_type in BLOCKING {
            let content = AccountData::read(reader, user, None, event_type)?;
            let blocking = content.and_then(|content| serde_json::from_str::<Blocking>(content.get()).ok());
            let action = blocking.and_then(|blocking| blocking.default_action);
            filter.blocks_all |= action.is_some_and(|action| action == "block");
        }
        if let Some(content) = AccountData::read(reader, user, None, FILTERING)? {
            filter.lists = serde_json::from_str(content.get()).unwrap_or_default();
        }
        Ok(filter)
    }

    /// Whether an account data type has to do with it.
    pub fn is_set_by(event_type: &str) -> bool {
        event_type == "m.ignored_user_list" || event_type == FILTERING || BLOCKING.contains(&event_type)
    }

    /// What becomes of an invite by `sender`.
    pub fn verdict(&self, sender: &UserId) -> InviteVerdict {
        if self.ignored.contains(sender) {
            return InviteVerdict::Ignore;
        }
        if self.blocks_all {
            return InviteVerdict::Block;
        }
        let lists = &self.lists;
        if lists.enabled == Some(false) {
            return InviteVerdict::Allow;
        }
        let (user, server) = (sender.as_str(), sender.server_name().host());
        for (patterns, text, verdict) in [
            (&lists.allowed_users, user, InviteVerdict::Allow),
            (&lists.ignored_users, user, InviteVerdict::Ignore),
            (&lists.blocked_users, user, InviteVerdict::Block),
            (&lists.allowed_servers, server, InviteVerdict::Allow),
            (&lists.ignored_servers, server, InviteVerdict::Ignore),
            (&lists.blocked_servers, server, InviteVerdict::Block),
        ] {
            let mut patterns = patterns.iter().flatten();
            if patterns.any(|pattern| glob::matches(pattern, text, Wildcards::StarAndOne)) {
                return verdict;
            }
        }
        InviteVerdict::Allow
    }

    /// Whether an invite by `sender` is shown to the user.
    pub fn shows(&self, sender: &UserId) -> bool {
        self.verdict(sender) == InviteVerdict::Allow
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::fixture::Fixture;
    use ruma::user_id;
    use serde_json::{Value, json, value::RawValue};

    fn filter(event_type: &str, content: &Value) -> InviteFilter {
        let server = Fixture::new();
        let alice = server.user("alice");
        let content = RawValue::from_string(content.to_string()).unwrap();
        server.account_data.set(alice.user, None, event_type, &content).unwrap();
        InviteFilter::of(&server.storage, alice.user, &alice.user_id).unwrap()
    }

    #[test]
    fn lists_are_gone_through_in_their_order() {
        let bob = user_id!("@bob:bad.org:8448");
        for (content, verdict) in [
            (json!({}), InviteVerdict::Allow),
            (json!({"blocked_servers": ["*"]}), InviteVerdict::Block),
            (json!({"blocked_servers": ["bad.org"]}), InviteVerdict::Block),
            (json!({"blocked_servers": ["bad.org"], "enabled": false}), InviteVerdict::Allow),
            (json!({"ignored_servers": ["b?d.*"], "blocked_servers": ["*"]}), InviteVerdict::Ignore),
            (json!({"allowed_users": ["@bob:*"], "blocked_servers": ["*"]}), InviteVerdict::Allow),
            (json!({"blocked_users": ["@b*"], "allowed_servers": ["*"]}), InviteVerdict::Block),
            (json!({"blocked_users": ["@b*"], "ignored_users": ["@bob*"]}), InviteVerdict::Ignore),
            (json!({"blocked_users": null}), InviteVerdict::Allow),
            (json!({"blocked_users": ["@b*"], "allowed_servers": "x"}), InviteVerdict::Allow),
        ] {
            assert_eq!(filter(FILTERING, &content).verdict(bob), verdict, "{content}");
        }
    }

    #[test]
    fn all_can_be_blocked() {
        let bob = user_id!("@bob:example.org");
        for event_type in BLOCKING {
            assert_eq!(
                filter(event_type, &json!({"default_action": "block"})).verdict(bob),
                InviteVerdict::Block
            );
            assert_eq!(
                filter(event_type, &json!({"default_action": "x"})).verdict(bob),
                InviteVerdict::Allow
            );
            assert_eq!(filter(event_type, &json!({"default_action": 7})).verdict(bob), InviteVerdict::Allow);
        }
        let ignored = filter("m.ignored_user_list", &json!({"ignored_users": {"@bob:example.org": {}}}));
        assert_eq!(ignored.verdict(bob), InviteVerdict::Ignore);
    }
}
