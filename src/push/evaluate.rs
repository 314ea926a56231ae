//! Which push rule an event matches (client-server API, "Push rules").
//!
//! ruma's own evaluation is not used: its matcher recurses once a word and builds regular expressions from
//! users' patterns without a bound, so that a message or a rule could take the server down. Its types are.

use std::ops::RangeBounds;

use ruma::{
    EventId, OwnedEventId, UserId,
    push::{Action, AnyPushRuleRef, PushCondition, Ruleset, ScalarJsonValue},
};
use serde_json::Value;

use super::{glob::Glob, property::property};
use crate::matrix::{
    Event,
    power_levels::{PowerLevel, RoomPowerLevels},
};

/// What rules need to know of the room. Few events come to a rule that asks, so it is looked up only then.
pub trait RoomFacts {
    /// Why it could not be looked up.
    type Error;

    /// The user's display name in the room, if any.
    fn display_name(&self) -> Result<Option<String>, Self::Error>;

    /// How many members are joined.
    fn member_count(&self) -> Result<u64, Self::Error>;

    /// Whether the user follows the thread of a root.
    fn is_subscribed(&self, root: &EventId) -> Result<bool, Self::Error>;

    /// Who may notify everybody; `None` for nobody.
    fn power_levels(&self) -> Result<Option<RoomPowerLevels>, Self::Error>;
}

/// What a matching rule asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The user is to be notified.
    pub notify: bool,
    /// The event is to be shown highlighted.
    pub highlight: bool,
}

/// The first rule, by priority, that the event matches. A user's own events match none.
pub fn matching_rule<'r, F: RoomFacts>(
    rules: &'r Ruleset,
    user_id: &UserId,
    event: &Event,
    facts: &F,
) -> Result<Option<AnyPushRuleRef<'r>>, F::Error> {
    if event.sender() == user_id {
        return Ok(None);
    }
    let subject = Subject::new(event);
    for rule in rules {
        if rule.enabled() && applies(rule, &subject, facts)? {
            return Ok(Some(rule));
        }
    }
    Ok(None)
}

/// The tweaks among a rule's actions, by name; one without a value is on.
pub fn tweaks_of(actions: &[Action]) -> serde_json::Map<String, Value> {
    let mut tweaks = serde_json::Map::new();
    for action in actions {
        let Ok(Value::Object(mut action)) = serde_json::to_value(action) else { continue };
        if let Some(Value::String(name)) = action.remove("set_tweak") {
            tweaks.insert(name, action.remove("value").unwrap_or(Value::Bool(true)));
        }
    }
    tweaks
}

/// What a user's rules ask for when the user is told of the event.
pub fn evaluate<F: RoomFacts>(
    rules: &Ruleset,
    user_id: &UserId,
    event: &Event,
    facts: &F,
) -> Result<Outcome, F::Error> {
    let rule = matching_rule(rules, user_id, event, facts)?;
    Ok(rule.map_or_else(Outcome::default, |rule| Outcome {
        notify: rule.triggers_notification(),
        highlight: rule.triggers_notification() && rule.triggers_highlight(),
    }))
}

/// An event with its content as a tree.
struct Subject<'e> {
    event: &'e Event,
    content: Value,
}

impl<'e> Subject<'e> {
    fn new(event: &'e Event) -> Self {
        // The content of a stored event is an object; should it not be, no property of it exists.
        Self { event, content: event.content().unwrap_or_default() }
    }

    /// A property by its path, of the fields that clients see.
    fn value(&self, path: &str) -> Option<std::borrow::Cow<'_, Value>> {
        use std::borrow::Cow;
        let text = |text: &str| Some(Cow::Owned(Value::from(text)));
        match path {
            "type" => text(self.event.event_type()),
            "sender" => text(self.event.sender().as_str()),
            "room_id" => text(self.event.room_id().as_str()),
            "event_id" => text(self.event.event_id().as_str()),
            "state_key" => text(self.event.state_key()?),
            "redacts" => text(self.event.redacts()?.as_str()),
            "origin_server_ts" => Some(Cow::Owned(Value::from(self.event.origin_server_ts()))),
            _ => property(&self.content, path.strip_prefix("content.")?).map(Cow::Borrowed),
        }
    }

    fn matches(&self, path: &str, glob: &Glob) -> bool {
        let Some(value) = self.value(path) else { return false };
        let Some(text) = value.as_str() else { return false };
        if path == "content.body" { glob.matches_words(text) } else { glob.matches_whole(text) }
    }

    /// The root of the thread that the event is sent to.
    fn thread(&self) -> Option<OwnedEventId> {
        let relation = self.content.get("m.relates_to")?;
        let is_thread = !self.event.is_state() && relation.get("rel_type")? == "m.thread";
        let root = relation.get("event_id").filter(|_| is_thread)?.as_str()?;
        OwnedEventId::try_from(root).ok()
    }

    /// Events with `m.mentions` say themselves whom they mention, so that the older rules don't guess.
    fn has_mentions(&self) -> bool {
        self.content.get("m.mentions").is_some()
    }
}

#[allow(deprecated)]
fn is_replaced_by_mentions(rule_id: &str) -> bool {
    use ruma::push::{PredefinedContentRuleId, PredefinedOverrideRuleId};
    rule_id == PredefinedOverrideRuleId::ContainsDisplayName.as_ref()
        || rule_id == PredefinedOverrideRuleId::RoomNotif.as_ref()
        || rule_id == PredefinedContentRuleId::ContainsUserName.as_ref()
}

fn applies<F: RoomFacts>(
    rule: AnyPushRuleRef<'_>,
    subject: &Subject<'_>,
    facts: &F,
) -> Result<bool, F::Error> {
    if is_replaced_by_mentions(rule.rule_id()) && subject.has_mentions() {
        return Ok(false);
    }
    match rule {
        AnyPushRuleRef::Override(rule)
        | AnyPushRuleRef::PostContent(rule)
        | AnyPushRuleRef::Underride(rule) => {
            for condition in &rule.conditions {
                if !holds(condition, subject, facts)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        AnyPushRuleRef::Content(rule) => Ok(subject.matches("content.body", &Glob::new(&rule.pattern))),
        AnyPushRuleRef::Room(rule) => Ok(rule.rule_id == subject.event.room_id()),
        AnyPushRuleRef::Sender(rule) => Ok(rule.rule_id == subject.event.sender()),
        _ => Ok(false),
    }
}

#[allow(deprecated)]
fn holds<F: RoomFacts>(
    condition: &PushCondition,
    subject: &Subject<'_>,
    facts: &F,
) -> Result<bool, F::Error> {
    Ok(match condition {
        PushCondition::EventMatch(it) => subject.matches(&it.key, &Glob::new(&it.pattern)),
        PushCondition::EventPropertyIs(it) => {
            subject.value(&it.key).is_some_and(|value| is_scalar(&value, &it.value))
        }
        PushCondition::EventPropertyContains(it) => subject.value(&it.key).is_some_and(|value| {
            value.as_array().is_some_and(|values| values.iter().any(|value| is_scalar(value, &it.value)))
        }),
        PushCondition::ContainsDisplayName => {
            let name = facts.display_name()?;
            name.is_some_and(|name| subject.matches("content.body", &Glob::literal(&name)))
        }
        PushCondition::RoomMemberCount(it) => {
            let count = facts.member_count()?;
            ruma::UInt::new(count).is_some_and(|count| it.is.contains(&count))
        }
        PushCondition::SenderNotificationPermission(it) => {
            facts.power_levels()?.is_some_and(|levels| may_notify(&levels, subject.event, it.key.as_str()))
        }
        PushCondition::ThreadSubscription(it) => match subject.thread() {
            Some(root) => facts.is_subscribed(&root)? == it.subscribed,
            None => false,
        },
        // "Unrecognised conditions MUST NOT match any events".
        _ => false,
    })
}

/// True when the event's sender has the power level that the room asks of those who notify everybody.
fn may_notify(levels: &RoomPowerLevels, event: &Event, kind: &str) -> bool {
    match (levels.user_level(event.sender()), levels.required_for_notification(kind)) {
        (Ok(level), Ok(required)) => level >= PowerLevel::Finite(required),
        // Levels that can't be read give nobody permission.
        _ => false,
    }
}

fn is_scalar(value: &Value, expected: &ScalarJsonValue) -> bool {
    match expected {
        ScalarJsonValue::Null => value.is_null(),
        ScalarJsonValue::Bool(expected) => value.as_bool() == Some(*expected),
        ScalarJsonValue::Integer(expected) => value.as_i64() == Some(i64::from(*expected)),
        ScalarJsonValue::String(expected) => value.as_str() == Some(expected),
    }
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
