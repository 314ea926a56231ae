//! Push rules, as the specification's endpoints have them.

use serde_json::{Value, json};

use crate::harness::Server;

const GLOBAL: &str = "/_matrix/client/v3/pushrules/global/";

fn rule<'a>(rules: &'a Value, kind: &str, id: &str) -> Option<&'a Value> {
    rules[kind].as_array().unwrap().iter().find(|rule| rule["rule_id"] == id)
}

#[test]
fn rules_are_made_changed_and_deleted() {
    let server = Server::start();
    let alice = server.register("alice");
    let path = |rest: &str| format!("{GLOBAL}{rest}");
    let all = alice.get("/_matrix/client/v3/pushrules/").ok();
    assert_eq!(all["global"], alice.get(GLOBAL).ok());
    assert!(rule(&all["global"], "override", ".m.rule.master").is_some(), "the default rules are there");

    let mine = json!({ "pattern": "cake", "actions": ["notify"] });
    alice.put(&path("content/cake"), mine).ok();
    let found = alice.get(&path("content/cake")).ok();
    assert_eq!(
        (&found["pattern"], &found["enabled"], &found["default"]),
        (&json!("cake"), &json!(true), &json!(false))
    );
    let actions = json!(["notify", { "set_tweak": "highlight" }]);
    alice.put(&path("content/cake/actions"), json!({ "actions": actions })).ok();
    assert_eq!(alice.get(&path("content/cake/actions")).ok()["actions"][0], "notify");
    alice.put(&path("content/cake/enabled"), json!({ "enabled": false })).ok();
    assert_eq!(alice.get(&path("content/cake/enabled")).ok(), json!({ "enabled": false }));
    alice.delete(&path("content/cake"), None).ok();
    for rest in ["content/cake", "content/cake/actions", "content/cake/enabled"] {
        alice.get(&path(rest)).error(404, "M_NOT_FOUND");
    }
    alice.delete(&path("content/cake"), None).error(404, "M_NOT_FOUND");
    alice.put(&path("content/cake/enabled"), json!({ "enabled": false })).error(404, "M_NOT_FOUND");
}

#[test]
fn rules_are_ones_own_and_checked() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let path = |rest: &str| format!("{GLOBAL}{rest}");
    alice.put(&path("content/cake"), json!({ "pattern": "cake", "actions": ["notify"] })).ok();
    bob.get(&path("content/cake")).error(404, "M_NOT_FOUND");
    for rest in ["content/.mine", "override/.m.rule.master"] {
        let body = json!({ "pattern": "x", "conditions": [], "actions": [] });
        let refused = alice.put(&path(rest), body);
        assert_eq!(refused.status, 400, "a rule of the server's: {refused}");
    }
    let refused = alice.put(&path("content/x"), json!({ "actions": ["notify"] }));
    assert_eq!(refused.status, 400, "no pattern: {refused}");
    server.anonymous().get("/_matrix/client/v3/pushrules/").error(401, "M_MISSING_TOKEN");
}
