use std::{convert::Infallible, sync::Arc};

use ruma::{OwnedRoomId, OwnedUserId, push::Ruleset};
use serde_json::{Value, json};

use super::*;
use crate::rooms::{
    appender::Draft,
    testing::{RoomsFixture, content},
};

struct World {
    rooms: RoomsFixture,
    room: OwnedRoomId,
    alice: OwnedUserId,
    bob: OwnedUserId,
}

/// A public room of Alice's in which Bob is.
fn world() -> World {
    let rooms = RoomsFixture::new();
    let [alice, bob] = ["alice", "bob"].map(RoomsFixture::user);
    let room = rooms.public_room(&alice);
    rooms.join(&room, &bob);
    World { rooms, room, alice, bob }
}

impl World {
    fn event(&self, sender: &OwnedUserId, json: Value) -> Arc<Event> {
        let draft = Draft::message(sender, "m.room.message", content(json));
        let event_id = self.rooms.append(&self.room, draft).unwrap();
        self.rooms.events.by_id(&event_id).unwrap().unwrap().event
    }

    fn outcome(&self, rules: &Ruleset, event: &Event) -> (bool, bool) {
        let Ok(Outcome { notify, highlight }) = evaluate(rules, &self.bob, event, self);
        (notify, highlight)
    }

    /// What a rule set in JSON makes of a message of Alice's with this content.
    fn matches(&self, rules: Value, content: Value) -> bool {
        let rules: Ruleset = serde_json::from_value(rules).unwrap();
        self.outcome(&rules, &self.event(&self.alice, content)).0
    }
}

fn rule(kind: &str, more: Value) -> Value {
    let mut rule = json!({"rule_id": "r", "default": false, "enabled": true, "actions": ["notify"]});
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({kind: [rule]})
}

fn condition(condition: Value) -> Value {
    rule("override", json!({"conditions": [condition]}))
}

impl RoomFacts for World {
    type Error = Infallible;

    fn display_name(&self) -> Result<Option<String>, Infallible> {
        Ok(Some("Bob B.".to_owned()))
    }

    fn member_count(&self) -> Result<u64, Infallible> {
        Ok(3)
    }

    fn is_subscribed(&self, root: &EventId) -> Result<bool, Infallible> {
        Ok(root == "$followed")
    }

    fn power_levels(&self) -> Result<Option<RoomPowerLevels>, Infallible> {
        let state = |event_type| self.rooms.state(&self.room, event_type, "").unwrap();
        let rules = self.rooms.index.rules(self.rooms.short(&self.room)).unwrap();
        let (create, levels) = (state("m.room.create"), state("m.room.power_levels"));
        Ok(Some(RoomPowerLevels::of_events(&create, Some(&levels), &rules.authorization)))
    }
}

#[test]
fn threads_notify_those_who_follow_them() {
    let world = world();
    let rules = Ruleset::server_default(&world.bob);
    let in_thread = |root: &str, mentioned: bool| {
        let mut json = json!({"msgtype": "m.text", "body": "x",
            "m.relates_to": {"rel_type": "m.thread", "event_id": root}});
        if mentioned {
            json["m.mentions"] = json!({"user_ids": [world.bob]});
        }
        world.outcome(&rules, &world.event(&world.alice, json))
    };
    assert_eq!(in_thread("$followed", false), (true, false));
    assert_eq!(in_thread("$other", false), (false, false));
    assert_eq!(in_thread("$other", true), (true, true));
}

#[test]
fn the_default_rules_tell_messages_from_mentions_and_edits() {
    let world = world();
    let rules = Ruleset::server_default(&world.bob);
    let of_alice = |json| world.outcome(&rules, &world.event(&world.alice, json));
    assert_eq!(of_alice(json!({"msgtype": "m.text", "body": "hello"})), (true, false));
    assert_eq!(of_alice(json!({"msgtype": "m.notice", "body": "a bot"})), (false, false));
    let mention = json!({"msgtype": "m.text", "body": "you", "m.mentions": {"user_ids": [world.bob]}});
    assert_eq!(of_alice(mention), (true, true));
    let edit = json!({"msgtype": "m.text", "body": "* x", "m.relates_to": {"rel_type": "m.replace", "event_id": "$e"}});
    assert_eq!(of_alice(edit), (false, false));
    let own = world.event(&world.bob, json!({"msgtype": "m.text", "body": "hello"}));
    assert_eq!(world.outcome(&rules, &own), (false, false));
    let joined = world.rooms.state(&world.room, "m.room.member", world.alice.as_str()).unwrap();
    assert_eq!(world.outcome(&rules, &joined), (false, false), "member events notify nobody");
}

#[test]
fn only_who_has_the_power_level_can_notify_everybody() {
    let world = world();
    let carol = RoomsFixture::user("carol");
    let rules = Ruleset::server_default(&carol);
    let everybody = |sender| {
        let json = json!({"msgtype": "m.text", "body": "all", "m.mentions": {"room": true}});
        let Ok(outcome) = evaluate(&rules, &carol, &world.event(sender, json), &world);
        outcome.highlight
    };
    assert!(everybody(&world.alice) && !everybody(&world.bob));
}

#[test]
fn conditions_look_at_properties() {
    let world = world();
    let message =
        || json!({"msgtype": "m.text", "body": "I like CAKE!", "n": 3, "tags": ["a", 1], "m.x": {"y": null}});
    for (fulfilled, json) in [
        (true, json!({"kind": "event_match", "key": "content.body", "pattern": "cake"})),
        (false, json!({"kind": "event_match", "key": "content.body", "pattern": "ake"})),
        (true, json!({"kind": "event_match", "key": "type", "pattern": "m.room.*"})),
        (false, json!({"kind": "event_match", "key": "content.n", "pattern": "*"})),
        (false, json!({"kind": "event_match", "key": "content.absent", "pattern": "*"})),
        (true, json!({"kind": "event_property_is", "key": "content.n", "value": 3})),
        (false, json!({"kind": "event_property_is", "key": "content.n", "value": "3"})),
        (true, json!({"kind": "event_property_is", "key": "content.m\\.x.y", "value": null})),
        (true, json!({"kind": "event_property_contains", "key": "content.tags", "value": "a"})),
        (false, json!({"kind": "event_property_contains", "key": "content.tags", "value": "b"})),
        (true, json!({"kind": "room_member_count", "is": ">2"})),
        (false, json!({"kind": "room_member_count", "is": "2"})),
        (false, json!({"kind": "org.example.unknown"})),
    ] {
        assert_eq!(world.matches(condition(json.clone()), message()), fulfilled, "{json}");
    }
}

#[test]
fn names_match_whole_words_unless_the_event_says_whom_it_mentions() {
    let world = world();
    let name = || condition(json!({"kind": "contains_display_name"}));
    let body = |body: &str| json!({"msgtype": "m.text", "body": body});
    assert!(world.matches(name(), body("hello bob b., how are you")));
    assert!(!world.matches(name(), body("hello bobb b.")));
    let mut older = name();
    older["override"][0]["rule_id"] = json!(".m.rule.contains_display_name");
    let mut says = body("hello bob b.");
    says["m.mentions"] = json!({});
    assert!(!world.matches(older, says));
}

#[test]
fn the_first_rule_by_kind_decides_and_disabled_ones_never() {
    let world = world();
    let message = || json!({"msgtype": "m.text", "body": "cake"});
    let room = rule("room", json!({"rule_id": world.room, "actions": []}));
    let mut both = room.clone();
    both["sender"] = rule("sender", json!({"rule_id": world.alice}))["sender"].clone();
    assert!(!world.matches(both.clone(), message()), "rooms come before senders");
    both["room"][0]["enabled"] = json!(false);
    assert!(world.matches(both.clone(), message()));
    both["content"] =
        rule("content", json!({"pattern": "c?ke", "actions": ["dont_notify"]}))["content"].clone();
    assert!(!world.matches(both, message()), "contents come before senders; old actions do nothing");
}
