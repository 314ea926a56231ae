use ruma::{
    OwnedUserId,
    push::{NewConditionalPushRule, NewPatternedPushRule},
};

use super::*;
use crate::storage::StreamPosition;

struct World {
    storage: Storage,
    rules: PushRules,
    user: ShortUserId,
    user_id: OwnedUserId,
}

fn world() -> World {
    let storage = Storage::in_memory().unwrap();
    let user_id = OwnedUserId::try_from("@alice:example.org").unwrap();
    let user = storage.write(|tx| tx.intern_user(&user_id)).unwrap();
    World { rules: PushRules::new(storage.clone()), storage, user, user_id }
}

impl World {
    fn put(
        &self,
        rule_id: &str,
        pattern: &str,
        after: Option<&str>,
        before: Option<&str>,
    ) -> Result<(), PushError> {
        let rule = NewPatternedPushRule::new(rule_id.to_owned(), pattern.to_owned(), vec![Action::Notify]);
        self.rules.put(self.user, &self.user_id, NewPushRule::Content(rule), after, before)
    }

    fn content_rules(&self) -> Vec<String> {
        let rules = self.rules.of_user(self.user, &self.user_id).unwrap();
        rules.content.iter().filter(|rule| !rule.default).map(|rule| rule.rule_id.clone()).collect()
    }

    fn stored(&self) -> Option<Box<RawValue>> {
        AccountData::read(&self.storage, self.user, None, PUSH_RULES).unwrap()
    }
}

#[test]
fn nothing_is_stored_until_something_changes() {
    let world = world();
    let rules = world.rules.of_user(world.user, &world.user_id).unwrap();
    assert!(rules.get(RuleKind::Override, ".m.rule.master").is_some());
    assert!(world.stored().is_none());
    let default = world.rules.default_content(&world.user_id).unwrap();
    assert!(default.get().starts_with(r#"{"global":{"#));
}

#[test]
fn rules_are_added_moved_and_deleted() {
    let world = world();
    world.put("a", "x", None, None).unwrap();
    world.put("b", "x", None, None).unwrap();
    assert_eq!(world.content_rules(), ["b", "a"], "a new rule comes first");
    world.put("c", "x", Some("b"), None).unwrap();
    assert_eq!(world.content_rules(), ["b", "c", "a"]);
    world.put("a", "y", None, Some("c")).unwrap();
    assert_eq!(world.content_rules(), ["b", "a", "c"]);
    let rule = world.rules.rule(world.user, &world.user_id, &RuleKind::Content, "a").unwrap();
    assert!(matches!(rule, AnyPushRule::Content(rule) if rule.pattern == "y" && rule.enabled));
    world.rules.delete(world.user, &world.user_id, &RuleKind::Content, "b").unwrap();
    assert_eq!(world.content_rules(), ["a", "c"]);
}

#[test]
fn changes_are_account_data_that_sync_tells() {
    let world = world();
    world.put("a", "x", None, None).unwrap();
    let end = StreamPosition(u64::MAX - 1);
    let changed = AccountData::changed_since(&world.storage, world.user, StreamPosition(0), end).unwrap();
    let types: Vec<_> = changed.iter().map(|entry| entry.event_type.as_str()).collect();
    assert_eq!(types, ["m.push_rules"]);
    let again = PushRules::new(world.storage.clone());
    let rule = again.rule(world.user, &world.user_id, &RuleKind::Content, "a");
    assert!(rule.is_ok(), "as after a restart");
}

#[test]
fn default_rules_can_be_changed_but_not_deleted() {
    let world = world();
    let (kind, id) = (RuleKind::Override, ".m.rule.master");
    world.rules.set_enabled(world.user, &world.user_id, &kind, id, true).unwrap();
    world.rules.set_actions(world.user, &world.user_id, &kind, id, vec![Action::Notify]).unwrap();
    let rule = world.rules.rule(world.user, &world.user_id, &kind, id).unwrap();
    assert!(rule.enabled() && rule.triggers_notification());
    let refused = world.rules.delete(world.user, &world.user_id, &kind, id);
    assert!(matches!(refused, Err(PushError::ServerDefault)));
}

#[test]
fn what_can_not_be_is_refused_and_changes_nothing() {
    let world = world();
    let (user, user_id, kind) = (world.user, &world.user_id, RuleKind::Content);
    assert!(matches!(world.put(".m.rule.mine", "x", None, None), Err(PushError::Insert(_))));
    assert!(matches!(world.put("a/b", "x", None, None), Err(PushError::Insert(_))));
    assert!(matches!(world.put("a", "x", Some("unknown"), None), Err(PushError::Insert(_))));
    assert!(matches!(world.put("a", &"?".repeat(200), None, None), Err(PushError::PatternTooLong)));
    let condition = ruma::push::EventMatchConditionData::new("type".to_owned(), "*x".repeat(100));
    let rule = NewConditionalPushRule::new("a".to_owned(), vec![condition.into()], vec![]);
    let refused = world.rules.put(user, user_id, NewPushRule::Override(rule), None, None);
    assert!(matches!(refused, Err(PushError::PatternTooLong)));
    assert!(matches!(world.rules.delete(user, user_id, &kind, "a"), Err(PushError::NoSuchRule)));
    assert!(matches!(world.rules.set_enabled(user, user_id, &kind, "a", true), Err(PushError::NoSuchRule)));
    assert!(matches!(world.rules.set_actions(user, user_id, &kind, "a", vec![]), Err(PushError::NoSuchRule)));
    assert!(matches!(world.rules.rule(user, user_id, &"odd".into(), "a"), Err(PushError::NoSuchRule)));
    let long = world.put("a", &"x".repeat(30_000), None, None);
    assert!(matches!(long, Err(PushError::PatternTooLong)), "each place of a text would be compared with it");
    assert!(world.stored().is_none());
}

#[test]
fn a_user_has_only_so_many_bytes_of_rules() {
    let world = world();
    let mut refused =
        (0..1_000).filter_map(|n| world.put(&format!("{n}"), &"x".repeat(500), None, None).err());
    assert!(matches!(refused.next(), Some(PushError::TooManyRules)));
}
