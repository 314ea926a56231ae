//! Searching for messages, as clients do it.

use serde_json::{Value, json};

use crate::harness::{Answer, Client, Server, unique};

const SEARCH: &str = "/_matrix/client/v3/search";

fn search(client: &Client, criteria: Value) -> Answer {
    client.post(SEARCH, json!({ "search_categories": { "room_events": criteria } }))
}

fn found(client: &Client, criteria: Value) -> Value {
    search(client, criteria).ok()["search_categories"]["room_events"].clone()
}

fn ids(found: &Value) -> Vec<&str> {
    let results = found["results"].as_array().unwrap();
    results.iter().map(|result| result["result"]["event_id"].as_str().unwrap()).collect()
}

#[test]
fn messages_are_found_with_their_surroundings() {
    let mut server = Server::start();
    let (alice, bob, carol) = (server.register("alice"), server.register("bob"), server.register("carol"));
    let room = alice.create_room_with(&[&bob]);
    let sent: Vec<String> = (0..7).map(|number| alice.send_text(&room, &format!("Grüße {number}"))).collect();
    let criteria = json!({
        "search_term": "grusse 3",
        "order_by": "recent",
        "event_context": { "before_limit": 2, "after_limit": 1, "include_profile": true },
        "include_state": true,
        "groupings": { "group_by": [{ "key": "room_id" }, { "key": "sender" }] },
    });
    let page = found(&bob, criteria);
    assert_eq!((ids(&page), &page["count"]), (vec![sent[3].as_str()], &json!(1)));
    assert_eq!(page["results"][0]["result"]["room_id"], room.as_str());
    assert_eq!(page["highlights"], json!(["grüße", "3"]));
    let context = &page["results"][0]["context"];
    let around = |side: &str| -> Vec<String> {
        let events = context[side].as_array().unwrap();
        events.iter().map(|event| event["event_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(around("events_before"), [sent[2].clone(), sent[1].clone()]);
    assert_eq!(around("events_after"), [sent[4].clone()]);
    assert!(context["profile_info"][&alice.user_id].is_object());
    assert_eq!(page["groups"]["room_id"][&room]["results"], json!([sent[3]]));
    assert_eq!(page["groups"]["sender"][&alice.user_id]["order"], 1);
    let state = page["state"][&room].as_array().unwrap();
    assert!(state.iter().any(|event| event["type"] == "m.room.create"));
    let plain = found(&bob, json!({ "search_term": "grusse" }));
    assert_eq!(plain["count"], 7);
    assert!(plain["results"][0].get("context").is_none(), "surroundings are told to those who ask for them");

    let elsewhere = found(&carol, json!({ "search_term": "grusse" }));
    assert_eq!((&elsewhere["count"], &elsewhere["results"]), (&json!(0), &json!([])));
    alice.redact(&room, &sent[3], "wrong");
    assert_eq!(found(&bob, json!({ "search_term": "grusse 3" }))["count"], 0);
    server.stop();
}

#[test]
fn pages_go_on_and_survive_a_restart() {
    let mut server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    let sent: Vec<String> =
        (0..5).map(|number| alice.send_text(&room, &format!("page {number} {}", unique("word")))).collect();
    let criteria = json!({ "search_term": "page", "order_by": "recent", "filter": { "limit": 3 } });
    let first = found(&alice, criteria.clone());
    assert_eq!(ids(&first), [&sent[4], &sent[3], &sent[2]]);
    server.kill();
    server.restart();
    let alice = alice.moved_to(server.base_url());
    let next = format!("{SEARCH}?next_batch={}", first["next_batch"].as_str().unwrap());
    let body = json!({ "search_categories": { "room_events": criteria } });
    let second = alice.post(&next, body.clone()).ok()["search_categories"]["room_events"].clone();
    assert_eq!(ids(&second), [&sent[1], &sent[0]]);
    assert!(second.get("next_batch").is_none());
    alice.post(&format!("{SEARCH}?next_batch=forged"), body).error(400, "M_INVALID_PARAM");
    server.stop();
}

#[test]
fn bad_searches_are_refused() {
    let mut server = Server::start();
    let alice = server.register("alice");
    search(&alice, json!({})).error(400, "M_MISSING_PARAM");
    search(&alice, json!({ "search_term": 7 })).error(400, "M_BAD_JSON");
    search(&alice, json!({ "search_term": "a", "order_by": "age" })).error(400, "M_INVALID_PARAM");
    search(&alice, json!({ "search_term": "a", "keys": ["content.url"] })).error(400, "M_INVALID_PARAM");
    search(&alice, json!({ "search_term": "a", "filter": { "limit": -1 } })).error(400, "M_BAD_JSON");
    let groupings = json!({ "group_by": [{ "key": "age" }] });
    search(&alice, json!({ "search_term": "a", "groupings": groupings })).error(400, "M_INVALID_PARAM");
    alice.post(SEARCH, json!({})).error(400, "M_MISSING_PARAM");
    assert_eq!(
        alice.post(SEARCH, json!({ "search_categories": {} })).ok(),
        json!({ "search_categories": {} })
    );
    server.stop();
}
