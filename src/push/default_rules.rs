//! The rules that everybody has from the start: those of the specification, and those of polls (MSC3930).
//!
//! Rules of threads that are followed (MSC4306) are there where the operator wants them: they keep threads silent for
//! users whose clients can't follow any.

use ruma::{
    UserId,
    push::{
        Action, ConditionalPushRule, ConditionalPushRuleInit, EventMatchConditionData, PushCondition,
        RoomMemberCountConditionData, RoomMemberCountIs, Ruleset, SoundTweakValue, Tweak,
    },
    uint,
};

/// The rules of a user who has changed none.
pub fn default_rules(user_id: &UserId, follows_threads: bool) -> Ruleset {
    let mut rules = Ruleset::server_default(user_id);
    if !follows_threads {
        rules.postcontent.clear();
    }
    rules.override_.insert(poll_rule("poll_response", "response", false, Vec::new()));
    for (event, name) in [("start", "poll_start"), ("end", "poll_end")] {
        let sound = Action::SetTweak(Tweak::Sound(SoundTweakValue::Default));
        let loud = vec![Action::Notify, sound];
        rules.underride.insert(poll_rule(&format!("{name}_one_to_one"), event, true, loud));
        rules.underride.insert(poll_rule(name, event, false, vec![Action::Notify]));
    }
    rules
}

fn poll_rule(name: &str, event: &str, in_pairs: bool, actions: Vec<Action>) -> ConditionalPushRule {
    let mut conditions = Vec::new();
    if in_pairs {
        let two = RoomMemberCountIs::from(uint!(2));
        conditions.push(PushCondition::RoomMemberCount(RoomMemberCountConditionData::new(two)));
    }
    let pattern = format!("org.matrix.msc3381.poll.{event}");
    conditions.push(PushCondition::EventMatch(EventMatchConditionData::new("type".to_owned(), pattern)));
    let rule_id = format!(".org.matrix.msc3930.rule.{name}");
    ConditionalPushRuleInit { actions, default: true, enabled: true, rule_id, conditions }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::user_id;
    use serde_json::json;

    #[test]
    fn polls_are_told_of_and_votes_are_not() {
        let rules = default_rules(user_id!("@a:example.org"), false);
        let rules = serde_json::to_value(&rules).unwrap();
        let rule = |kind: &str, name: &str| {
            let id = format!(".org.matrix.msc3930.rule.{name}");
            rules[kind].as_array().unwrap().iter().find(|rule| rule["rule_id"] == id).cloned().unwrap()
        };
        let votes = rule("override", "poll_response");
        assert_eq!(votes["actions"], json!([]));
        let of_type = |event: &str| json!({"kind": "event_match", "key": "type", "pattern": format!("org.matrix.msc3381.poll.{event}")});
        assert_eq!(votes["conditions"], json!([of_type("response")]));
        let pairs = rule("underride", "poll_end_one_to_one");
        assert_eq!(pairs["conditions"], json!([{"kind": "room_member_count", "is": "2"}, of_type("end")]));
        assert_eq!(pairs["actions"], json!(["notify", {"set_tweak": "sound", "value": "default"}]));
        assert_eq!(rule("underride", "poll_start")["actions"], json!(["notify"]));
        assert!(rules.get("postcontent").is_none_or(|rules| rules == &json!([])));
    }
}
