//! Each user's push rules: the server's defaults until the user changes something, then kept as the account
//! data `m.push_rules`, so that sync tells the user's other devices.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use quick_cache::sync::Cache;
use ruma::{
    UserId,
    push::{Action, AnyPushRule, NewPushRule, PushCondition, RuleKind, Ruleset},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{PushError, default_rules::default_rules, glob::Glob, limits};
use crate::{
    storage::{Read, ShortUserId, Storage, StorageError},
    users::AccountData,
};

/// The type of account data that holds the rules.
const PUSH_RULES: &str = "m.push_rules";

/// The service; cheap to clone.
#[derive(Clone)]
pub struct PushRules {
    storage: Storage,
    follows_threads: bool,
    cache: Arc<RulesCache>,
}

struct RulesCache {
    rulesets: Cache<ShortUserId, Arc<Ruleset>>,
    /// Counts changes, so that a reader that raced one doesn't leave the old rules behind.
    changes: AtomicU64,
}

impl std::fmt::Debug for PushRules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushRules").finish_non_exhaustive()
    }
}

/// The content of `m.push_rules`.
#[derive(Serialize, Deserialize)]
struct PushRulesContent {
    global: Ruleset,
}

impl PushRules {
    /// The service.
    pub fn new(storage: Storage) -> Self {
        let rulesets = Cache::new(limits::RULESETS_CACHED_MAX);
        let cache = Arc::new(RulesCache { rulesets, changes: AtomicU64::new(0) });
        Self { storage, follows_threads: false, cache }
    }

    /// With the rules by which threads notify those who follow them, and nobody else (MSC4306).
    #[must_use]
    pub fn following_threads(self, follows_threads: bool) -> Self {
        Self { follows_threads, ..self }
    }

    /// A user's rules, in force now.
    pub fn of_user(&self, user: ShortUserId, user_id: &UserId) -> Result<Arc<Ruleset>, StorageError> {
        if let Some(rules) = self.cache.rulesets.get(&user) {
            return Ok(rules);
        }
        let changes = self.cache.changes.load(Ordering::Acquire);
        let rules = Arc::new(self.read(&self.storage, user, user_id)?);
        self.cache.rulesets.insert(user, rules.clone());
        if self.cache.changes.load(Ordering::Acquire) != changes {
            self.cache.rulesets.remove(&user);
        }
        Ok(rules)
    }

    /// One rule.
    pub fn rule(
        &self,
        user: ShortUserId,
        user_id: &UserId,
        kind: &RuleKind,
        rule_id: &str,
    ) -> Result<AnyPushRule, PushError> {
        let rules = self.of_user(user, user_id)?;
        let rule = rules.get(kind.clone(), rule_id).ok_or(PushError::NoSuchRule)?;
        Ok(rule.to_owned())
    }

    /// The content of `m.push_rules` for a user who has changed nothing.
    pub fn default_content(&self, user_id: &UserId) -> Result<Box<RawValue>, serde_json::Error> {
        serde_json::value::to_raw_value(&PushRulesContent {
            global: default_rules(user_id, self.follows_threads),
        })
    }

    /// Adds a rule, or changes the one with its kind and id, and moves it next to another one if asked to.
    pub fn put(
        &self,
        user: ShortUserId,
        user_id: &UserId,
        rule: NewPushRule,
        after: Option<&str>,
        before: Option<&str>,
    ) -> Result<(), PushError> {
        check_patterns(&rule)?;
        self.change(user, user_id, |rules| Ok(rules.insert(rule, after, before)?))
    }

    /// Deletes a rule that the user has added.
    pub fn delete(
        &self,
        user: ShortUserId,
        user_id: &UserId,
        kind: &RuleKind,
        rule_id: &str,
    ) -> Result<(), PushError> {
        self.change(user, user_id, |rules| Ok(rules.remove(kind.clone(), rule_id)?))
    }

    /// Enables or disables a rule.
    pub fn set_enabled(
        &self,
        user: ShortUserId,
        user_id: &UserId,
        kind: &RuleKind,
        rule_id: &str,
        enabled: bool,
    ) -> Result<(), PushError> {
        self.change(user, user_id, |rules| {
            rules.set_enabled(kind.clone(), rule_id, enabled).map_err(|_| PushError::NoSuchRule)
        })
    }

    /// Sets what a rule does.
    pub fn set_actions(
        &self,
        user: ShortUserId,
        user_id: &UserId,
        kind: &RuleKind,
        rule_id: &str,
        actions: Vec<Action>,
    ) -> Result<(), PushError> {
        self.change(user, user_id, |rules| {
            rules.set_actions(kind.clone(), rule_id, actions).map_err(|_| PushError::NoSuchRule)
        })
    }

    fn change(
        &self,
        user: ShortUserId,
        user_id: &UserId,
        change: impl FnOnce(&mut Ruleset) -> Result<(), PushError>,
    ) -> Result<(), PushError> {
        self.storage.write(|tx| {
            let mut rules = self.read(tx, user, user_id)?;
            change(&mut rules)?;
            let content = PushRulesContent { global: rules };
            let json = serde_json::value::to_raw_value(&content)?;
            let own = content.global.iter().filter(|rule| !rule.is_server_default()).count();
            if own > limits::USER_RULES_MAX || json.get().len() > limits::RULES_BYTES_MAX {
                return Err(PushError::TooManyRules);
            }
            AccountData::put(tx, user, None, PUSH_RULES, &json)?;
            Ok(())
        })?;
        self.cache.changes.fetch_add(1, Ordering::AcqRel);
        self.cache.rulesets.remove(&user);
        Ok(())
    }

    /// The stored rules brought up to the server's present defaults.
    fn read(&self, reader: &impl Read, user: ShortUserId, user_id: &UserId) -> Result<Ruleset, StorageError> {
        let defaults = default_rules(user_id, self.follows_threads);
        let Some(content) = AccountData::read(reader, user, None, PUSH_RULES)? else { return Ok(defaults) };
        match serde_json::from_str::<PushRulesContent>(content.get()) {
            Ok(PushRulesContent { global: mut rules }) => {
                rules.update_with_server_default(defaults);
                Ok(rules)
            }
            Err(e) => {
                tracing::error!("the push rules of {user_id} can't be read, the defaults are used: {e}");
                Ok(defaults)
            }
        }
    }
}

fn check_patterns(rule: &NewPushRule) -> Result<(), PushError> {
    let conditions = match rule {
        NewPushRule::Override(rule) | NewPushRule::Underride(rule) => rule.conditions.as_slice(),
        NewPushRule::Content(rule) if Glob::new(&rule.pattern).is_too_long() => {
            return Err(PushError::PatternTooLong);
        }
        _ => &[],
    };
    let is_too_long = |condition: &PushCondition| match condition {
        PushCondition::EventMatch(condition) => Glob::new(&condition.pattern).is_too_long(),
        _ => false,
    };
    if conditions.iter().any(is_too_long) { Err(PushError::PatternTooLong) } else { Ok(()) }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
